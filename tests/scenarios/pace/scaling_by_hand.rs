//! The bounds of `scale`, set by an operator while the host runs.

use anyhow::{Context, Result, ensure};
use hive_tests::{Finished, HiveToml, eventually};
use serde_json::{Value, json};

use super::scaling::{Gate, Stage};
use crate::assert_settled;

const JSON: &str = "content-type: application/json\r\n";

/// So seldom that what happens in a test is not the next look.
const SELDOM: &str = "every = \"1h\"";
const OFTEN: &str = "every = \"100ms\"";

fn keys(every: &str) -> String {
    format!("scale = {{ min = 1, max = 3, messages_per_instance = 10, {every} }}\nprefetch = 64")
}

fn toml(gate: &Gate, every: &str) -> HiveToml {
    gate.toml(&keys(every))
        .queue("others", "")
        .consumer("others", "gate", "concurrency = 2")
}

async fn scale(stage: &Stage, arguments: &[&str]) -> Result<Finished> {
    let arguments = [&["letters"], arguments].concat();
    stage.host.told("scale", &stage.file, &arguments).await
}

async fn scaled(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let scaled = scale(stage, arguments).await?;
    ensure!(scaled.code == Some(0), "{scaled:?}");
    Ok(scaled.stdout)
}

async fn reload(stage: &Stage, toml: &HiveToml) -> Result<()> {
    std::fs::write(&stage.file, toml.text(&stage.vhost))?;
    let reloaded = stage.host.told("reload", &stage.file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    Ok(())
}

/// What the status says of the bounds.
async fn shown(stage: &Stage) -> Result<Value> {
    let status: Value = serde_json::from_str(&stage.host.admin("/v1/status").await?.body)?;
    let all = status["consumers"].as_array().context("consumers")?;
    let letters = all.iter().find(|one| one["consumer"] == "letters");
    Ok(letters.context("letters")?["scale"].clone())
}

fn bounds(min: u16, max: u16, by_hand: bool) -> Value {
    json!({ "min": min, "max": max, "by_hand": by_hand, "written": { "min": 1, "max": 3 } })
}

#[tokio::test]
async fn bounds_that_are_set_hold_at_once_until_a_reload_changes_the_consumer() -> Result<()> {
    let mut stage = Stage::set("bounds", |gate| toml(gate, SELDOM)).await?;
    stage.gate.open()?;
    stage.wait_for_workers(1).await?;
    let told = scaled(&stage, &["--min", "3"]).await?;
    assert!(told.contains("1 to 3 workers -> 3 to 3 workers"), "{told}");
    // Long before the next look at the queue.
    stage.wait_for_workers(3).await?;
    let told = scaled(&stage, &["--min", "4", "--max", "6"]).await?;
    assert!(told.contains("hive.toml has 1 to 3 workers"), "{told}");
    stage.wait_for_workers(4).await?;
    assert_eq!(shown(&stage).await?, bounds(4, 6, true));
    let status = stage.host.told("status", &stage.file, &[]).await?;
    assert!(status.stdout.contains("4 (4 to 6 by hand)"), "{status:?}");
    let demand = stage.host.admin("/v1/consumers/letters/demand").await?;
    let demand: Value = serde_json::from_str(&demand.body)?;
    assert_eq!(demand["workers_most"], 6, "{demand}");

    // A reload that is not about this consumer leaves them.
    let other = toml(&stage.gate, SELDOM).queue("further", "");
    reload(&stage, &other).await?;
    assert_eq!(shown(&stage).await?, bounds(4, 6, true));
    let changed = keys(SELDOM).replace("prefetch = 64", "prefetch = 32");
    reload(&stage, &stage.gate.toml(&changed)).await?;
    stage.wait_for_workers(1).await?;
    assert_eq!(shown(&stage).await?, bounds(1, 3, false));

    scaled(&stage, &["--min", "2"]).await?;
    stage.wait_for_workers(2).await?;
    let told = scaled(&stage, &["--reset"]).await?;
    assert!(told.contains("as hive.toml has it"), "{told}");
    assert_eq!(shown(&stage).await?, bounds(1, 3, false));
    let audit: Vec<Value> = serde_json::from_str(&stage.host.admin("/v1/audit").await?.body)?;
    let set: Vec<_> = audit
        .iter()
        .filter(|one| one["command"] == "scale")
        .collect();
    assert_eq!(set.len(), 4, "{set:?}");
    assert_eq!(set[0]["arguments"], json!({ "reset": "true" }));
    assert_eq!(set[2]["arguments"], json!({ "min": "4", "max": "6" }));
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn workers_that_become_too_many_finish_what_they_have() -> Result<()> {
    let mut stage = Stage::set("bounds-down", |gate| toml(gate, OFTEN)).await?;
    stage.publish(50).await?;
    stage.wait_for_workers(3).await?;
    scaled(&stage, &["--max", "5"]).await?;
    stage.wait_for_workers(5).await?;
    scaled(&stage, &["--max", "1"]).await?;
    let wanted = r#"hive_workers_wanted{consumer="letters"}"#;
    let look = async || stage.host.metric(wanted).await;
    eventually("one is wanted", look, |wanted| *wanted == 1.0).await?;
    stage.gate.open()?;
    stage.wait_until_all_is_handled().await?;
    stage.wait_for_workers(1).await?;
    for outcome in ["retried", "dead_lettered", "requeued"] {
        let series = format!("hive_deliveries_total{{consumer=\"letters\",outcome=\"{outcome}\"}}");
        assert_eq!(stage.host.metric(&series).await?, 0.0, "{outcome}");
    }
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn bounds_that_cannot_be_are_refused_and_change_nothing() -> Result<()> {
    let stage = Stage::set("bounds-refused", |gate| toml(gate, SELDOM)).await?;
    let cases: [(&str, u16, &str); 8] = [
        ("letters/scale?min=4", 422, "4 against 3"),
        ("letters/scale?max=0", 422, "at least 1"),
        ("letters/scale?min=1&max=65", 422, "above 64, got 65"),
        ("letters/scale", 422, "name `min`, `max` or both"),
        ("letters/scale?reset=true&min=1", 400, "does not go with"),
        ("letters/scale?min=many", 400, "min"),
        ("others/scale?min=1", 409, "has no `scale`"),
        ("lettres/scale?min=1", 404, "letters"),
    ];
    for (path, status, said) in cases {
        let path = format!("/v1/consumers/{path}");
        let answer = stage.host.command(&path, JSON).await?;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.body.contains(said), "{path}: {answer:?}");
    }
    assert_eq!(shown(&stage).await?, bounds(1, 3, false));
    // The command line finds some of it itself.
    let misused = scale(&stage, &[]).await?;
    assert_eq!(misused.code, Some(2), "{misused:?}");
    let crossed = scale(&stage, &["--min", "9"]).await?;
    assert!(crossed.stderr.contains("HIVE-0129"), "{crossed:?}");
    Ok(())
}
