//! Components that decide over requests: each answer, each failure, and the company of the rest.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Language, Proxy, check, guest, scratch};

use super::client::{Answer, Client, JSON, ready, request, serving};

const ANY: &str = "accept = [\"json\", \"raw\"]\n";

/// A route whose component does what the path says: the guest of the contract.
fn obedient(component_keys: &str, route_keys: &str) -> HiveToml {
    let route = format!(
        "component = \"contract\"\nheaders = {{ do = \"{{{{ path.do }}}}\" }}\n{ANY}{route_keys}"
    );
    HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("out", "")
        .component_at("contract", &Language::RUST.guest(), component_keys)
        .section("http", "listen = \"127.0.0.1:0\"")
        .section("http.routes.\"POST /do/{do}\"", &route)
}

async fn told(port: u16, what: &str, headers: &str) -> Result<Answer> {
    request(port, &format!("POST /do/{what}"), headers, "\"a body\"").await
}

/// A route with this guest.
fn with(guest: &str, component_keys: &str, route_keys: &str) -> HiveToml {
    HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("out", "")
        .component(guest, component_keys)
        .section("http", "listen = \"127.0.0.1:0\"")
        .section(
            "http.routes.\"POST /t\"",
            &format!("component = \"{guest}\"\n{ANY}{route_keys}"),
        )
}

#[tokio::test]
async fn each_answer_has_its_status() -> Result<()> {
    let (vhost, mut host, port) = serving("http-component", &obedient("", "")).await?;
    let key = "Idempotency-Key: k-1\r\n";
    let published = told(port, "publish-several", key).await?;
    assert_eq!(published.status, 202, "{published:?}");
    assert_eq!(published.body, r#"{"message_id":"k-1"}"#);
    let stored = vhost.take("out", 3).await?;
    let ids: Vec<&str> = stored.iter().map(|message| message.id()).collect();
    assert_eq!(ids, ["k-1-0", "k-1-1", "k-1-2"]);
    for nothing in ["ack", "publish-none"] {
        let answer = told(port, nothing, "").await?;
        assert_eq!((answer.status, &*answer.body), (204, ""), "{nothing}");
    }
    let rejected = told(port, "reject", "").await?;
    assert_eq!((rejected.status, &*rejected.code()), (400, "HIVE-0615"));
    assert!(rejected.body.contains("never: ünïcode ✓"), "{rejected:?}");
    let later = told(port, "retry", "").await?;
    assert_eq!((later.status, &*later.code()), (503, "HIVE-0616"));
    assert_eq!(later.header("retry-after"), Some("5"));
    assert!(later.body.contains("not now"), "{later:?}");
    host.stop().await?;
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_failure_is_told_without_its_reason_and_logged_with_it() -> Result<()> {
    let (_vhost, host, port) = serving("http-component", &obedient("", "")).await?;
    for (what, reason) in [("error", "plain words"), ("exception", "deep trouble")] {
        let answer = told(port, what, "").await?;
        assert_eq!(
            (answer.status, &*answer.code()),
            (500, "HIVE-0617"),
            "{what}"
        );
        assert!(!answer.body.contains(reason), "{answer:?}");
        host.wait_for_event_naming("http.component_failed", reason)
            .await?;
    }
    // The trap has cost an instance and no more.
    assert_eq!(told(port, "ack", "").await?.status, 204);
    let answered = r#"hive_http_requests_total{route="POST /do/{do}",status="500"}"#;
    assert_eq!(host.metric(answered).await?, 2.0);
    Ok(())
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_504() -> Result<()> {
    let toml = with("slow", "timeout = \"200ms\"", "");
    let (vhost, host, port) = serving("http-component", &toml).await?;
    let late = request(port, "POST /t", "", "60000").await?;
    assert_eq!((late.status, &*late.code()), (504, "HIVE-0617"), "{late:?}");
    host.wait_for_event_naming("http.component_failed", "timeout")
        .await?;
    let quick = request(port, "POST /t", "", "0").await?;
    assert_eq!(quick.status, 202, "{quick:?}");
    assert_eq!(vhost.take_one("out").await?.text(), "0");
    Ok(())
}

#[tokio::test]
async fn a_publication_that_cannot_be_is_no_success() -> Result<()> {
    let headers = |key: &str| {
        format!("headers = {{ routing-key = \"{key}\", exchange = \"{{{{ path.exchange }}}}\" }}")
    };
    let route = |keys: &str| format!("component = \"publish\"\n{ANY}{keys}");
    let toml = HiveToml::new()
        .queue("out", "")
        .exchange("events", "type = \"topic\"")
        .component(
            "publish",
            "allow = { publish = [\"events:*\", \"missing:*\"] }",
        )
        .section("http", "listen = \"127.0.0.1:0\"")
        .section("http.routes.\"POST /{exchange}\"", &route(&headers("k")));
    let (_vhost, host, port) = serving("http-component", &toml).await?;
    for (exchange, status, code) in [
        ("events", 422, "HIVE-0609"),
        ("missing", 500, "HIVE-0611"),
        ("forbidden", 500, "HIVE-0617"),
    ] {
        let answer = request(port, &format!("POST /{exchange}"), "", "x").await?;
        assert_eq!(
            (answer.status, &*answer.code()),
            (status, code),
            "{answer:?}"
        );
    }
    let denied = r#"hive_denied_total{capability="publish",component="publish"}"#;
    assert_eq!(host.metric(denied).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn the_delivery_says_which_route_it_is_of() -> Result<()> {
    let keys = "exchange = \"web\"\nrouting_key = \"{{ path.do }}.{{ headers.x_tenant }}\"";
    let (vhost, _host, port) = serving("http-component", &obedient("", keys)).await?;
    let headers = format!("{JSON}x-tenant: acme\r\n");
    assert_eq!(told(port, "tell", &headers).await?.status, 202);
    let told_by = vhost.take_one("out").await?.text();
    assert_eq!(told_by, "POST /do/{do}|web|tell.acme|false|1");
    // What is published unchanged has the id of the request, its content type and its headers.
    let key = format!("{headers}Idempotency-Key: k-1\r\n");
    assert_eq!(told(port, "echo", &key).await?.status, 202);
    let echo = vhost.take_one("out").await?;
    assert_eq!((echo.id(), &*echo.text()), ("k-1", "\"a body\""));
    assert_eq!(echo.text_of("do").as_deref(), Some("echo"));
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_seen_is_answered_without_a_call() -> Result<()> {
    let toml = obedient("", "publish_dedup = {}").section("store", "kind = \"memory\"");
    let (vhost, mut host, port) = serving("http-component", &toml).await?;
    let key = "Idempotency-Key: k-1\r\n";
    // What is not done is not remembered.
    assert_eq!(told(port, "error", key).await?.status, 500);
    for _ in 0..3 {
        let answer = told(port, "publish-one", key).await?;
        assert_eq!(
            (answer.status, &*answer.body),
            (202, r#"{"message_id":"k-1"}"#)
        );
    }
    assert_eq!(told(port, "publish-one", "").await?.status, 202);
    host.stop().await?;
    let stored = vhost.drain("out").await?;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].id(), "k-1-0");
    Ok(())
}

#[tokio::test]
async fn requests_beyond_the_concurrency_wait_for_their_turn() -> Result<()> {
    let toml = with("turns", "", "concurrency = 1");
    let (_vhost, host, port) = serving("http-component", &toml).await?;
    let requests = (0..8).map(|number| async move {
        let answer = request(port, "POST /t", "", &number.to_string()).await?;
        anyhow::Ok(answer.status)
    });
    let answers = futures_util::future::try_join_all(requests).await?;
    assert_eq!(answers, [204; 8]);
    host.wait_for_printed_times("ended", 8).await?;
    let printed = host.printed();
    let lines: Vec<&str> = printed
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(lines, ["begins", "ended"].repeat(8));
    Ok(())
}

#[tokio::test]
async fn a_swap_takes_over_requests() -> Result<()> {
    let folder = scratch("http-swap");
    let file = folder.join("made.wasm");
    std::fs::copy(guest("first"), &file)?;
    let toml = HiveToml::new()
        .queue("out", "")
        .component_at("made", &file, "")
        .section("http", "listen = \"127.0.0.1:0\"")
        .section(
            "http.routes.\"POST /t\"",
            &format!("component = \"made\"\n{ANY}"),
        );
    let vhost = Broker::shared().await?.vhost("http-component").await?;
    let config = folder.join("hive.toml");
    std::fs::write(&config, toml.text(&vhost))?;
    let host = HostProcess::launch_file(&config, &[])?;
    let port = ready(&host).await?;
    assert_eq!(request(port, "POST /t", "", "a").await?.status, 202);
    assert_eq!(vhost.take_one("out").await?.text(), "first a");
    std::fs::copy(guest("second"), &file)?;
    let swapped = host.told("swap", &config, &["made"]).await?;
    assert_eq!(swapped.code, Some(0), "{swapped:?}");
    assert_eq!(request(port, "POST /t", "", "a").await?.status, 202);
    assert_eq!(vhost.take_one("out").await?.text(), "second a");
    Ok(())
}

#[tokio::test]
async fn a_reload_gives_a_route_its_component_and_takes_it_away() -> Result<()> {
    let folder = scratch("http-reload");
    let config = folder.join("hive.toml");
    let vhost = Broker::shared().await?.vhost("http-component").await?;
    let plain = |keys: &str| {
        with("reply", "", "")
            .section("http.routes.\"POST /plain\"", &format!("{ANY}{keys}"))
            .text(&vhost)
    };
    let published = "exchange = \"\"\nrouting_key = \"out\"";
    std::fs::write(&config, plain(published))?;
    let host = HostProcess::launch_file(&config, &[])?;
    let port = ready(&host).await?;
    let send = async || request(port, "POST /plain", "", "a").await;
    assert_eq!(send().await?.status, 202);
    std::fs::write(&config, plain("component = \"reply\""))?;
    let reloaded = host.told("reload", &config, &[]).await?;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    // It has no reply-to, which the guest calls an error.
    assert_eq!(send().await?.status, 500);
    std::fs::write(&config, plain(published))?;
    assert_eq!(host.told("reload", &config, &[]).await?.code, Some(0));
    assert_eq!(send().await?.status, 202);
    assert_eq!(vhost.take("out", 2).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn while_the_broker_is_away_the_component_is_not_called() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("http-component").await?;
    let proxy = Proxy::start(broker.port())?;
    let toml = with("slow", "", "").text_for(&vhost.url_through(&proxy));
    let host = HostProcess::launch(&toml)?;
    let port = ready(&host).await?;
    proxy.refuse();
    proxy.cut();
    host.wait_for_event("link.lost", &[]).await?;
    let away = request(port, "POST /t", "", "0").await?;
    assert_eq!((away.status, &*away.code()), (503, "HIVE-0612"), "{away:?}");
    assert!(away.header("retry-after").is_some());
    assert_eq!(host.count_printed("started 0"), 0);
    proxy.pass();
    ready(&host).await?;
    assert_eq!(request(port, "POST /t", "", "0").await?.status, 202);
    assert_eq!(vhost.take_one("out").await?.text(), "0");
    Ok(())
}

#[tokio::test]
async fn a_stop_waits_for_a_request_that_is_handled() -> Result<()> {
    let (vhost, mut host, port) = serving("http-component", &with("slow", "", "")).await?;
    let mut client = Client::connect(port).await?;
    client
        .write(b"POST /t HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\n1500")
        .await?;
    host.wait_for_printed("started 1500").await?;
    host.sigterm();
    host.wait_for_event("host.stopping", &[]).await?;
    assert_eq!(client.answer().await?.status, 202);
    assert!(host.wait().await?.success());
    assert_eq!(vhost.take_one("out").await?.text(), "1500");
    Ok(())
}

#[tokio::test]
async fn check_names_the_component_or_what_is_wrong_with_it() -> Result<()> {
    let url = "amqp://localhost";
    let fine = check(&with("ack", "", "").text_for(url))?;
    assert_eq!(fine.code, Some(0), "{fine:?}");
    let words = "http POST /t: handled by component \"ack\"";
    assert!(fine.stdout.contains(words), "{fine:?}");
    let wrong = with("ack", "", "")
        .text_for(url)
        .replace("component = \"ack\"", "component = \"akc\"");
    let wrong = check(&wrong)?;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let told = wrong.stderr.clone() + &wrong.stdout;
    assert!(
        told.contains("names no component: \"akc\"") && told.contains("the components are: ack"),
        "{told}"
    );
    Ok(())
}
