//! `hive-host test`: cases that run the whole hive.toml on the broker in the process, with its clock turned.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use hive_tests::{Finished, HiveToml, run_to_end, scratch};
use tokio::time::Instant;

use crate::assert_says;

/// Nothing listens there: a flow case brings its broker.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// The longest that a run may take, whatever time passes in it: a small part of the hours that it turns.
const SOON: Duration = Duration::from_secs(120);

/// Runs these cases on this hive.toml.
fn flows(toml: &HiveToml, cases: &str) -> Result<Finished> {
    let folder: PathBuf = scratch("flows");
    std::fs::write(folder.join("hive.toml"), toml.text_for(NO_BROKER))?;
    std::fs::write(folder.join("a.test.toml"), cases)?;
    run_to_end(&["test", &folder.join("hive.toml").to_string_lossy()])
}

/// A consumer of the queue `letters`, beside a queue `out`.
fn letters(guest: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component(guest, "")
        .consumer("letters", guest, keys)
}

#[tokio::test]
async fn retries_after_hours_take_moments() -> Result<()> {
    let toml = letters(
        "fail-until",
        "retry = { limit = 2, delays = [\"30s\", \"1h\"] }",
    );
    let begun = Instant::now();
    let done = flows(
        &toml,
        r#"
        [[flow]]
        name = "handled at the third attempt"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a", headers = { until = 3 } }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "attempt 3 of a" }], not-before = "1h30s", within = "1h2m" }

        [[flow]]
        name = "dead after three attempts"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "b", message-id = "b-1", headers = { until = 9 } }
        [[flow.steps]]
        turn = "10s"
        [[flow.steps]]
        expect = { queue = "letters.dead", count = 0 }
        [[flow.steps]]
        [flow.steps.expect]
        queue = "letters.dead"
        not-before = "1h20s"
        within = "2h"
        messages = [{ body = "b", message-id = "b-1", headers = { x-hive-reason = "error", x-hive-attempts = 3, x-hive-error = { contains = "attempt 3" } } }]
        [[flow.steps]]
        expect = { queue = "out", count = 0 }
        "#,
    )?;
    assert_says(&done, 0, &["2 passed, 0 failed"]);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn what_never_comes_is_told_with_what_is_where_instead() -> Result<()> {
    let toml = letters("fail-until", "retry = { limit = 0 }");
    let failed = flows(
        &toml,
        r#"
        [[flow]]
        name = "waits in vain"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a", times = 3, headers = { until = 9 } }
        [[flow.steps]]
        expect = { queue = "out", count = 1, within = "5h" }
        [[flow]]
        name = "too early"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a" }
        [[flow.steps]]
        expect = { queue = "out", count = 1, not-before = "1h", within = "2h" }
        [[flow]]
        name = "another body"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a" }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "b" }] }
        [[flow]]
        name = "any order"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a" }
        [[flow.steps]]
        publish = { routing-key = "letters", body = "b" }
        [[flow.steps]]
        expect = { queue = "out", any-order = true, messages = [{ body-regex = "of b$" }, { body-regex = "of c$" }] }
        [[flow]]
        name = "no such queue"
        [[flow.steps]]
        publish = { routing-key = "nowhere", body = "a" }
        "#,
    )?;
    let words = [
        "steps[1].expect: expected 1 messages in \"out\", got 0 after 18000s on the turned clock",
        "in \"letters.dead\": 3 waiting, 0 in flight",
        "\"out\" has 1 messages after",
        "and must not have them before 3600s",
        "steps[1].expect.messages[0].body: expected \"b\", got \"attempt 1 of a\"",
        "steps[2].expect.messages[1]: no message is like this one; those that are left:",
        "steps[0].publish: no queue takes it",
        "0 passed, 5 failed",
    ];
    assert_says(&failed, 1, &words);
    Ok(())
}

#[tokio::test]
async fn the_store_and_the_time_of_day_follow_the_clock() -> Result<()> {
    let dedup = "dedup = { key = \"message-id\", period = \"1h\" }";
    let done = flows(
        &letters("echo", dedup),
        r#"
        [[flow]]
        name = "handled again when it is forgotten"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a", message-id = "1", times = 2 }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "a" }] }
        [[flow.steps]]
        turn = "50m"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "b", message-id = "1" }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "a" }] }
        [[flow.steps]]
        turn = "2h"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "c", message-id = "1" }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "a" }, { body = "c" }] }
        "#,
    )?;
    assert_says(&done, 0, &["1 passed"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let then = (now + Duration::from_secs(100 * 24 * 3600)).as_secs();
    let cases = format!(
        r#"
        [[flow]]
        name = "a component reads the turned clock"
        [[flow.steps]]
        turn = "100d"
        [[flow.steps]]
        publish = {{ routing-key = "letters" }}
        [[flow.steps]]
        expect = {{ queue = "out", messages = [{{ body-schema = {{ type = "integer", minimum = {then} }} }}] }}
        "#
    );
    let done = flows(&letters("clock", ""), &cases)?;
    assert_says(&done, 0, &["1 passed"]);
    Ok(())
}

#[tokio::test]
async fn timers_of_the_host_take_their_own_time() -> Result<()> {
    let batch = letters("batch", "batch = { size = 10, wait = \"300ms\" }");
    let done = flows(
        &batch,
        r#"
        [[flow]]
        name = "a batch is handled when its time has come"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "a", times = 2 }
        [[flow.steps]]
        expect = { queue = "letters", count = 0, not-before = "300ms" }
        "#,
    )?;
    assert_says(&done, 0, &["1 passed"]);
    let ordered = letters(
        "in-order",
        "concurrency = 4\nordered_by = \"header:key\"\nretry = { limit = 1, delays = [\"2s\"] }",
    );
    let done = flows(
        &ordered,
        r#"
        [[flow]]
        name = "a retry holds up its own key alone"
        [[flow.steps]]
        publish = { routing-key = "letters", headers = { key = "k", number = 1, fails = 1 } }
        [[flow.steps]]
        publish = { routing-key = "letters", headers = { key = "k", number = 2 } }
        [[flow.steps]]
        publish = { routing-key = "letters", headers = { key = "other", number = 3 } }
        [[flow.steps]]
        expect = { queue = "out", messages = [{ body = "other 3 1" }, { body = "k 1 2" }, { body = "k 2 1" }] }
        "#,
    )?;
    assert_says(&done, 0, &["1 passed"]);
    // A component that never ends is cut off.
    let spinning = HiveToml::new()
        .queue("letters", "")
        .component("spin", "timeout = \"200ms\"")
        .consumer("letters", "spin", "retry = { limit = 0 }");
    let done = flows(
        &spinning,
        r#"
        [[flow]]
        name = "a loop without an end"
        [[flow.steps]]
        publish = { routing-key = "letters", body = "x" }
        [[flow.steps]]
        expect = { queue = "letters.dead", messages = [{ headers = { x-hive-reason = "timeout" } }] }
        "#,
    )?;
    assert_says(&done, 0, &["1 passed"]);
    Ok(())
}
