//! What a shadow must not do, and whatever else a component is called by: batches, requests over HTTP, deliveries with a
//! key.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Vhost, WebServer, eventually, guest, scratch,
};
use serde_json::Value;

use super::shadow::again;
use super::swap::succeeded;
use crate::http::client;

/// A host with one component, and the same code as its shadow.
struct Bench {
    vhost: Vhost,
    host: HostProcess,
    folder: PathBuf,
    component: String,
}

impl Bench {
    /// `toml` has the component with the code of `guest`.
    async fn set(component: &str, code: PathBuf, toml: HiveToml) -> Result<Self> {
        let vhost = Broker::shared().await?.vhost("shadow-apart").await?;
        let folder = scratch("shadow-apart");
        let host = HostProcess::run_file(&vhost, &toml, &folder.join("hive.toml")).await?;
        let bench = Self {
            vhost,
            host,
            folder,
            component: component.to_owned(),
        };
        let shadow = again(&code, &bench.folder)?;
        bench.shadow(&shadow).await?;
        Ok(bench)
    }

    async fn shadow(&self, code: &Path) -> Result<()> {
        let code = code.to_string_lossy();
        let arguments = [&*self.component, &code, "--shadow", "--no-wait"];
        let file = self.folder.join("hive.toml");
        succeeded(&self.host.told("swap", &file, &arguments).await?)
    }

    /// One guest of the queue `letters`, which answers to `out`.
    async fn of(name: &str, component_keys: &str, consumer_keys: &str) -> Result<Self> {
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component(name, component_keys)
            .consumer("letters", name, consumer_keys);
        Self::set(name, guest(name), toml).await
    }

    async fn ask(&self, message: Message) -> Result<String> {
        self.vhost.publish("", "letters", message).await?;
        Ok(self.vhost.take_one("out").await?.text())
    }

    async fn shown(&self) -> Result<Value> {
        let body = self.host.admin("/v1/components").await?.body;
        Ok(serde_json::from_str::<Value>(&body)?[0]["shadow"].take())
    }

    /// Waits until the shadow has handled so many deliveries.
    async fn repeated(&self, count: u64) -> Result<Value> {
        let handled = |shadow: &Value| {
            let of = |key: &str| shadow[key].as_u64().unwrap_or_default();
            of("compared") + of("not_comparable") == count
        };
        eventually("the shadow has repeated them", || self.shown(), handled).await
    }

    /// Nothing but what was taken has come to `out`.
    async fn assert_silent(&self) -> Result<()> {
        let more = self.vhost.drain("out").await?;
        ensure!(more.is_empty(), "{more:?}");
        Ok(())
    }
}

/// Why the deliveries could not be compared: for one reason alone.
fn reason(shadow: &Value) -> &str {
    let reasons = shadow["reasons"].as_array();
    assert_eq!(reasons.map(Vec::len), Some(1), "{shadow}");
    shadow["reasons"][0]["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn it_finds_the_store_as_the_current_version_did_and_writes_nothing() -> Result<()> {
    let keys = "allow = { keyvalue = [\"box\"] }";
    let bench = Bench::of("keyvalue", keys, "").await?;
    let mut asked = Vec::new();
    for number in 1..=20 {
        asked.push(("box increment n 1".to_owned(), number.to_string()));
        asked.push((format!("box set k{number} v"), "done".to_owned()));
        asked.push(("box exists only".to_owned(), "false".to_owned()));
        asked.push((format!("box get-many k{number} n"), format!("v {number}")));
    }
    for (request, answer) in &asked {
        assert_eq!(
            bench.ask(Message::new(&**request)).await?,
            *answer,
            "{request}"
        );
    }
    let shadow = bench.repeated(80).await?;
    assert_eq!(shadow["same"], 80, "{shadow}");
    // Had its writes come to the store, there would be twice as many.
    assert_eq!(bench.ask(Message::new("box get n")).await?, "20");
    assert_eq!(bench.ask(Message::new("box count")).await?, "21");
    let shadow = bench.repeated(82).await?;
    assert!(reason(&shadow).contains("lists the keys"), "{shadow}");
    bench.assert_silent().await
}

#[tokio::test]
async fn it_sends_no_request_over_http() -> Result<()> {
    let server = WebServer::start().await?;
    let at = format!("localhost:{}", server.port());
    let bench = Bench::of("fetch", &format!("allow = {{ http = [{at:?}] }}"), "").await?;
    for _ in 0..5 {
        let url = format!("http://{at}/hello");
        assert_eq!(bench.ask(Message::new(url)).await?, "200 hello");
    }
    let shadow = bench.repeated(5).await?;
    assert_eq!(shadow["compared"], 0, "{shadow}");
    assert!(reason(&shadow).contains("over HTTP"), "{shadow}");
    assert_eq!(server.requests(), 5);
    // A host that is not named is denied to both alike.
    let denied = bench.ask(Message::new("http://localhost:1/hello")).await?;
    assert!(denied.contains("HttpRequestDenied"), "{denied}");
    let shadow = bench.repeated(6).await?;
    assert_eq!(shadow["same"], 1, "{shadow}");
    bench.assert_silent().await
}

#[tokio::test]
async fn it_sends_no_request_over_the_broker() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .queue("rpc.a", "")
        .component("request", "allow = { request = [\":rpc.*\"] }")
        .consumer("letters", "request", "");
    let bench = Bench::set("request", guest("request"), toml).await?;
    let asked = Message::new("- rpc.a - one");
    bench.vhost.publish("", "letters", asked).await?;
    let request = bench.vhost.take_one("rpc.a").await?;
    let to = request.properties.reply_to().clone().unwrap_or_default();
    let id = request
        .properties
        .correlation_id()
        .clone()
        .unwrap_or_default();
    let reply = Message::new("1").with(|properties| properties.with_correlation_id(id));
    bench.vhost.publish("", to.as_str(), reply).await?;
    assert_eq!(bench.vhost.take_one("out").await?.text(), "one: 1 (1)");
    let shadow = bench.repeated(1).await?;
    assert!(reason(&shadow).contains("over the broker"), "{shadow}");
    ensure!(bench.vhost.drain("rpc.a").await?.is_empty());
    bench.assert_silent().await
}

#[tokio::test]
async fn it_changes_no_object() -> Result<()> {
    let folder = scratch("shadow-objects");
    let keys = format!(
        "allow = {{ blobstore = {{ box = \"file:{}\" }} }}",
        folder.display()
    );
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("objects", &keys)
        .consumer("letters", "objects", "");
    let bench = Bench::set("objects", guest("objects"), toml).await?;
    let mut handled = 0;
    let asked = [
        ("box put a one", "done", "changes objects"),
        ("box copy a box b", "done", "changes objects"),
        ("box delete b", "done", "changes objects"),
    ];
    for (request, answer, told) in asked {
        assert_eq!(bench.ask(Message::new(request)).await?, answer, "{request}");
        handled += 1;
        let shadow = bench.repeated(handled).await?;
        assert!(reason(&shadow).contains(told), "{shadow}");
    }
    // What is only read is compared.
    assert_eq!(bench.ask(Message::new("box get a")).await?, "one");
    let shadow = bench.repeated(handled + 1).await?;
    assert_eq!(shadow["same"], 1, "{shadow}");
    bench.assert_silent().await
}

#[tokio::test]
async fn it_changes_no_file() -> Result<()> {
    let folder = scratch("shadow-files");
    let keys =
        format!("allow = {{ dirs = [{{ host = {folder:?}, guest = \"/data\", write = true }}] }}");
    let bench = Bench::of("files", &keys, "").await?;
    let file = |what: &str, body: &str| {
        let message = Message::new(body).text_header("do", what);
        message.text_header("path", "/data/a")
    };
    assert_eq!(bench.ask(file("write", "one")).await?, "done: written");
    let shadow = bench.repeated(1).await?;
    assert!(reason(&shadow).contains("changes files"), "{shadow}");
    assert_eq!(bench.ask(file("rename", "")).await?, "done: renamed");
    bench.repeated(2).await?;
    assert!(folder.join("a.new").is_file() && !folder.join("a").exists());
    bench.assert_silent().await
}

#[tokio::test]
async fn a_batch_is_repeated_as_a_batch() -> Result<()> {
    let keys = r#"batch = { size = 20, wait = "50ms" }"#;
    let bench = Bench::of("first-batch", "", keys).await?;
    let numbers = (0..40).map(|number| Message::new(number.to_string()));
    bench.vhost.publish_all("", "letters", numbers).await?;
    bench.vhost.take("out", 40).await?;
    let shadow = bench.repeated(40).await?;
    assert_eq!(shadow["same"], 40, "{shadow}");
    let file = bench.folder.join("hive.toml");
    let dropped = bench
        .host
        .told("swap", &file, &["first-batch", "--drop"])
        .await?;
    succeeded(&dropped)?;
    bench.shadow(&guest("second-batch")).await?;
    bench
        .vhost
        .publish("", "letters", Message::new("41"))
        .await?;
    bench.vhost.take_one("out").await?;
    let shadow = bench.repeated(1).await?;
    assert_eq!(shadow["different"], 1, "{shadow}");
    bench.assert_silent().await
}

#[tokio::test]
async fn a_repeat_that_is_not_handled_is_not_copied() -> Result<()> {
    let bench = Bench::of("echo", "", "dedup = { key = \"message-id\" }").await?;
    let known_as = |id: &str| Message::new("x").with(|one| one.with_message_id(id.into()));
    for id in ["a", "b", "a", "b", "c"] {
        bench.vhost.publish("", "letters", known_as(id)).await?;
    }
    bench.vhost.take("out", 3).await?;
    let repeats = r#"hive_deliveries_total{consumer="letters",outcome="duplicate"}"#;
    let look = || bench.host.metric(repeats);
    eventually("both repeats are passed over", look, |seen| *seen == 2.0).await?;
    let shadow = bench.repeated(3).await?;
    assert_eq!(shadow["same"], 3, "{shadow}");
    bench.assert_silent().await
}

#[tokio::test]
async fn requests_over_http_are_copied_too() -> Result<()> {
    let folder = scratch("shadow-http-code");
    let code = folder.join("first.wasm");
    std::fs::copy(guest("first"), &code)?;
    let toml = HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("out", "")
        .component_at("first", &code, "")
        .section("http", "listen = \"127.0.0.1:0\"")
        .section(
            "http.routes.\"POST /t\"",
            "component = \"first\"\naccept = [\"json\", \"raw\"]",
        );
    let (vhost, host, port) = client::serving("shadow-http", &toml).await?;
    std::fs::rename(again(&code, &folder)?, &code)?;
    let path = "/v1/components/first/swap?shadow=true";
    let swapped = host.command(path, client::JSON).await?;
    assert_eq!(swapped.status, 200, "{swapped:?}");
    for number in 0..3 {
        let answer = client::request(port, "POST /t", client::JSON, &number.to_string()).await?;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let look = async || {
        let body = host.admin("/v1/components").await?.body;
        Ok(serde_json::from_str::<Value>(&body)?[0]["shadow"].take())
    };
    let all = |shadow: &Value| shadow["same"] == 3;
    eventually("three requests are compared", look, all).await?;
    assert_eq!(vhost.take("out", 3).await?.len(), 3);
    let more = vhost.drain("out").await?;
    ensure!(more.is_empty(), "{more:?}");
    Ok(())
}

#[tokio::test]
async fn a_consumer_with_routes_has_none() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("shadow-routes").await?;
    let file = scratch("shadow-routes").join("hive.toml");
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .routes(
            "letters",
            r#"{ when = "body.total > 1000", publish = { exchange = "", routing_key = "out" } }"#,
            "otherwise = \"ack\"",
        );
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let refused = host.told("swap", &file, &["letters", "--shadow"]).await?;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("is a consumer with routes"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_messages_sees_where_answers_differ_and_not_what_they_are() -> Result<()> {
    for (keys, headers, shows) in [
        ("", "", true),
        ("", "x-forwarded-for: 10.0.0.1\r\n", false),
        ("admin_bodies = false", "", false),
    ] {
        let toml = HiveToml::new()
            .host(keys)
            .queue("letters", "")
            .queue("out", "")
            .component("first", "")
            .consumer("letters", "first", "");
        let bench = Bench::set("first", guest("second"), toml).await?;
        assert_eq!(bench.ask(Message::new("secret")).await?, "first secret");
        let shadow = bench.repeated(1).await?;
        let place = &shadow["differences"][0]["places"][0]["place"];
        assert_eq!(place, "publications[0].body", "{shadow}");
        for path in ["/v1/components", "/v1/status"] {
            let body = bench.host.admin_with(path, headers).await?.body;
            assert!(body.contains("\"different\":1"), "{path}: {body}");
            let shown = body.contains("second secret");
            assert_eq!(shown, shows, "{path} {keys} {headers}: {body}");
        }
    }
    Ok(())
}
