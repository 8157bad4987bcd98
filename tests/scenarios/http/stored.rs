//! Requests whose message is stored: what it is, and that it is in its queue once.

use std::collections::BTreeSet;

use anyhow::Result;
use hive_tests::{Message, eventually};

use super::client::{Client, JSON, post, request, serving, tracks};

#[tokio::test]
async fn a_request_is_answered_when_its_message_is_in_the_queue() -> Result<()> {
    let (vhost, mut host, port) = serving("http-json", &tracks("")).await?;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = format!("{JSON}idempotency-key: k-1\r\ntraceparent: {trace}\r\n");
    let answer = post(port, &headers, " {\"id\": 1.0}\n").await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body, r#"{"message_id":"k-1"}"#);
    // At once, not some time later.
    assert_eq!(vhost.ready("tracks").await?, 1);
    let stored = vhost.take_one("tracks").await?;
    assert_eq!(stored.text(), " {\"id\": 1.0}\n");
    assert_eq!(stored.id(), "k-1");
    assert_eq!(stored.text_of("traceparent").as_deref(), Some(trace));
    assert_eq!(text(stored.properties.content_type()), "application/json");
    assert_eq!(
        *stored.properties.delivery_mode(),
        Some(2),
        "it is persistent"
    );
    host.stop().await
}

fn text(property: &Option<lapin::types::ShortString>) -> String {
    property
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[tokio::test]
async fn forms_become_json_and_anything_else_stays_as_it_is() -> Result<()> {
    let keys = r#"accept = ["json", "form", "raw"]"#;
    let (vhost, mut host, port) = serving("http-bodies", &tracks(keys)).await?;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    assert_eq!(post(port, form, "a=1&b=x+y&a=2").await?.status, 202);
    let stored = vhost.take_one("tracks").await?;
    assert_eq!(stored.text(), r#"{"a":["1","2"],"b":"x y"}"#);
    assert_eq!(text(stored.properties.content_type()), "application/json");
    let raw = "content-type: text/csv\r\ncontent-encoding: gzip\r\n";
    assert_eq!(post(port, raw, "a;b\n1;2\n").await?.status, 202);
    let stored = vhost.take_one("tracks").await?;
    assert_eq!(stored.text(), "a;b\n1;2\n");
    assert_eq!(text(stored.properties.content_type()), "text/csv");
    assert_eq!(text(stored.properties.content_encoding()), "gzip");
    assert_ne!(stored.id(), "", "each message has an id");
    host.stop().await
}

#[tokio::test]
async fn the_path_and_the_headers_lead_the_message() -> Result<()> {
    let toml = tracks("")
        .exchange("events", r#"type = "topic""#)
        .queue(
            "acme",
            r#"bindings = [{ exchange = "events", routing_key = "acme.#" }]"#,
        )
        .section(
            "http.routes.\"PUT /api/{tenant}/t\"",
            "exchange = \"events\"\nrouting_key = \"{{ path.tenant }}.{{ body.kind }}\"\nstatus = 200\n\
             headers = { tenant = \"{{ path.tenant }}\", request = \"{{ headers.x_request }}\" }",
        );
    let (vhost, mut host, port) = serving("http-path", &toml).await?;
    let put = async |path: &str, headers: &str, body: &str| {
        let headers = format!("{JSON}{headers}");
        request(port, &format!("PUT {path}"), &headers, body).await
    };
    let request_id = "X-Request: r-1\r\n";
    let answer = put("/api/acme/t", request_id, r#"{"kind":"play"}"#).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let stored = vhost.take_one("acme").await?;
    assert_eq!(stored.routing_key, "acme.play");
    assert_eq!(stored.text_of("tenant").as_deref(), Some("acme"));
    assert_eq!(stored.text_of("request").as_deref(), Some("r-1"));
    let lacking = put("/api/acme/t", "", r#"{"kind":"play"}"#).await?;
    assert_eq!(lacking.status, 400, "{lacking:?}");
    assert!(lacking.body.contains("x_request"), "{lacking:?}");
    let long = "x".repeat(300);
    let long = put(&format!("/api/{long}/t"), request_id, r#"{"kind":"play"}"#).await?;
    assert_eq!(long.status, 400, "{long:?}");
    let unroutable = put("/api/other/t", request_id, r#"{"kind":"play"}"#).await?;
    assert_eq!(unroutable.status, 422, "{unroutable:?}");
    assert_eq!(unroutable.code(), "HIVE-0609");
    host.stop().await?;
    assert_eq!(vhost.ready("acme").await?, 0);
    Ok(())
}

/// Sends these numbers over one connection; gives those that were answered with 2xx.
async fn send(port: u16, numbers: std::ops::Range<usize>) -> Result<BTreeSet<usize>> {
    let mut client = Client::connect(port).await?;
    let mut stored = BTreeSet::new();
    for number in numbers {
        let answer = client.send("POST /t", JSON, &number.to_string()).await?;
        assert_eq!(answer.status, 202, "{answer:?}");
        stored.insert(number);
    }
    Ok(stored)
}

#[tokio::test]
async fn each_of_many_requests_is_in_the_queue_exactly_once() -> Result<()> {
    const CLIENTS: usize = 50;
    const EACH: usize = 40;
    let (vhost, mut host, port) = serving("http-many", &tracks("")).await?;
    let sending = (0..CLIENTS).map(|client| send(port, client * EACH..(client + 1) * EACH));
    let sent = futures_util::future::try_join_all(sending).await?;
    let sent: BTreeSet<usize> = sent.into_iter().flatten().collect();
    assert_eq!(sent.len(), CLIENTS * EACH);
    host.stop().await?;
    let stored: Vec<Message> = vhost.drain("tracks").await?;
    assert_eq!(stored.len(), sent.len(), "each once");
    let stored: BTreeSet<usize> = stored
        .iter()
        .map(|message| message.text().parse())
        .collect::<Result<_, _>>()?;
    assert_eq!(stored, sent);
    Ok(())
}

#[tokio::test]
async fn a_reload_changes_the_routes_and_reports_what_waits_for_a_restart() -> Result<()> {
    let folder = hive_tests::scratch("http-reload");
    let file = folder.join("hive.toml");
    let vhost = hive_tests::Broker::shared()
        .await?
        .vhost("http-reload")
        .await?;
    let mut host = hive_tests::HostProcess::run_file(&vhost, &tracks(""), &file).await?;
    let port = super::client::ready(&host).await?;
    assert_eq!(request(port, "POST /new", JSON, "1").await?.status, 404);
    let with_new = super::client::with_limits("max_connections = 7", "status = 200").section(
        "http.routes.\"POST /new\"",
        "exchange = \"\"\nrouting_key = \"tracks\"",
    );
    std::fs::write(&file, with_new.text(&vhost))?;
    host.sighup();
    let change = "http: takes effect at a restart (max_connections 4096 -> 7)";
    host.wait_for_event("config.reloaded", &[("change", change)])
        .await?;
    let look = async || Ok(request(port, "POST /new", JSON, "1").await?.status);
    eventually("the new route is served", look, |status| *status == 202).await?;
    assert_eq!(post(port, JSON, "1").await?.status, 200);
    host.stop().await
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() -> Result<()> {
    let (_vhost, mut host, port) = serving("http-metrics", &tracks("")).await?;
    assert_eq!(post(port, JSON, "1").await?.status, 202);
    assert_eq!(post(port, JSON, "{").await?.status, 400);
    assert_eq!(request(port, "POST /other", JSON, "1").await?.status, 404);
    for (route, status) in [("POST /t", 202), ("POST /t", 400), ("", 404)] {
        let series = format!("hive_http_requests_total{{route=\"{route}\",status=\"{status}\"}}");
        assert_eq!(host.metric(&series).await?, 1.0, "{series}");
    }
    let confirmed = "hive_publications_total{consumer=\"(http)\",result=\"confirmed\"}";
    assert_eq!(host.metric(confirmed).await?, 1.0);
    host.stop().await
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() -> Result<()> {
    let vhost = hive_tests::Broker::shared()
        .await?
        .vhost("http-taken")
        .await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let text = tracks("").text(&vhost);
    let text = text.replace(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = \"{address}\""),
    );
    let mut host = hive_tests::HostProcess::launch(&text)?;
    let ended = host.wait().await?;
    assert!(!ended.success(), "{ended}");
    let lines = host.lines_to_the_end().join("\n");
    assert!(
        lines.contains("HIVE-0601") && lines.contains("http.listen"),
        "{lines}"
    );
    Ok(())
}
