//! TLS, with certificates made on the spot: what good ones do, and what is told of the others.

use anyhow::{Context, Result};
use hive_tests::{
    Authority, Clients, Event, HiveToml, HostProcess, Identity, Message, TlsBroker, Vhost,
    eventually,
};
use serde_json::Value;

pub(crate) const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// Takes letters and publishes what they say; `keys` are those of the connection's `tls`.
fn echo(keys: &str) -> HiveToml {
    let keys = format!("tls = {{ {keys} }}\nreconnect = {{ first = \"50ms\", max = \"500ms\" }}");
    HiveToml::one("letters", "echo", "")
        .queue("out", "")
        .connection(&keys)
}

pub(crate) fn trusting(authority: &Authority) -> String {
    format!("ca = {:?}", authority.certificate())
}

pub(crate) fn showing(authority: &Authority, client: &Identity) -> String {
    let Identity { certificate, key } = client;
    let ca = trusting(authority);
    format!("{ca}, cert = {certificate:?}, key = {key:?}")
}

fn url(port: u16, vhost: &Vhost) -> String {
    format!("amqps://guest:guest@localhost:{port}/{}", vhost.name())
}

async fn consuming(toml: &HiveToml, url: &str) -> Result<HostProcess> {
    let host = HostProcess::launch(&toml.text_for(url))?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "letters")])
        .await?;
    Ok(host)
}

/// Publishes a message and waits until it came out at the other end.
async fn assert_consumes(vhost: &Vhost, text: &str) -> Result<()> {
    vhost.publish("", "letters", Message::new(text)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), text);
    Ok(())
}

/// As whom, and whether with TLS, each host's connection to a vhost is open.
fn logins(tls: &TlsBroker, vhost: &Vhost) -> Result<Vec<(String, bool)>> {
    let columns = ["vhost", "user", "ssl", "client_properties"];
    let list = ["--quiet", "--formatter=json", "list_connections"];
    let answer = tls.broker().rabbitmqctl(&[&list[..], &columns].concat())?;
    let all: Vec<Value> = serde_json::from_str(&answer)?;
    let of_hosts = all.iter().filter(|one| {
        let is_named = one["client_properties"]
            .to_string()
            .contains("connection_name");
        one["vhost"] == vhost.name() && is_named
    });
    of_hosts
        .map(|one| {
            let user = one["user"].as_str().context("a user has a name")?;
            Ok((user.to_owned(), one["ssl"] == true))
        })
        .collect()
}

/// Runs a host that cannot connect, and makes sure that its error says each of `told`, where it
/// wanted to go and which part of hive.toml to look at.
async fn refused(toml: &HiveToml, url: &str, told: &[&str]) -> Result<HostProcess> {
    let host = HostProcess::launch(&toml.text_for(url))?;
    let error = host.wait_for_level("ERROR").await?;
    let (_, address) = url.split_once('@').context("the url has a user")?;
    let (address, _) = address.split_once('/').context("the url has a vhost")?;
    for word in ["connection \"main\"", address, "[connections.main]"]
        .iter()
        .chain(told)
    {
        assert!(error.names(word), "`{word}` is not told: {error}");
    }
    Ok(host)
}

/// The same for a listener whose certificate is at fault.
async fn assert_server_refused(tls: &TlsBroker, server: &Identity, told: &[&str]) -> Result<()> {
    let port = tls.listen(server, Clients::Anyone)?;
    let vhost = tls.broker().vhost("tls").await?;
    let url = url(port, &vhost).replace("guest:guest", "guest:hunter2");
    let host = refused(&echo(&trusting(tls.authority())), &url, told).await?;
    assert!(!host.mentions("hunter2"), "the password is told");
    assert_eq!(host.count_events("link.connected", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn a_good_certificate_is_consumed_and_published_over() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let toml = echo(&trusting(tls.authority()));
    for host in LOCAL {
        let url = url(tls.port(), &vhost).replace("localhost", host);
        let mut running = consuming(&toml, &url).await?;
        assert_consumes(&vhost, host).await?;
        let guest = ("guest".to_owned(), true);
        // The broker may not have buried those of the host before yet.
        let expected = [guest.clone(), guest];
        let look = async || logins(tls, &vhost);
        eventually("two of them are there", look, |seen| *seen == expected).await?;
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let expired = tls.authority().expired_server("expired", LOCAL)?;
    assert_server_refused(
        tls,
        &expired,
        &["HIVE-0211", "certificate expired on 2020-01-01"],
    )
    .await
}

#[tokio::test]
async fn a_certificate_for_another_host_is_told_with_both_names() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let other = tls
        .authority()
        .server("other", &["other.example", "10.0.0.1"])?;
    let told = r#"is for "other.example", "10.0.0.1", not for "localhost""#;
    assert_server_refused(tls, &other, &["HIVE-0212", told]).await
}

#[tokio::test]
async fn an_unknown_authority_is_told_with_the_key_to_set() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let told = [
        "signed by an authority that is not trusted",
        "`tls.ca`",
        "HIVE-0213",
    ];
    let stranger = Authority::new("a stranger")?.server("server", LOCAL)?;
    assert_server_refused(tls, &stranger, &told).await?;
    // One that has taken the name of the real one.
    let impostor = Authority::new(TlsBroker::AUTHORITY)?.server("server", LOCAL)?;
    assert_server_refused(tls, &impostor, &told).await?;
    // Without `tls.ca` the system's are trusted, and none of them signed it.
    let vhost = tls.broker().vhost("tls").await?;
    let toml = HiveToml::one("letters", "echo", "");
    let told = [told[0], "set `tls.ca` of [connections.main]"];
    refused(&toml, &url(tls.port(), &vhost), &told).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_that_is_asked_for_lets_in_who_has_it() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let server = tls.authority().server("strict", LOCAL)?;
    let url = url(tls.listen(&server, Clients::WithCertificate)?, &vhost);

    let toml = echo(&trusting(tls.authority()));
    let told = [
        "asks for a client's certificate",
        "`tls.cert` and `tls.key`",
    ];
    refused(&toml, &url, &told).await?;

    let stranger = Authority::new("a stranger")?.client("orders")?;
    let told = ["does not trust the authority that signed the client's certificate"];
    refused(&echo(&showing(tls.authority(), &stranger)), &url, &told).await?;

    let client = tls.authority().client("orders")?;
    let _host = consuming(&echo(&showing(tls.authority(), &client)), &url).await?;
    assert_consumes(&vhost, "hello").await
}

/// In TLS 1.3 the broker refuses a client after the handshake, and closes: a host that is about to
/// write meets a reset, at one try in four on a busy machine, with the reason still unread.
#[tokio::test]
async fn a_client_that_is_turned_away_knows_why_at_every_try() -> Result<()> {
    const TRIES: usize = 200;
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let server = tls.authority().server("strictest", LOCAL)?;
    let url = url(tls.listen(&server, Clients::WithCertificate)?, &vhost);
    let toml = HiveToml::one("letters", "echo", "").connection(&format!(
        "tls = {{ {} }}\nreconnect = {{ first = \"1ms\", max = \"1ms\" }}",
        trusting(tls.authority())
    ));
    let host = refused(&toml, &url, &["asks for a client's certificate"]).await?;
    let refusals = async || {
        // Erlang 29, which RabbitMQ 4.3 runs on, writes one of the words with a capital.
        let log = tls.broker().log().to_lowercase();
        Ok(log.matches("fatal - certificate required").count())
    };
    eventually("it tried often", refusals, |refusals| *refusals >= TRIES).await?;
    // A failure of another kind would be told as a warning.
    assert_eq!(host.count_level("WARN"), 0);
    Ok(())
}

#[tokio::test]
async fn external_logs_in_as_the_certificates_common_name() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let url = format!("{}?auth_mechanism=EXTERNAL", url(tls.port(), &vhost));
    let toml = echo(&showing(
        tls.authority(),
        &tls.authority().client("parcels")?,
    ));

    // The broker knows the certificate, and nobody of its name.
    let told = [
        "refuses the user of the certificate in `tls.cert` on vhost",
        "EXTERNAL",
    ];
    drop(refused(&toml, &url, &told).await?);

    tls.user_without_password("parcels", &vhost)?;
    let _host = consuming(&toml, &url).await?;
    assert_consumes(&vhost, "hello").await?;
    let parcels = ("parcels".to_owned(), true);
    assert_eq!(logins(tls, &vhost)?, [parcels.clone(), parcels]);
    Ok(())
}

/// Somebody has to change something, and need not restart the host for it.
#[tokio::test]
async fn a_certificate_that_is_renewed_lets_the_host_in_by_itself() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let authority = tls.authority();
    let server = authority.expired_server("renewed", LOCAL)?;
    let url = url(tls.listen(&server, Clients::Anyone)?, &vhost);
    let host = refused(
        &echo(&trusting(authority)),
        &url,
        &["expired on 2020-01-01"],
    )
    .await?;

    authority.server("renewed", LOCAL)?;
    tls.reread_certificates()?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "letters")])
        .await?;
    assert_consumes(&vhost, "renewed").await?;

    // It expires under a host that consumes, which learns of it when it has to connect again.
    authority.expired_server("renewed", LOCAL)?;
    tls.reread_certificates()?;
    let close = ["close_all_connections", "--vhost", vhost.name(), "renewed"];
    tls.broker().rabbitmqctl(&close)?;
    let is_it = |event: &&Event| event.names("2020-01-01");
    let look = async || Ok(host.events().iter().filter(is_it).count());
    eventually("the host told it again", look, |told| *told > 2).await?;
    authority.server("renewed", LOCAL)?;
    tls.reread_certificates()?;
    host.wait_for_events("consumer.subscribed", &[("consumer", "letters")], 2)
        .await?;
    assert_consumes(&vhost, "renewed again").await
}

/// The broker takes a user-id that is its connection's user alone, and closes the channel over any
/// other. With EXTERNAL that is not the user of the URL.
#[tokio::test]
async fn external_retries_a_message_with_somebody_elses_user_id() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    tls.user_without_password("letters", &vhost)?;
    let url = format!("{}?auth_mechanism=external", url(tls.port(), &vhost));
    let keys = showing(tls.authority(), &tls.authority().client("letters")?);
    let toml = HiveToml::one("letters", "fail-until", r#"retry = { delays = ["50ms"] }"#)
        .queue("out", "")
        .connection(&format!("tls = {{ {keys} }}"));
    let _host = consuming(&toml, &url).await?;
    let message = Message::new("hello")
        .header("until", 2_i64)
        .with(|properties| properties.with_user_id("guest".into()));
    vhost.publish("", "letters", message).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "attempt 2 of hello");
    Ok(())
}

#[tokio::test]
async fn a_port_that_speaks_the_other_protocol_is_told() -> Result<()> {
    let tls = TlsBroker::shared().await?;
    let vhost = tls.broker().vhost("tls").await?;
    let told = ["HIVE-0215", "does not speak TLS, and the url is amqps://"];
    let plain = url(tls.broker().port(), &vhost);
    refused(&echo(&trusting(tls.authority())), &plain, &told).await?;
    let told = [
        "HIVE-0216",
        "the port speaks TLS, and the url is amqp://",
        "write amqps://",
    ];
    let encrypted = url(tls.port(), &vhost).replace("amqps://", "amqp://");
    refused(&HiveToml::one("letters", "echo", ""), &encrypted, &told).await?;
    Ok(())
}
