//! Shadows: a new version gets a copy of each delivery. Its answers are compared and dropped.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use hive_tests::{Finished, Message, eventually, guest};
use serde_json::Value;

use super::swap::{JSON, Stage, succeeded};

/// Numbers that are published at once: a shadow has room for as many.
const PORTION: usize = 100;

const UNDER_LOAD: usize = 20_000;

const KEYS: &str = "prefetch = 256\nconcurrency = 2";

/// The same code under another checksum: with a section in it that says nothing.
pub(super) fn again(code: &Path, folder: &Path) -> Result<PathBuf> {
    const SECTION: &[u8] = b"\0\x06\x05again";
    let again = [&std::fs::read(code)?, SECTION].concat();
    let path = folder.join("again.wasm");
    std::fs::write(&path, again)?;
    Ok(path)
}

/// Has a version get copies.
pub(super) async fn start(stage: &Stage, code: &Path) -> Result<()> {
    let code = code.to_string_lossy();
    succeeded(&stage.swap(&[&code, "--shadow", "--no-wait"]).await?)
}

/// Waits until this holds of the shadow.
async fn wait_until(
    stage: &Stage,
    what: &str,
    holds: impl Fn(&Value) -> bool + Send + Sync,
) -> Result<Value> {
    let look = async || Ok(stage.shown().await?["shadow"].take());
    eventually(what, look, holds).await
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Publishes numbers, so many that a shadow keeps up, until `work` is done. Gives how many.
async fn fed<T>(stage: &Stage, work: impl Future<Output = T>) -> Result<(T, usize)> {
    let is_done = AtomicBool::new(false);
    let working = async {
        let done = work.await;
        is_done.store(true, Ordering::Relaxed);
        done
    };
    let feeding = async {
        let mut sent = 0;
        while !is_done.load(Ordering::Relaxed) {
            let numbers = (sent..sent + PORTION).map(|number| Message::new(number.to_string()));
            stage.vhost.publish_all("", "letters", numbers).await?;
            sent += PORTION;
            wait_acked(stage, sent).await?;
        }
        anyhow::Ok(sent)
    };
    let (done, sent) = tokio::join!(working, feeding);
    Ok((done, sent?))
}

async fn wait_acked(stage: &Stage, count: usize) -> Result<()> {
    let series = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
    let look = async || Ok(stage.host.metric(series).await? as usize);
    eventually("they are acknowledged", look, |acked| *acked >= count).await?;
    Ok(())
}

/// Nothing was published but what was taken. RabbitMQ may give back what was acknowledged right before its channel was
/// closed.
async fn nothing_more(stage: &Stage) -> Result<()> {
    let more = stage.vhost.drain("out").await?;
    let new = more.iter().find(|message| !message.redelivered);
    ensure!(new.is_none(), "{new:?}");
    Ok(())
}

/// Swaps as a shadow and waits for the report, while numbers come. Nobody but the first version has answered them.
async fn reported(stage: &Stage, code: &Path, deliveries: &str) -> Result<Finished> {
    let code = code.to_string_lossy();
    let swap = async {
        let arguments = [&*code, "--shadow", "--deliveries", deliveries];
        stage.swap(&arguments).await
    };
    let (reported, sent) = fed(stage, swap).await?;
    let by = stage.answers(sent).await?;
    ensure!(by.len() == 1 && by.contains_key("first"), "{by:?}");
    stage.assert_all_handled().await?;
    nothing_more(stage).await?;
    reported
}

#[tokio::test]
async fn the_same_answers_are_reported_and_none_of_them_is_published() -> Result<()> {
    let stage = Stage::set("shadow-same", "", KEYS).await?;
    let code = again(&guest("first"), &stage.folder)?;
    let reported = reported(&stage, &code, "300").await?;
    succeeded(&reported)?;
    assert!(
        reported.stdout.contains("the same, 0 different"),
        "{reported:?}"
    );
    let shown = stage.shown().await?;
    assert_eq!(shown["generation"], 1, "{shown}");
    let shadow = &shown["shadow"];
    assert_eq!(shadow["generation"], 2, "{shadow}");
    assert_eq!(shadow["all_same"], true, "{shadow}");
    assert!(number(&shadow["compared"]) >= 300, "{shadow}");
    assert!(shadow["median_ms"].as_f64() > Some(0.0), "{shadow}");
    let started = [("component", "versions"), ("generation", "2")];
    stage
        .host
        .wait_for_event("shadow.started", &started)
        .await?;
    stage
        .host
        .wait_for_event("shadow.compared", &started)
        .await?;
    // It goes on, and says so.
    let status = stage.host.told("status", &stage.toml(), &[]).await?;
    assert!(
        status.stdout.contains("generation 2, a shadow:"),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test]
async fn other_answers_are_told_with_both_and_the_exit_code_is_1() -> Result<()> {
    let stage = Stage::set("shadow-other", "", KEYS).await?;
    let reported = reported(&stage, &guest("second"), "50").await?;
    assert_eq!(reported.code, Some(1), "{reported:?}");
    for told in [
        "0 the same",
        "of letters differs",
        "current  publish 1: to queue \"out\" \"first ",
        "new      publish 1: to queue \"out\" \"second ",
        "publications[0].body: current \"first ",
    ] {
        assert!(reported.stdout.contains(told), "{told}: {reported:?}");
    }
    let shadow = stage.shown().await?["shadow"].take();
    let differences = shadow["differences"].as_array().map(Vec::len);
    assert_eq!(differences, Some(10), "{shadow}");
    assert!(number(&shadow["different"]) >= 50, "{shadow}");
    assert_eq!(
        (&shadow["failed"], &shadow["current_failed"]),
        (&0.into(), &0.into())
    );
    Ok(())
}

#[tokio::test]
async fn a_shadow_that_traps_or_loops_fails_alone() -> Result<()> {
    for code in ["trap", "spin"] {
        let stage = Stage::set("shadow-fails", "timeout = \"200ms\"", KEYS).await?;
        let reported = reported(&stage, &guest(code), "20").await?;
        assert_eq!(reported.code, Some(1), "{code}: {reported:?}");
        let shadow = stage.shown().await?["shadow"].take();
        let (compared, failed) = (number(&shadow["compared"]), number(&shadow["failed"]));
        assert!(compared >= 20 && failed == compared, "{code}: {shadow}");
        assert_eq!(shadow["current_failed"], 0, "{code}: {shadow}");
        // The metrics of the component know nothing of it, and its lines are marked.
        let traps = stage
            .host
            .metric(r#"hive_traps_total{component="versions"}"#)
            .await?;
        assert_eq!(traps, 0.0, "{code}");
        let marked = [("component", "versions"), ("shadow", "2")];
        stage
            .host
            .wait_for_event("component.printed", &marked)
            .await?;
        succeeded(&stage.swap(&["--drop"]).await?)?;
        assert_eq!(stage.answer().await?, "first");
    }
    Ok(())
}

#[tokio::test]
async fn a_shadow_that_is_behind_leaves_copies_out_and_holds_nobody_up() -> Result<()> {
    const COUNT: usize = 2_000;
    let stage = Stage::set("shadow-behind", "timeout = \"1m\"", KEYS).await?;
    start(&stage, &guest("spin")).await?;
    let (loaded, by) = tokio::join!(stage.load(COUNT), stage.answers(COUNT));
    loaded?;
    assert_eq!(by?.get("first"), Some(&COUNT));
    nothing_more(&stage).await?;
    stage.assert_all_handled().await?;
    // A hundred wait for it, and two loop.
    let most = COUNT as u64 - 102;
    wait_until(&stage, "copies are left out", |shadow| {
        number(&shadow["left_out"]) == most
    })
    .await?;
    // What loops ends at once with the shadow.
    succeeded(&stage.swap(&["--drop"]).await?)?;
    let last = stage.shown().await?["last_shadow"].take();
    assert_eq!(
        (&last["end"], &last["compared"]),
        (&"dropped".into(), &0.into())
    );
    assert_eq!(stage.answer().await?, "first");
    Ok(())
}

/// Ends a shadow under load; every message has one answer. Gives the count of each version.
async fn ended_under_load(stage: &Stage, flag: &str) -> Result<Vec<(String, usize)>> {
    start(stage, &guest("second")).await?;
    let end = async {
        wait_until(stage, "it has compared some", |shadow| {
            number(&shadow["compared"]) > 10
        })
        .await?;
        succeeded(&stage.swap(&[flag]).await?)
    };
    let (loaded, ended, by) = tokio::join!(stage.load(UNDER_LOAD), end, stage.answers(UNDER_LOAD));
    loaded?;
    ended?;
    let by = by?;
    nothing_more(stage).await?;
    stage.assert_all_handled().await?;
    Ok(by.into_iter().collect())
}

#[tokio::test]
async fn a_shadow_that_is_promoted_serves_and_nothing_is_lost_or_repeated() -> Result<()> {
    let stage = Stage::set("shadow-promoted", "", KEYS).await?;
    let by = ended_under_load(&stage, "--promote").await?;
    assert_eq!(by.len(), 2, "both versions have answered: {by:?}");
    let shown = stage.shown().await?;
    assert_eq!(shown["generation"], 2, "{shown}");
    assert!(shown.get("shadow").is_none(), "{shown}");
    let last = &shown["last_shadow"];
    assert_eq!(
        (&last["end"], &last["generation"]),
        (&"promoted".into(), &2.into())
    );
    assert_eq!(stage.answer().await?, "second");
    stage.host.wait_for_event("shadow.promoted", &[]).await?;
    for flag in ["--promote", "--drop"] {
        let refused = stage.swap(&[flag]).await?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = "the last shadow, generation 2, was promoted";
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    succeeded(&stage.swap(&["--back"]).await?)?;
    assert_eq!(stage.answer().await?, "first");
    Ok(())
}

#[tokio::test]
async fn a_shadow_that_is_dropped_is_gone_and_nothing_is_lost_or_repeated() -> Result<()> {
    let stage = Stage::set("shadow-dropped", "", KEYS).await?;
    let by = ended_under_load(&stage, "--drop").await?;
    assert_eq!(by, [("first".to_owned(), UNDER_LOAD)]);
    let shown = stage.shown().await?;
    assert_eq!(shown["generation"], 1, "{shown}");
    assert_eq!(shown["last_shadow"]["end"], "dropped", "{shown}");
    let by_hand = [("by", "hand")];
    stage
        .host
        .wait_for_event("shadow.dropped", &by_hand)
        .await?;
    Ok(())
}

#[tokio::test]
async fn there_is_one_trial_at_a_time_and_on_one_host() -> Result<()> {
    let stage = Stage::set("shadow-alone", "", "").await?;
    let second = guest("second");
    let second = second.to_string_lossy();
    start(&stage, &guest("second")).await?;
    for more in [&["--canary", "5%"][..], &["--shadow"], &[]] {
        let refused = stage.swap(&[&[&*second], more].concat()).await?;
        assert_eq!(refused.code, Some(1), "{more:?}: {refused:?}");
        assert!(refused.stderr.contains("has a shadow"), "{refused:?}");
    }
    // The way back is out of the trial.
    succeeded(&stage.swap(&["--back"]).await?)?;
    assert!(stage.shown().await?.get("shadow").is_none());
    assert_eq!(stage.answer().await?, "first");
    succeeded(
        &stage
            .swap(&[&second, "--canary", "5%", "--no-wait"])
            .await?,
    )?;
    let refused = stage.swap(&[&second, "--shadow"]).await?;
    assert!(refused.stderr.contains("canary"), "{refused:?}");
    succeeded(&stage.swap(&["--drop"]).await?)?;
    let path = "/v1/components/versions/swap?shadow=true";
    let both = stage
        .host
        .command(&format!("{path}&canary=5"), JSON)
        .await?;
    assert_eq!(both.status, 400, "{both:?}");
    let all = stage
        .host
        .command(&format!("{path}&all_hosts=true"), JSON)
        .await?;
    assert_eq!(all.status, 409, "{all:?}");
    let body = stage.host.admin("/v1/audit").await?.body;
    let audited: Vec<Value> = serde_json::from_str(&body)?;
    let shadows = audited
        .iter()
        .filter(|one| one["arguments"]["shadow"] == "true");
    assert_eq!(
        shadows.filter(|one| one["result"] == "ok").count(),
        1,
        "{body}"
    );
    Ok(())
}

#[tokio::test]
async fn another_version_that_takes_over_ends_a_shadow() -> Result<()> {
    let stage = Stage::set("shadow-replaced", "", "").await?;
    start(&stage, &guest("second")).await?;
    assert_eq!(stage.answer().await?, "first");
    wait_until(&stage, "it is compared", |shadow| shadow["compared"] == 1).await?;
    let toml = std::fs::read_to_string(stage.toml())?;
    let limited = toml.replace("path = ", "timeout = \"4s\"\npath = ");
    ensure!(limited != toml, "{toml}");
    std::fs::write(stage.toml(), limited)?;
    succeeded(&stage.host.told("reload", &stage.toml(), &[]).await?)?;
    let shown = stage.shown().await?;
    assert!(shown.get("shadow").is_none(), "{shown}");
    let last = &shown["last_shadow"];
    assert_eq!(
        (&last["end"], &last["different"]),
        (&"replaced".into(), &1.into())
    );
    let by_swap = [("by", "swap")];
    stage
        .host
        .wait_for_event("shadow.dropped", &by_swap)
        .await?;
    assert_eq!(stage.answer().await?, "first");
    Ok(())
}

#[tokio::test]
async fn a_command_that_waits_learns_that_the_shadow_was_ended() -> Result<()> {
    let stage = Stage::set("shadow-ended", "", "").await?;
    let code = guest("second");
    let code = code.to_string_lossy();
    let arguments = [&*code, "--shadow", "--json"];
    let wait = stage.swap(&arguments);
    let end = async {
        stage.host.wait_for_event("shadow.started", &[]).await?;
        stage.answer().await?;
        wait_until(&stage, "it is compared", |shadow| shadow["compared"] == 1).await?;
        succeeded(&stage.swap(&["--drop"]).await?)
    };
    let (waited, ended) = tokio::join!(wait, end);
    ended?;
    let waited = waited?;
    assert_eq!(waited.code, Some(1), "{waited:?}");
    assert!(
        waited.stderr.contains("was dropped before 200"),
        "{waited:?}"
    );
    let lines: Vec<Value> = waited
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines[0]["done"], "shadowed", "{waited:?}");
    assert_eq!(lines[1]["different"], 1, "{waited:?}");
    Ok(())
}
