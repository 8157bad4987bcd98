//! The commands on a consumer with routes: check, invoke, test, status, swap, reload.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use hive_tests::{
    Broker, Commands, HiveToml, HostProcess, Message, Vhost, eventually, run_to_end, scratch,
};
use serde_json::Value;

use crate::assert_says;

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

const ROUTES: &str = r#"
    { when = "size(body.lines) == 0", reject = "order {{ body.id }} without lines" },
    { when = "body.total > 1000", publish = { exchange = "", routing_key = "out" } }"#;

fn orders(routes: &str) -> HiveToml {
    HiveToml::new().queue("orders", "").queue("out", "").routes(
        "orders",
        routes,
        "otherwise = \"ack\"",
    )
}

/// A hive.toml in a folder of its own.
fn file(toml: &HiveToml) -> Result<PathBuf> {
    let file = scratch("routes").join("hive.toml");
    std::fs::write(&file, toml.text_for(NO_BROKER))?;
    Ok(file)
}

#[tokio::test]
async fn check_tells_of_routes_and_refuses_a_wrong_one_with_its_place() -> Result<()> {
    let good = file(&orders(ROUTES))?.to_string_lossy().into_owned();
    let checked = run_to_end(&["check", &good])?;
    let says = "consumer orders: queue orders -> 2 routes, dead letters to orders.dead";
    assert_says(&checked, 0, &[says, "no faults"]);
    let checked = run_to_end(&["check", "--json", &good])?;
    let told: Value = serde_json::from_str(&checked.stdout)?;
    let consumer = &told["consumers"][0];
    assert_eq!(
        (&consumer["component"], &consumer["routes"]),
        (&Value::Null, &2.into())
    );

    let slip = ROUTES.replace("body.total", "boddy.total");
    let bad = file(&orders(&slip))?.to_string_lossy().into_owned();
    let checked = run_to_end(&["check", "--json", &bad])?;
    ensure!(checked.code == Some(2), "{checked:?}");
    let told: Value = serde_json::from_str(&checked.stdout)?;
    let problem = &told["problems"][0];
    assert_eq!(problem["code"], "HIVE-0137", "{problem}");
    assert_eq!(problem["key"], "consumers.orders.routes[1].when");
    assert!(problem["line"].is_number(), "{problem}");
    let message = problem["message"].as_str().unwrap_or_default();
    assert!(message.contains("did you mean `body`?"), "{message}");
    Ok(())
}

#[tokio::test]
async fn invoke_says_what_the_routes_of_a_consumer_do() -> Result<()> {
    let file = file(&orders(ROUTES))?;
    let config = file.to_string_lossy().into_owned();
    let invoke = async |body: &str, arguments: &[&str]| {
        let arguments = [&["orders", "--config", &config], arguments].concat();
        Commands::anywhere(&[])
            .run_with(&["invoke"], &arguments, body.as_bytes())
            .await
    };
    let message = |body: &str| format!(r#"{{"body": {body:?}}}"#);
    let published = invoke(&message(r#"{"total": 2000, "lines": [1]}"#), &[]).await?;
    assert_says(&published, 0, &["publish 1", "to queue", "out"]);
    let rejected = invoke(&message(r#"{"id": 3, "lines": []}"#), &["--json"]).await?;
    assert_says(&rejected, 0, &["reject", "order 3 without lines"]);
    let acked = invoke(
        &message(r#"{"total": 1, "lines": [1]}"#),
        &["--repeat", "10"],
    )
    .await?;
    assert_says(&acked, 0, &["ack", "10 calls"]);
    let batch = invoke(&message("{}"), &["--batch"]).await?;
    assert_says(&batch, 2, &["routes take messages one by one"]);
    let unknown = run_to_end(&["invoke", "oders", "--config", &config])?;
    assert_says(&unknown, 2, &["did you mean `orders`?"]);
    Ok(())
}

#[tokio::test]
async fn test_runs_cases_on_routes() -> Result<()> {
    let file = file(&orders(ROUTES))?;
    std::fs::write(
        file.with_file_name("routes.test.toml"),
        r#"
        [[component]]
        name = "a large order"
        message = { body-json = { total = 2000, lines = [1] } }
        expect = { publications = [{ exchange = "", routing-key = "out", body-json = { total = 2000, lines = [1] } }] }

        [[component]]
        name = "an order without lines"
        consumer = "orders"
        message = { body-json = { id = 4, lines = [] } }
        expect = { action = "reject", reason = "order 4 without lines" }

        [[component]]
        name = "one that goes wrong"
        message = { body-json = { total = 1, lines = [1] } }
        expect = { action = "publish" }

        [[flow]]
        name = "through the whole file"
        [[flow.steps]]
        publish = { routing-key = "orders", body-json = { total = 2000, lines = [1] } }
        [[flow.steps]]
        expect = { queue = "out", count = 1 }
        "#,
    )?;
    let ran = run_to_end(&["test", &file.to_string_lossy()])?;
    let words = [
        "ok   a large order",
        "ok   an order without lines",
        "expected the action \"publish\", got the action \"ack\"",
        "ok   through the whole file",
        "3 passed, 1 failed",
    ];
    assert_says(&ran, 1, &words);
    Ok(())
}

/// A host with routes, and its file.
struct Stage {
    vhost: Vhost,
    host: HostProcess,
    file: PathBuf,
}

impl Stage {
    async fn set() -> Result<Self> {
        let vhost = Broker::shared().await?.vhost("routes").await?;
        let file = scratch("routes").join("hive.toml");
        let host = HostProcess::run_file(&vhost, &orders(ROUTES), &file).await?;
        Ok(Self { vhost, host, file })
    }
}

#[tokio::test]
async fn status_and_metrics_have_routes_in_the_place_of_a_component() -> Result<()> {
    let Stage {
        vhost,
        mut host,
        file,
    } = Stage::set().await?;
    let order = Message::new(r#"{"total": 2000, "lines": [1]}"#);
    vhost.publish("", "orders", order).await?;
    vhost.take_one("out").await?;
    let status = host.told("status", &file, &["--json"]).await?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    assert_eq!(status["consumers"][0]["component"], "(routes)", "{status}");
    assert_eq!(status["components"], Value::Array(Vec::new()), "{status}");
    let series = r#"hive_handling_seconds_count{component="(routes)",consumer="orders"}"#;
    eventually(
        "it is counted",
        async || host.metric(series).await,
        |count| *count >= 1.0,
    )
    .await?;
    host.stop().await
}

#[tokio::test]
async fn a_swap_is_refused_and_a_reload_changes_the_routes() -> Result<()> {
    let Stage {
        vhost,
        mut host,
        file,
    } = Stage::set().await?;
    let swapped = host.told("swap", &file, &["orders"]).await?;
    assert_says(&swapped, 1, &["a consumer with routes", "reload"]);
    let order = Message::new(r#"{"total": 500, "lines": [1]}"#);
    vhost.publish("", "orders", order.clone()).await?;
    let acked = r#"hive_deliveries_total{consumer="orders",outcome="acked"}"#;
    eventually(
        "it is acknowledged",
        async || host.metric(acked).await,
        |count| *count >= 1.0,
    )
    .await?;
    assert_eq!(vhost.ready("out").await?, 0, "it is too small");

    let lower = orders(&ROUTES.replace("1000", "100"));
    std::fs::write(&file, lower.text(&vhost))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    assert_says(&reloaded, 0, &["consumer orders: changed (routes)"]);
    vhost.publish("", "orders", order.clone()).await?;
    vhost.take_one("out").await?;

    // A wrong route changes nothing.
    let wrong = orders(&ROUTES.replace("1000", ""));
    std::fs::write(&file, wrong.text(&vhost))?;
    let refused = host.told("reload", &file, &[]).await?;
    assert_says(&refused, 2, &["HIVE-0137"]);
    vhost.publish("", "orders", order).await?;
    vhost.take_one("out").await?;

    // The other way round: code takes over from routes.
    let component = HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .component("echo", "")
        .consumer("orders", "echo", "");
    std::fs::write(&file, component.text(&vhost))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    assert_says(&reloaded, 0, &["component unset -> \"echo\"", "routes"]);
    vhost.publish("", "orders", Message::new("hello")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "hello");
    host.stop().await
}
