//! What a component may reach outside itself: what is named, and nothing else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::{
    Authority, Broker, HiveToml, HostProcess, Message, Vhost, WebServer, check, guest, scratch,
};
use tokio::net::{TcpListener, UdpSocket, lookup_host};

use crate::{acknowledged, assert_settled, consuming};

/// A guest that is asked on the queue `letters` and answers on `out`.
fn asked(guest: &str, component_keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component(guest, component_keys)
        .consumer("letters", guest, "retry = { limit = 0 }")
}

async fn ask(vhost: &Vhost, message: Message) -> Result<String> {
    vhost.publish("", "letters", message).await?;
    Ok(vhost.take_one("out").await?.text())
}

/// The guest `fetch`, which may ask these hosts.
fn fetching(hosts: &[String]) -> HiveToml {
    asked("fetch", &format!("allow = {{ http = {hosts:?} }}"))
}

async fn fetch(vhost: &Vhost, url: &str) -> Result<String> {
    ask(vhost, Message::new(url)).await
}

#[tokio::test]
async fn http_goes_where_it_is_allowed() -> Result<()> {
    let server = WebServer::start().await?;
    let port = server.port();
    let hosts = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let (vhost, mut host) = consuming("http", fetching(&hosts)).await?;
    for name in ["localhost", "LOCALHOST", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{name}:{port}/hello");
        assert_eq!(fetch(&vhost, &url).await?, "200 hello", "{url}");
    }
    // More of them, one after the other, than an instance may have at once.
    for _ in 0..40 {
        let url = format!("http://localhost:{port}/hello");
        assert_eq!(fetch(&vhost, &url).await?, "200 hello");
    }
    assert_eq!(server.requests(), 4 + 40);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn http_elsewhere_is_denied_at_the_call() -> Result<()> {
    let (server, allowed) = (WebServer::start().await?, WebServer::start().await?);
    let hosts = [format!("localhost:{}", allowed.port())];
    let (vhost, host) = consuming("http", fetching(&hosts)).await?;
    let port = server.port();
    for url in [
        format!("http://localhost:{port}/hello"),
        // Only the name is allowed, and not what it leads to.
        format!("http://127.0.0.1:{}/hello", allowed.port()),
        format!("http://[::1]:{}/hello", allowed.port()),
        format!("https://localhost:{port}/hello"),
        "http://localhost/hello".to_owned(),
    ] {
        let answer = fetch(&vhost, &url).await?;
        assert!(answer.contains("HttpRequestDenied"), "{url}: {answer}");
    }
    let denied = [("capability", "http"), ("component", "fetch")];
    let line = host.wait_for_event("component.denied", &denied).await?;
    for told in [&*format!("localhost:{port}"), "components.fetch.allow.http"] {
        assert!(line.names(told), "`{told}` is not in {line}");
    }
    let denied = r#"hive_denied_total{capability="http",component="fetch"}"#;
    assert_eq!(host.metric(denied).await?, 5.0);
    assert_eq!(server.requests() + allowed.requests(), 0);
    Ok(())
}

#[tokio::test]
async fn a_redirect_does_not_lead_out_of_the_list() -> Result<()> {
    let (server, allowed) = (WebServer::start().await?, WebServer::start().await?);
    let (port, from) = (server.port(), allowed.port());
    let (vhost, _host) = consuming("http", fetching(&[format!("localhost:{from}")])).await?;
    let inside = format!("http://localhost:{from}/to?http://localhost:{from}/hello");
    assert_eq!(fetch(&vhost, &inside).await?, "200 hello");
    let outside = format!("http://localhost:{from}/to?http://localhost:{port}/hello");
    let answer = fetch(&vhost, &outside).await?;
    assert!(answer.contains("HttpRequestDenied"), "{answer}");
    assert_eq!(server.requests(), 0);
    Ok(())
}

/// The machine's own name, which everywhere leads to an address of its own or of its network.
async fn own_name(port: u16) -> Result<(String, BTreeSet<SocketAddr>)> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let name = name.trim().to_owned();
    let found = lookup_host((name.as_str(), port)).await;
    let found = found.with_context(|| format!("this machine's name {name:?} leads nowhere"))?;
    let found = found.collect();
    Ok((name, found))
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_unless_the_address_is_named_too() -> Result<()> {
    let server = WebServer::start().await?;
    let (name, addresses) = own_name(server.port()).await?;
    let url = format!("http://{name}:{}/hello", server.port());
    let by_name = format!("{name}:{}", server.port());

    let (vhost, host) = consuming("http", fetching(std::slice::from_ref(&by_name))).await?;
    let answer = fetch(&vhost, &url).await?;
    assert!(answer.contains("DestinationIpProhibited"), "{answer}");
    let line = host
        .wait_for_event_naming("component.denied", &name)
        .await?;
    assert!(line.names("components.fetch.allow.http"), "{line}");
    assert_eq!(server.requests(), 0);

    let hosts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let hosts = [&[by_name], &hosts[..]].concat();
    let (vhost, _host) = consuming("http", fetching(&hosts)).await?;
    assert_eq!(fetch(&vhost, &url).await?, "200 hello");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_silent_holds_a_call_no_longer_than_its_timeout() -> Result<()> {
    let server = WebServer::start().await?;
    let at = format!("localhost:{}", server.port());
    let keys = format!("timeout = \"2s\"\nallow = {{ http = [{at:?}] }}");
    let (vhost, _host) = consuming("http", asked("fetch", &keys)).await?;
    let silence = Message::new(format!("http://{at}/silence"));
    let patient = silence.clone().header("first-byte-ms", 50);
    let answer = ask(&vhost, patient).await?;
    assert!(answer.contains("ConnectionReadTimeout"), "{answer}");
    vhost.publish("", "letters", silence).await?;
    let half = Message::new(format!("http://{at}/half"));
    vhost.publish("", "letters", half).await?;
    for dead in vhost.take("letters.dead", 2).await? {
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("timeout"));
    }
    assert_eq!(
        fetch(&vhost, &format!("http://{at}/hello")).await?,
        "200 hello"
    );
    Ok(())
}

#[tokio::test]
async fn an_instance_holds_no_more_connections_than_it_may() -> Result<()> {
    let server = WebServer::start().await?;
    let at = format!("localhost:{}", server.port());
    let keys = format!("allow = {{ http = [{at:?}] }}");
    let (vhost, host) = consuming("http", asked("many-fetches", &keys)).await?;
    let answer = ask(&vhost, Message::new(format!("http://{at}/silence"))).await?;
    assert!(answer.contains("ConnectionLimitReached"), "{answer}");
    host.wait_for_event_naming("component.denied", "32 connections")
        .await?;
    let denied = r#"hive_denied_total{capability="http",component="many-fetches"}"#;
    assert_eq!(host.metric(denied).await?, 100.0 - 32.0);
    assert!(
        host.count_events("component.denied", &[("capability", "http")]) <= 10,
        "a flood fills the log"
    );
    assert!(server.requests() <= 32);
    Ok(())
}

#[tokio::test]
async fn https_is_spoken_with_whom_the_machine_trusts() -> Result<()> {
    let authority = Authority::new("authority of the web")?;
    let server = WebServer::start_tls(&authority.server("web", &["localhost"])?).await?;
    let url = format!("https://localhost:{}/hello", server.port());
    let toml = fetching(&[format!("localhost:{}", server.port())]);
    let vhost = Broker::shared().await?.vhost("https").await?;
    let path = scratch("https").join("hive.toml");
    std::fs::write(&path, toml.text(&vhost))?;
    let trusting = authority.certificate().to_string_lossy();
    let host = HostProcess::launch_file(&path, &[("SSL_CERT_FILE", &trusting)])?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    assert_eq!(fetch(&vhost, &url).await?, "200 hello");

    let (vhost, _host) = consuming("https", toml).await?;
    let answer = fetch(&vhost, &url).await?;
    assert!(answer.contains("TlsCertificateError"), "{answer}");
    assert_eq!(server.requests(), 1);
    Ok(())
}

/// A folder with a file `inside/note`, a file `secret` beside it, and links from the one to the other.
fn folder() -> Result<PathBuf> {
    let folder = scratch("dirs");
    let inside = folder.join("inside");
    std::fs::create_dir(&inside)?;
    std::fs::write(inside.join("note"), "a note")?;
    std::fs::write(folder.join("secret"), "a secret")?;
    std::os::unix::fs::symlink(folder.join("secret"), inside.join("absolute"))?;
    std::os::unix::fs::symlink("../secret", inside.join("relative"))?;
    std::os::unix::fs::symlink("..", inside.join("up"))?;
    Ok(inside)
}

fn with_dir(path: &Path, write: bool) -> HiveToml {
    let keys =
        format!("allow = {{ dirs = [{{ host = {path:?}, guest = \"/data\", write = {write} }}] }}");
    asked("files", &keys)
}

async fn to_file(vhost: &Vhost, what: &str, path: &str) -> Result<String> {
    let message = Message::new("written by a guest")
        .text_header("do", what)
        .text_header("path", path);
    ask(vhost, message).await
}

#[tokio::test]
async fn a_directory_is_read_and_not_left_and_not_changed() -> Result<()> {
    let inside = folder()?;
    let (vhost, host) = consuming("dirs", with_dir(&inside, false)).await?;
    assert_eq!(to_file(&vhost, "read", "/data/note").await?, "done: a note");
    for (what, path) in [
        ("read", "/data/../secret"),
        ("read", "/data/absolute"),
        ("read", "/data/relative"),
        ("read", "/data/up/secret"),
        ("read", "/etc/passwd"),
        ("read", "secret"),
        ("write", "/data/note"),
        ("write", "/data/new"),
        ("make", "/data/folder"),
        ("remove", "/data/note"),
        ("rename", "/data/note"),
        ("link", "/data/note"),
    ] {
        let answer = to_file(&vhost, what, path).await?;
        assert!(answer.starts_with("failed"), "{what} {path}: {answer}");
    }
    let line = host
        .wait_for_event_naming("component.denied", "open \"../secret\"")
        .await?;
    assert!(line.names("components.files.allow.dirs"), "{line}");
    host.wait_for_event_naming("component.denied", "make the directory \"folder\"")
        .await?;
    host.wait_for_event_naming("component.denied", "remove \"note\"")
        .await?;
    host.wait_for_event_naming("component.denied", "rename \"note to note.new\"")
        .await?;
    host.wait_for_event_naming("component.denied", "link \"note as note.new\"")
        .await?;
    assert_eq!(std::fs::read_to_string(inside.join("note"))?, "a note");
    assert_eq!(std::fs::read_dir(&inside)?.count(), 4);
    Ok(())
}

#[tokio::test]
async fn a_directory_to_write_in_is_written_in_and_not_left() -> Result<()> {
    let inside = folder()?;
    let (vhost, _host) = consuming("dirs", with_dir(&inside, true)).await?;
    assert_eq!(
        to_file(&vhost, "write", "/data/new").await?,
        "done: written"
    );
    assert_eq!(
        std::fs::read_to_string(inside.join("new"))?,
        "written by a guest"
    );
    assert_eq!(
        to_file(&vhost, "remove", "/data/note").await?,
        "done: removed"
    );
    for path in [
        "/data/../secret",
        "/data/absolute",
        "/data/relative",
        "/data/up/secret",
    ] {
        let answer = to_file(&vhost, "write", path).await?;
        assert!(answer.starts_with("failed"), "{path}: {answer}");
    }
    let secret = inside.with_file_name("secret");
    assert_eq!(std::fs::read_to_string(secret)?, "a secret");
    Ok(())
}

#[tokio::test]
async fn without_a_directory_there_are_no_files() -> Result<()> {
    let (vhost, host) = consuming("dirs", asked("files", "")).await?;
    for path in ["/etc/passwd", "hive.toml", "/proc/self/environ", "."] {
        let answer = to_file(&vhost, "read", path).await?;
        assert!(answer.starts_with("failed"), "{path}: {answer}");
    }
    host.wait_for_event("component.no_directories", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_directory_that_is_gone_spends_no_retry() -> Result<()> {
    let inside = folder()?;
    let keys = format!(
        "instances = \"fresh\"\nallow = {{ dirs = [{{ host = {inside:?}, guest = \"/data\" }}] }}"
    );
    let (vhost, host) = consuming("dirs", asked("files", &keys)).await?;
    let away = inside.with_file_name("away");
    std::fs::rename(&inside, &away)?;
    let message = Message::new("")
        .text_header("do", "read")
        .text_header("path", "/data/note");
    vhost.publish("", "letters", message).await?;
    host.wait_for_event("delivery.kept", &[]).await?;
    std::fs::rename(&away, &inside)?;
    assert_eq!(vhost.take_one("out").await?.text(), "done: a note");
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// The guest `publish` or `copied`, with a list of where it may publish.
fn publishing(guest: &str, allowed: &str) -> HiveToml {
    let keys = format!("allow = {{ publish = {allowed} }}");
    asked(guest, &keys).queue("other", "").queue("audit", "")
}

#[tokio::test]
async fn a_publication_that_is_not_allowed_fails_its_delivery_and_none_is_published() -> Result<()>
{
    let toml = publishing("publish", r#"[":out", ":aud*"]"#);
    let (vhost, mut host) = consuming("publish", toml).await?;
    let both = |second: &str| {
        Message::new("hello")
            .text_header("routing-key", "out")
            .text_header("second-routing-key", second)
    };
    vhost.publish("", "letters", both("other")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    for told in [
        "publication 2 of 2",
        "\"other\"",
        "components.publish.allow.publish",
    ] {
        assert!(error.contains(told), "`{told}` is not in {error}");
    }
    vhost.publish("", "letters", both("audit")).await?;
    assert_eq!(vhost.take_one("audit").await?.text(), "hello");
    assert_eq!(vhost.take_one("out").await?.text(), "hello");
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(
        vhost.ready("out").await?,
        0,
        "nothing of the first was published"
    );
    assert_eq!(vhost.ready("other").await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_empty_list_allows_no_publication_and_every_other_answer() -> Result<()> {
    let (vhost, _host) = consuming("publish", publishing("publish", "[]")).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("ack", "allow = { publish = [] }")
        .consumer("letters", "ack", "");
    let (vhost, mut host) = consuming("publish", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    acknowledged(&host, 1.0).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

/// The broker sends a message to the queues of such a header too.
#[tokio::test]
async fn a_header_with_further_routing_keys_does_not_lead_out_of_the_list() -> Result<()> {
    let (vhost, _host) =
        consuming("publish", publishing("copied", r#"[":out", ":audit"]"#)).await?;
    vhost
        .publish("", "letters", Message::new(r#"["other"]"#))
        .await?;
    let dead = vhost.take_one("letters.dead").await?;
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    assert!(
        error.contains("\"other\"") && error.contains("\"CC\""),
        "{error}"
    );
    vhost
        .publish("", "letters", Message::new(r#"["audit"]"#))
        .await?;
    assert_eq!(vhost.take_one("audit").await?.text(), "hello");
    assert_eq!(vhost.ready("other").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_component_sees_the_variables_that_are_named_and_its_clocks() -> Result<()> {
    let toml = asked("environment", r#"allow = { env = ["SEEN", "NOT_SET"] }"#);
    let vhost = Broker::shared().await?.vhost("env").await?;
    let path = scratch("env").join("hive.toml");
    std::fs::write(&path, toml.text(&vhost))?;
    let variables = [("SEEN", "yes"), ("HIDDEN", "a secret")];
    let host = HostProcess::launch_file(&path, &variables)?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    let told = ask(&vhost, Message::new("")).await?;
    let mut lines: Vec<&str> = told.lines().collect();
    lines.retain(|line| !line.starts_with("seconds "));
    assert_eq!(
        lines,
        ["variable SEEN=yes", "passed true", "random true"],
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_name_the_environment_is_empty_and_the_key_is_told() -> Result<()> {
    let (vhost, host) = consuming("env", asked("environment", "")).await?;
    let told = ask(&vhost, Message::new("")).await?;
    assert!(!told.contains("variable"), "{told}");
    host.wait_for_event("component.no_environment", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn there_are_no_sockets_and_no_key_for_them() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let datagrams = UdpSocket::bind(address).await?;
    // Outgoing HTTP to the same place opens no socket.
    let keys = format!("allow = {{ http = [\"{address}\"] }}");
    let (vhost, host) = consuming("sockets", asked("sockets", &keys)).await?;
    assert_eq!(
        ask(&vhost, Message::new(address.to_string())).await?,
        "worked: "
    );
    host.wait_for_event("component.denied", &[("capability", "sockets")])
        .await?;
    let nothing = datagrams.try_recv(&mut [0; 16]);
    assert!(nothing.is_err(), "a datagram came");
    Ok(())
}

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

#[test]
fn a_component_with_another_sum_is_refused() -> Result<()> {
    let good = check(&asked("ack", "").text_for(NO_BROKER))?;
    let sum = good
        .stdout
        .split("sha256 ")
        .nth(1)
        .and_then(|rest| rest.get(..64))
        .context("check tells the sum")?;
    let upper = format!("sha256 = \"{}\"", sum.to_uppercase());
    let same = check(&asked("ack", &upper).text_for(NO_BROKER))?;
    assert_eq!(same.code, Some(0), "{}", same.stderr);
    let other = "0".repeat(64);
    let refused = check(&asked("ack", &format!("sha256 = \"{other}\"")).text_for(NO_BROKER))?;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let file = guest("ack").to_string_lossy().into_owned();
    for told in [sum, &other, &file] {
        let stderr = &refused.stderr;
        assert!(stderr.contains(told), "`{told}` is not in {stderr}");
    }
    Ok(())
}

#[test]
fn check_tells_what_is_imported_and_what_is_granted() -> Result<()> {
    let keys = r#"allow = { http = ["api.example.com", "[::1]:8080"], publish = [":out"] }"#;
    let finished = check(&asked("fetch", keys).text_for(NO_BROKER))?;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let line = |of: &str| {
        let mut lines = finished.stdout.lines();
        let found = lines.find(|line| line.contains(of));
        found.with_context(|| format!("{of} is not in {}", finished.stdout))
    };
    assert!(line("imports wasi:http/outgoing-handler")?.ends_with("api.example.com, [::1]:8080"));
    assert!(line("imports wasi:cli/environment")?.contains("components.fetch.allow.env"));
    assert!(line("imports wasi:io/poll")?.ends_with("always"));
    assert!(line("publishes")?.ends_with(":out"));
    Ok(())
}
