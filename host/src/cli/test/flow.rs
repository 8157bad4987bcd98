//! Runs a case of the whole hive.toml: host and broker in this process, on a clock that is turned.

mod queues;
mod stage;
mod turning;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hive_config::cases::{Act, FlowCase, QueueMatch, Step};
use tokio::time::Instant;

use self::stage::Stage;
use super::compare::{Differences, differs};
use super::offline::Offline;
use super::pool;
use super::report::Ended;
use crate::cli::Exit;
use crate::cli::invoke::log::{Line, Log};

/// Lines of the log that are shown where a case fails.
const LINES: usize = 40;

/// Runs these cases of a hive.toml, side by side; the results are in their order.
pub(super) fn run_all(
    cases: &[&FlowCase],
    hive_toml: &Path,
    threads: usize,
) -> Result<Vec<Ended>, Exit> {
    pool::run(cases, threads, |log| {
        Ok(move |case: &&FlowCase| run(case, hive_toml, &log))
    })
}

/// Runs a case on this thread, on a runtime of its own: what a case leaves behind is no part of the next one.
fn run(case: &FlowCase, hive_toml: &Path, log: &Log) -> Ended {
    let begun = Instant::now();
    let network = Arc::new(Offline::new(&case.http));
    let mut differences = match pool::runtime() {
        Ok(runtime) => {
            let found = runtime.block_on(play(case, hive_toml, &network));
            runtime.shutdown_background();
            found
        }
        Err(reason) => vec![differs("start", reason)],
    };
    differences.extend(network.differences());
    let lines = log.take();
    let shown = lines.len().saturating_sub(LINES);
    Ended {
        name: case.name.clone(),
        line: case.line,
        differences,
        log: lines[shown..].iter().map(Line::text).collect(),
        took: begun.elapsed(),
    }
}

async fn play(case: &FlowCase, hive_toml: &Path, network: &Arc<Offline>) -> Differences {
    match Stage::set(hive_toml, network).await {
        Ok(mut stage) => {
            let found = match stage.ready().await {
                Ok(()) => steps(case, &mut stage).await,
                Err(reason) => vec![differs("start", reason)],
            };
            stage.clear().await;
            found
        }
        Err(reason) => vec![differs("start", reason)],
    }
}

/// Carries the steps out, up to the first one that is not as expected: later ones would fail because of it.
async fn steps(case: &FlowCase, stage: &mut Stage) -> Differences {
    // From here on `not-before` is counted. Where it moves, it moves by what the clock was turned, and not by the
    // moments that the steps took: a message that is late by them is not early.
    let mut begun = stage.now();
    for (index, Step { act, line }) in case.steps.iter().enumerate() {
        let at = format!("steps[{index}]");
        let mut found = match act {
            Act::Turn(time) => {
                stage.turn(*time).await;
                begun += *time;
                Differences::new()
            }
            Act::Publish(publication, times) => {
                begun = stage.now();
                match stage.publish(publication, *times).await {
                    Ok(()) => Differences::new(),
                    Err(reason) => vec![differs(&format!("{at}.publish"), reason)],
                }
            }
            Act::Expect(expected) => {
                let turned = stage.turned();
                let found = expect(expected, begun, stage, &format!("{at}.expect")).await;
                begun += stage.turned() - turned;
                found
            }
        };
        if !found.is_empty() {
            found.push(differs("step", format!("in line {line} of the file")));
            return found;
        }
    }
    Differences::new()
}

/// Turns the clock until a queue is as expected. `begun` is when `not-before` begins, by that clock.
///
/// The queue is looked at when the host has no message in flight, so that the result does not depend on how far it is.
async fn expect(
    expected: &QueueMatch,
    begun: Duration,
    stage: &mut Stage,
    at: &str,
) -> Differences {
    let earliest = begun + expected.not_before;
    let deadline = stage.now() + expected.within;
    loop {
        let now = stage.now();
        let is_late = now >= deadline;
        if is_late || stage.is_still() {
            let waiting = stage.waiting(&expected.queue);
            if waiting == Some(expected.count) {
                break;
            }
            if is_late {
                return vec![differs(at, missed(expected, waiting, stage))];
            }
        }
        let is_early = now < earliest;
        stage
            .go_on(if is_early { earliest } else { deadline })
            .await;
    }
    let passed = stage.now().saturating_sub(begun);
    if passed < expected.not_before {
        let words = format!(
            "{:?} has {} messages after {passed:?}, and must not have them before {:?}",
            expected.queue, expected.count, expected.not_before
        );
        return vec![differs(at, words)];
    }
    match &expected.messages {
        Some(messages) => queues::compare(expected, messages, stage, at).await,
        None => Differences::new(),
    }
}

/// A queue that did not get what it should: what there is, and where the messages are instead.
fn missed(expected: &QueueMatch, waiting: Option<usize>, stage: &Stage) -> String {
    let QueueMatch {
        queue,
        count,
        within,
        ..
    } = expected;
    let got = match waiting {
        Some(got) => format!("{got} after {within:?} on the turned clock"),
        None => format!("there is no queue of this name, after {within:?} on the turned clock"),
    };
    format!(
        "expected {count} messages in {queue:?}, got {got}\n{}",
        stage.queues()
    )
}
