//! Canaries that an operator ends, before the counts decide.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use hive_tests::{eventually, guest};
use serde_json::Value;

use super::swap::{JSON, Stage, succeeded};

const MESSAGES: usize = 20_000;

/// A canary that the counts would judge much later.
async fn start(stage: &Stage) -> Result<()> {
    let code = guest("second");
    let code = code.to_string_lossy();
    let keys = ["--canary", "20%", "--deliveries", "1000000", "--no-wait"];
    succeeded(&stage.swap(&[&[&*code], &keys[..]].concat()).await?)
}

/// Waits until the canary has handled some.
async fn wait_for_its_deliveries(stage: &Stage) -> Result<()> {
    let look = async || Ok(stage.shown().await?["canary"]["deliveries"].as_u64());
    let some = |count: &Option<u64>| count.is_some_and(|count| count > 100);
    eventually("the canary has deliveries", look, some).await?;
    Ok(())
}

/// Ends a canary under load, and gives how many messages each version has answered: every one of them once.
async fn ended_under_load(stage: &Stage, flag: &str) -> Result<BTreeMap<String, usize>> {
    start(stage).await?;
    let end = async {
        wait_for_its_deliveries(stage).await?;
        succeeded(&stage.swap(&[flag]).await?)
    };
    let (loaded, ended, by) = tokio::join!(stage.load(MESSAGES), end, stage.answers(MESSAGES));
    loaded?;
    ended?;
    let by = by?;
    stage.assert_all_handled().await?;
    Ok(by)
}

async fn audited(stage: &Stage) -> Result<Vec<(String, String)>> {
    let body = stage.host.admin("/v1/audit").await?.body;
    let all: Vec<Value> = serde_json::from_str(&body)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(all
        .iter()
        .map(|one| (text(&one["command"]), text(&one["result"])))
        .collect())
}

fn pair(command: &str, result: &str) -> (String, String) {
    (command.to_owned(), result.to_owned())
}

#[tokio::test]
async fn a_canary_that_is_promoted_by_hand_takes_over_and_nothing_is_lost_or_repeated() -> Result<()>
{
    let stage = Stage::set("promote", "", "prefetch = 256\nconcurrency = 2").await?;
    let by = ended_under_load(&stage, "--promote").await?;
    assert_eq!(by.len(), 2, "both versions have answered: {by:?}");
    let shown = stage.shown().await?;
    assert_eq!(shown["generation"], 2, "{shown}");
    assert!(shown.get("canary").is_none(), "{shown}");
    let last = &shown["last_canary"];
    assert_eq!(
        (&last["promoted"], &last["by_hand"]),
        (&true.into(), &true.into())
    );
    assert_eq!(stage.answer().await?, "second");
    stage
        .host
        .wait_for_event("canary.promoted", &[("by", "hand")])
        .await?;

    // There is none any more, whatever its end is to be.
    for flag in ["--promote", "--roll-back"] {
        let refused = stage.swap(&[flag]).await?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = "no canary or shadow of component \"versions\" is on trial; the last one, generation 2, was promoted";
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    assert_eq!(stage.shown().await?["generation"], 2);
    let commands = audited(&stage).await?;
    for known in [
        pair("promote", "ok"),
        pair("promote", "refused"),
        pair("roll-back", "refused"),
    ] {
        assert!(commands.contains(&known), "{known:?}: {commands:?}");
    }
    // The way back leads to the version before, as after any swap.
    succeeded(&stage.swap(&["--back"]).await?)?;
    assert_eq!(stage.answer().await?, "first");
    Ok(())
}

#[tokio::test]
async fn a_canary_that_is_rolled_back_by_hand_is_gone_and_no_failed_swap() -> Result<()> {
    let stage = Stage::set("roll-back", "", "prefetch = 256\nconcurrency = 2").await?;
    let by = ended_under_load(&stage, "--roll-back").await?;
    assert_eq!(by.len(), 2, "both versions have answered: {by:?}");
    let shown = stage.shown().await?;
    assert_eq!(shown["generation"], 1, "{shown}");
    let last = &shown["last_canary"];
    assert_eq!(
        (&last["promoted"], &last["by_hand"]),
        (&false.into(), &true.into())
    );
    assert_eq!(stage.answer().await?, "first");
    stage.host.wait_for_event("canary.ended", &[]).await?;
    // Nobody is to be woken over it.
    let failed = "hive_swaps_total{component=\"versions\",result=\"rolled_back\"}";
    assert_eq!(stage.host.metric(failed).await?, 0.0);
    Ok(())
}

#[tokio::test]
async fn a_command_that_waits_for_the_verdict_learns_of_an_operators() -> Result<()> {
    let stage = Stage::set("waiting", "", "").await?;
    let code = guest("second");
    let code = code.to_string_lossy();
    let arguments = [&*code, "--canary", "1%", "--deliveries", "1000000"];
    let wait = stage.swap(&arguments);
    let end = async {
        stage.host.wait_for_event("canary.started", &[]).await?;
        let path = "/v1/components/versions/promote";
        let all = stage
            .host
            .command(&format!("{path}?all_hosts=true"), JSON)
            .await?;
        ensure!(all.status == 409, "{all:?}");
        let promoted = stage.host.command(path, JSON).await?;
        ensure!(promoted.status == 200, "{promoted:?}");
        let answer: Value = serde_json::from_str(&promoted.body)?;
        ensure!(answer["done"] == "promoted", "{answer}");
        ensure!(answer["after"]["generation"] == 2, "{answer}");
        anyhow::Ok(())
    };
    let (waited, ended) = tokio::join!(wait, end);
    ended?;
    let waited = waited?;
    succeeded(&waited)?;
    assert!(waited.stdout.contains("promoted by hand"), "{waited:?}");
    let unknown = stage
        .host
        .command("/v1/components/versoins/promote", JSON)
        .await?;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let error: Value = serde_json::from_str(&unknown.body).context("it is JSON")?;
    assert!(
        error["error"]
            .as_str()
            .unwrap_or_default()
            .contains("versions"),
        "{error}"
    );
    Ok(())
}
