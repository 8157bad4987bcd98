//! Hot swap: other code takes over from a component that serves, and nobody notices but by its
//! answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, Commands, Event, Finished, HiveToml, HostProcess, Message, Vhost, eventually, guest,
};
use hive_tests::{scratch, text_guest};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// A host whose component `versions` is a file that the test may put other code into.
pub(super) struct Stage {
    pub(super) vhost: Vhost,
    pub(super) host: HostProcess,
    pub(super) folder: PathBuf,
}

impl Stage {
    pub(super) async fn set(
        label: &str,
        component_keys: &str,
        consumer_keys: &str,
    ) -> Result<Self> {
        let folder = scratch(label);
        let code = folder.join("versions.wasm");
        std::fs::copy(guest("first"), &code)?;
        Self::set_with(label, folder, &code, component_keys, consumer_keys).await
    }

    async fn set_with(
        label: &str,
        folder: PathBuf,
        code: &Path,
        component_keys: &str,
        consumer_keys: &str,
    ) -> Result<Self> {
        let vhost = Broker::shared().await?.vhost(label).await?;
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component_at("versions", code, component_keys)
            .consumer("letters", "versions", consumer_keys);
        let host = HostProcess::run_file(&vhost, &toml, &folder.join("hive.toml")).await?;
        Ok(Self {
            vhost,
            host,
            folder,
        })
    }

    pub(super) fn toml(&self) -> PathBuf {
        self.folder.join("hive.toml")
    }

    /// `hive-host swap hive.toml versions ARGUMENTS`.
    pub(super) async fn swap(&self, arguments: &[&str]) -> Result<Finished> {
        let arguments = [&["versions"], arguments].concat();
        self.host.told("swap", &self.toml(), &arguments).await
    }

    async fn swap_to(&self, code: &Path) -> Result<Finished> {
        self.swap(&[&code.to_string_lossy()]).await
    }

    /// What the component answers now.
    pub(super) async fn answer(&self) -> Result<String> {
        let message = Message::new("hello");
        self.vhost.publish("", "letters", message).await?;
        let answer = self.vhost.take_one("out").await?.text();
        let name = answer.split(' ').next();
        Ok(name.unwrap_or_default().to_owned())
    }

    /// Publishes so many numbers.
    pub(super) async fn load(&self, count: usize) -> Result<()> {
        for portion in 0..count / 1000 {
            let numbers =
                (0..1000).map(|number| Message::new((portion * 1000 + number).to_string()));
            self.vhost.publish_all("", "letters", numbers).await?;
        }
        Ok(())
    }

    /// Takes the answers to so many numbers: one to each. Gives how many each version has answered.
    pub(super) async fn answers(&self, count: usize) -> Result<BTreeMap<String, usize>> {
        let mut answered: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut taken = 0;
        let take = self.vhost.take_until("out", |answer| {
            let text = answer.text();
            let (version, number) = text.split_once(' ').unwrap_or_default();
            answered
                .entry(number.parse().unwrap_or(usize::MAX))
                .or_default()
                .push(version.to_owned());
            taken += 1;
            taken == count
        });
        take.await?;
        assert_eq!(answered.len(), count, "some messages were not answered");
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for (number, versions) in &answered {
            assert_eq!(
                versions.len(),
                1,
                "message {number} was answered by {versions:?}"
            );
            *by.entry(versions[0].clone()).or_default() += 1;
        }
        Ok(by)
    }

    /// By the host's own word, nothing became of a delivery but an ack.
    pub(super) async fn assert_all_handled(&self) -> Result<()> {
        for other in ["retried", "dead_lettered", "requeued", "lost"] {
            let series =
                format!(r#"hive_deliveries_total{{consumer="letters",outcome="{other}"}}"#);
            assert_eq!(self.host.metric(&series).await? as usize, 0, "{other}");
        }
        Ok(())
    }

    /// What `/v1/components` says of it.
    pub(super) async fn shown(&self) -> Result<Value> {
        let body = self.host.admin("/v1/components").await?.body;
        Ok(serde_json::from_str::<Value>(&body)?[0].clone())
    }

    /// Waits until this generation serves.
    async fn wait_for_generation(&self, generation: u64) -> Result<()> {
        let look = async || Ok(self.shown().await?["generation"].as_u64());
        let what = format!("generation {generation} serves");
        eventually(&what, look, |now| *now == Some(generation)).await?;
        Ok(())
    }
}

pub(super) fn succeeded(finished: &Finished) -> Result<()> {
    ensure!(finished.code == Some(0), "{finished:?}");
    Ok(())
}

#[tokio::test]
async fn a_swap_shows_both_versions_and_goes_back() -> Result<()> {
    let stage = Stage::set("swap", "", "").await?;
    assert_eq!(stage.answer().await?, "first");
    let first = stage.shown().await?["sha256"].clone();

    let swapped = stage.swap_to(&guest("second")).await?;
    succeeded(&swapped)?;
    assert!(swapped.stdout.contains("generation 1") && swapped.stdout.contains("generation 2"));
    assert_eq!(stage.answer().await?, "second");
    let second = stage.shown().await?["sha256"].clone();
    assert_ne!(first, second);
    // The old one's warm instance heard why it goes.
    stage
        .host
        .wait_for_printed("ends because of StopReason::Swap")
        .await?;
    let series = r#"hive_component_generation{component="versions"}"#;
    assert_eq!(stage.host.metric(series).await? as u64, 2);

    let back = stage.swap(&["--back", "--json"]).await?;
    succeeded(&back)?;
    let back: Value = serde_json::from_str(&back.stdout)?;
    assert_eq!(
        (&back["done"], &back["after"]["sha256"]),
        (&"swapped".into(), &first)
    );
    assert_eq!(stage.answer().await?, "first");
    assert_eq!(stage.shown().await?["generation"], 3);

    // Without a file, the one that hive.toml names.
    std::fs::copy(guest("second"), stage.folder.join("versions.wasm"))?;
    succeeded(&stage.swap(&[]).await?)?;
    assert_eq!(stage.answer().await?, "second");
    Ok(())
}

#[tokio::test]
async fn a_swap_to_the_same_code_changes_nothing_and_is_no_way_back() -> Result<()> {
    let stage = Stage::set("swap", "", "").await?;
    succeeded(&stage.swap_to(&guest("second")).await?)?;
    let second = guest("second");
    let second = second.to_string_lossy();
    let same: [&[&str]; 2] = [&[&second], &[&second, "--canary", "50%"]];
    for arguments in same {
        let swapped = stage.swap(arguments).await?;
        succeeded(&swapped)?;
        assert!(swapped.stdout.contains("nothing changed"), "{swapped:?}");
    }
    assert_eq!(stage.shown().await?["generation"], 2);
    // The code before is that of another file, however often this one was sent.
    succeeded(&stage.swap(&["--back"]).await?)?;
    assert_eq!(stage.answer().await?, "first");
    // As the file that hive.toml names has it.
    let swapped = stage.swap(&[]).await?;
    assert!(swapped.stdout.contains("nothing changed"), "{swapped:?}");
    assert_eq!(stage.shown().await?["generation"], 3);
    Ok(())
}

#[tokio::test]
async fn the_way_back_leads_to_other_code_and_not_to_other_settings() -> Result<()> {
    let stage = Stage::set("swap", "", "").await?;
    std::fs::copy(guest("second"), stage.folder.join("versions.wasm"))?;
    succeeded(&stage.swap(&[]).await?)?;
    // The same code, with another limit: a generation of its own.
    let toml = std::fs::read_to_string(stage.toml())?;
    let limited = toml.replace("path = ", "timeout = \"4s\"\npath = ");
    ensure!(limited != toml, "{toml}");
    std::fs::write(stage.toml(), limited)?;
    succeeded(&stage.host.told("reload", &stage.toml(), &[]).await?)?;
    assert_eq!(stage.shown().await?["generation"], 3);
    succeeded(&stage.swap(&["--back"]).await?)?;
    assert_eq!(stage.answer().await?, "first");
    Ok(())
}

/// The counts of a decision in the words of the command, from the fields of its event.
fn counts(event: &Event) -> String {
    let field = |name| event.field(name).unwrap_or_default();
    format!(
        "{} of its {} deliveries failed, and {} of {} of the old version's",
        field("failed"),
        field("deliveries"),
        field("current_failed"),
        field("current_deliveries")
    )
}

#[tokio::test]
async fn what_is_broken_in_any_way_leaves_the_old_one_serving() -> Result<()> {
    let stage = Stage::set("broken", "config = { start = \"trap\" }", "").await?;
    let file = |name: &str, content: &[u8]| -> Result<PathBuf> {
        let path = stage.folder.join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    };
    let import = r#"(component (import "acme:billing/rates@1.0.0" (instance (export "rate" (func (result u32))))))"#;
    let half = std::fs::read(guest("second"))?;
    let cases = [
        (file("no.wasm", b"hello")?, "it is not WebAssembly"),
        (
            file("cut.wasm", &half[..half.len() / 2])?,
            "failed to parse WebAssembly",
        ),
        (
            file("world.wasm", &wat::parse_str("(component)")?)?,
            "hive:consumer/handler",
        ),
        (
            file("import.wasm", &wat::parse_str(import)?)?,
            "acme:billing/rates@1.0.0",
        ),
        (text_guest("start-traps")?, "unreachable"),
        (guest("bad-start"), "boom in start"),
    ];
    for (number, (code, cause)) in cases.iter().enumerate() {
        let refused = stage.swap_to(code).await?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(cause), "{cause}: {refused:?}");
        assert_eq!(stage.answer().await?, "first", "after {}", code.display());
        stage
            .host
            .wait_for_events("component.swap_refused", &[], number + 1)
            .await?;
    }
    assert_eq!(stage.shown().await?["generation"], 1);
    let unknown = stage.host.told("swap", &stage.toml(), &["version"]).await?;
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("did you mean `versions`?"),
        "{unknown:?}"
    );
    let no_way_back = stage.swap(&["--back"]).await?;
    assert!(
        no_way_back.stderr.contains("no way back"),
        "{no_way_back:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_canary_that_fails_half_of_its_deliveries_is_rolled_back_by_itself() -> Result<()> {
    let stage = Stage::set("canary", "", r#"retry = { limit = 5, delays = ["10ms"] }"#).await?;
    let code = guest("half");
    let code = code.to_string_lossy();
    let arguments = [&*code, "--canary", "20%", "--deliveries", "100"];
    let swap = stage.swap(&arguments);
    let traffic = async {
        stage.host.wait_for_event("canary.started", &[]).await?;
        let numbers = (0..400).map(|number| Message::new(number.to_string()));
        stage.vhost.publish_all("", "letters", numbers).await
    };
    let (swapped, sent) = tokio::join!(swap, traffic);
    sent?;
    let swapped = swapped?;
    assert_eq!(swapped.code, Some(1), "{swapped:?}");
    assert!(swapped.stderr.contains("rolled back"), "{swapped:?}");
    let line = stage.host.wait_for_event("canary.rolled_back", &[]).await?;
    assert_eq!(line.field("current_failed").as_deref(), Some("0"), "{line}");
    assert!(
        swapped.stderr.contains(&counts(&line)),
        "{swapped:?}: {line}"
    );
    // What it failed at was retried, and handled by the one that serves.
    let answers = stage.vhost.take("out", 400).await?;
    assert!(
        answers
            .iter()
            .any(|answer| answer.text().starts_with("half "))
    );
    assert_eq!(stage.answer().await?, "first");
    assert_eq!(stage.shown().await?["generation"], 1);
    Ok(())
}

#[tokio::test]
async fn a_sound_canary_is_promoted_by_itself() -> Result<()> {
    let stage = Stage::set("canary", "", "").await?;
    let code = guest("second");
    let code = code.to_string_lossy();
    let arguments = [&*code, "--canary", "25%", "--deliveries", "50"];
    let swap = stage.swap(&arguments);
    let traffic = async {
        stage.host.wait_for_event("canary.started", &[]).await?;
        // While it is on trial nothing else takes over.
        let busy = stage
            .host
            .command("/v1/components/versions/swap", JSON)
            .await?;
        assert_eq!(busy.status, 409, "{}", busy.body);
        let numbers = (0..400).map(|number| Message::new(number.to_string()));
        stage.vhost.publish_all("", "letters", numbers).await
    };
    let (swapped, sent) = tokio::join!(swap, traffic);
    sent?;
    let swapped = swapped?;
    succeeded(&swapped)?;
    let line = stage.host.wait_for_event("canary.promoted", &[]).await?;
    assert!(
        swapped.stdout.contains(&counts(&line)),
        "{swapped:?}: {line}"
    );
    assert_eq!(line.field("deliveries").as_deref(), Some("50"), "{line}");
    let answers = stage.vhost.take("out", 400).await?;
    let first = answers
        .iter()
        .filter(|answer| answer.text().starts_with("first "))
        .count();
    // Three of four until the fiftieth of the others: what was in hand then may add a few.
    assert!(
        (140..=170).contains(&first),
        "{first} of 400 by the old one"
    );
    assert_eq!(stage.answer().await?, "second");
    Ok(())
}

pub(super) const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn a_canary_can_be_ended_by_hand() -> Result<()> {
    let stage = Stage::set("canary", "", "").await?;
    let code = guest("second");
    let canary = ["--canary", "1%", "--no-wait"];
    succeeded(
        &stage
            .swap(&[&[&*code.to_string_lossy()], &canary[..]].concat())
            .await?,
    )?;
    assert_eq!(stage.shown().await?["canary"]["generation"], 2);
    let ended = stage.swap(&["--back"]).await?;
    succeeded(&ended)?;
    assert!(ended.stdout.contains("off trial"), "{ended:?}");
    assert!(stage.shown().await?.get("canary").is_none());
    assert_eq!(stage.answer().await?, "first");
    // The canary was the second one, whatever became of it.
    succeeded(&stage.swap_to(&guest("second")).await?)?;
    assert_eq!(stage.shown().await?["generation"], 3);
    Ok(())
}

#[tokio::test]
async fn a_watched_file_is_swapped_however_it_changes_and_not_half_written() -> Result<()> {
    let stage = Stage::set("watch", "watch = true", "").await?;
    let code = stage.folder.join("versions.wasm");
    assert_eq!(stage.answer().await?, "first");

    // By rename.
    let next = stage.folder.join("next.wasm");
    std::fs::copy(guest("second"), &next)?;
    std::fs::rename(&next, &code)?;
    stage.wait_for_generation(2).await?;
    assert_eq!(stage.answer().await?, "second");

    // In place, by somebody who takes a while: what is there meanwhile is not taken.
    let content = std::fs::read(guest("first"))?;
    let mut file = std::fs::File::create(&code)?;
    for part in content.chunks(content.len() / 8 + 1) {
        std::io::Write::write_all(&mut file, part)?;
        sleep(Duration::from_millis(60)).await;
    }
    drop(file);
    stage.wait_for_generation(3).await?;
    assert_eq!(stage.answer().await?, "first");
    assert_eq!(stage.host.count_events("component.swap_refused", &[]), 0);

    // The same content again is no other version.
    std::fs::write(&code, &content)?;
    std::fs::copy(guest("second"), &next)?;
    std::fs::rename(&next, &code)?;
    stage.wait_for_generation(4).await?;

    // What does not run is told, and the old one serves.
    std::fs::write(&code, b"\0asm but not much more")?;
    stage
        .host
        .wait_for_event("component.swap_refused", &[])
        .await?;
    assert_eq!(stage.answer().await?, "second");
    Ok(())
}

#[tokio::test]
async fn a_watched_file_that_changes_during_a_trial_is_taken_after_it() -> Result<()> {
    let stage = Stage::set("put-off", "watch = true", "").await?;
    let canary = guest("half");
    let arguments = [&*canary.to_string_lossy(), "--canary", "1%", "--no-wait"];
    succeeded(&stage.swap(&arguments).await?)?;
    let next = stage.folder.join("next.wasm");
    std::fs::copy(guest("second"), &next)?;
    std::fs::rename(&next, stage.folder.join("versions.wasm"))?;
    stage
        .host
        .wait_for_event("component.swap_postponed", &[])
        .await?;
    assert_eq!(stage.shown().await?["generation"], 1);
    succeeded(&stage.swap(&["--back"]).await?)?;
    stage.wait_for_generation(3).await?;
    assert_eq!(stage.answer().await?, "second");
    // However often it was asked for.
    assert_eq!(stage.host.count_events("component.swap_postponed", &[]), 1);
    assert_eq!(stage.host.count_events("component.swap_refused", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn a_watched_file_may_be_reached_through_symlinks_that_change() -> Result<()> {
    // As a ConfigMap of Kubernetes is laid out: the file leads through a folder that is a symlink.
    let folder = scratch("links");
    for (version, name) in [("one", "first"), ("two", "second")] {
        std::fs::create_dir(folder.join(version))?;
        std::fs::copy(guest(name), folder.join(version).join("versions.wasm"))?;
    }
    std::os::unix::fs::symlink("one", folder.join("..data"))?;
    let code = folder.join("versions.wasm");
    std::os::unix::fs::symlink("..data/versions.wasm", &code)?;
    let stage = Stage::set_with("links", folder, &code, "watch = true", "").await?;
    assert_eq!(stage.answer().await?, "first");
    let new = stage.folder.join("..data_tmp");
    std::os::unix::fs::symlink("two", &new)?;
    std::fs::rename(&new, stage.folder.join("..data"))?;
    stage.wait_for_generation(2).await?;
    assert_eq!(stage.answer().await?, "second");
    Ok(())
}

#[tokio::test]
async fn commands_are_taken_from_whoever_may_give_them() -> Result<()> {
    let stage = Stage::set("guard", "", "").await?;
    let swap = "/v1/components/versions/swap";
    for (headers, status) in [
        ("content-type: text/plain\r\n", 415),
        ("", 415),
        (JSON, 200),
    ] {
        let answer = stage.host.command(swap, headers).await?;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
    }
    // These answers do not depend on the headers.
    for (path, status) in [("/v1/nothing", 404), ("/v1/status", 405)] {
        let answer = stage.host.command(path, "").await?;
        assert_eq!(answer.status, status, "POST {path}: {}", answer.body);
        assert!(answer.body.contains(path), "{}", answer.body);
    }
    for (path, status) in [("/nothing", 404), ("/v1/reload", 405)] {
        let answer = stage.host.admin(path).await?;
        assert_eq!(answer.status, status, "GET {path}: {}", answer.body);
    }
    let token = "0123456789abcdef";
    let vhost = Broker::shared().await?.vhost("guard").await?;
    let folder = scratch("guard");
    let toml = HiveToml::one("letters", "ack", "").host("admin_token = \"file:token\"");
    std::fs::write(folder.join("token"), format!("{token}\n"))?;
    let file = folder.join("hive.toml");
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let reload = "/v1/reload";
    let without = host.command(reload, JSON).await?;
    assert_eq!(without.status, 401);
    assert!(without.body.contains("HIVE-0506"), "{}", without.body);
    let with = |token: &str| format!("{JSON}authorization: Bearer {token}\r\n");
    assert_eq!(
        host.command(reload, &with("0123456789abcdee"))
            .await?
            .status,
        401
    );
    assert_eq!(host.command(reload, &with(token)).await?.status, 200);
    // The command line reads it from the same file.
    succeeded(&host.told("reload", &file, &[]).await?)?;
    assert!(!host.mentions(token), "the token is in the log");
    Ok(())
}

/// How many messages are sent while swaps go on, and how many swaps.
const MESSAGES: usize = 40_000;
const SWAPS: usize = 50;

#[tokio::test]
async fn fifty_swaps_under_full_load_lose_nothing_and_repeat_nothing() -> Result<()> {
    let stage = Stage::set("load", "", "prefetch = 256\nconcurrency = 2").await?;
    let versions = [
        std::fs::read(guest("second"))?,
        std::fs::read(guest("first"))?,
    ];
    let load = stage.load(MESSAGES);
    let swaps = async {
        let code = stage.folder.join("next.wasm");
        let began = Instant::now();
        for number in 0..SWAPS {
            std::fs::write(&code, &versions[number % 2])?;
            succeeded(&stage.swap_to(&code).await?)?;
            // Spread over the load.
            sleep(Duration::from_millis(60)).await;
        }
        anyhow::Ok(began.elapsed())
    };
    let answers = stage.answers(MESSAGES);
    let (loaded, swapped, by) = tokio::join!(load, swaps, answers);
    loaded?;
    let by = by?;
    let took = swapped.context("a swap failed")?;
    assert_eq!(stage.shown().await?["generation"], SWAPS as u64 + 1);
    assert_eq!(by.len(), 2, "both versions answer: {by:?}");
    stage.assert_all_handled().await?;
    report(&format!(
        "{SWAPS} swaps in {took:?} under load; answered by each version: {by:?}"
    ));
    Ok(())
}

/// Messages a second while the latency of swaps is looked at, how many at a time, and for how long.
const RATE: u32 = 2000;
const PORTION: u32 = 20;
const PORTIONS: u32 = 600;

/// No limit is asserted: on a machine that does other things too it would say more about those. It is
/// printed, and fails where a swap holds deliveries up for good.
#[tokio::test]
async fn what_a_swap_adds_to_the_latency_is_told() -> Result<()> {
    let stage = Stage::set("latency", "", "prefetch = 256\nconcurrency = 2").await?;
    let began = Instant::now();
    let load = async {
        let mut next = began;
        for _ in 0..PORTIONS {
            tokio::time::sleep_until(next).await;
            next += Duration::from_secs(1) * PORTION / RATE;
            let sent = began.elapsed().as_micros().to_string();
            let messages = (0..PORTION).map(|_| Message::new(sent.clone()));
            stage.vhost.publish_all("", "letters", messages).await?;
        }
        anyhow::Ok(())
    };
    let swaps = async {
        let versions = [guest("second"), guest("first")];
        let mut windows = Vec::new();
        for number in 0..20 {
            sleep(Duration::from_millis(250)).await;
            let from = began.elapsed();
            succeeded(&stage.swap_to(&versions[number % 2]).await?)?;
            windows.push((from, began.elapsed()));
        }
        anyhow::Ok(windows)
    };
    let mut latencies: Vec<(Duration, Duration)> = Vec::new();
    let answers = async {
        stage
            .vhost
            .take_until("out", |answer| {
                let text = answer.text();
                let sent = text.split(' ').nth(1).and_then(|sent| sent.parse().ok());
                let sent = Duration::from_micros(sent.unwrap_or_default());
                latencies.push((sent, began.elapsed() - sent));
                latencies.len() == (PORTION * PORTIONS) as usize
            })
            .await
    };
    let (loaded, windows, answered) = tokio::join!(load, swaps, answers);
    loaded?;
    answered?;
    let windows = windows?;
    let during = |sent: Duration| {
        windows
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&sent))
    };
    let (mut swapping, mut steady): (Vec<_>, Vec<_>) =
        latencies.into_iter().partition(|(sent, _)| during(*sent));
    ensure!(!swapping.is_empty(), "no message was sent during a swap");
    let p99 = |latencies: &mut Vec<(Duration, Duration)>| {
        latencies.sort_by_key(|(_, latency)| *latency);
        latencies[latencies.len() * 99 / 100].1
    };
    let (swapping, steady) = (p99(&mut swapping), p99(&mut steady));
    let added = swapping.saturating_sub(steady);
    report(&format!(
        "p99 from publishing to the answer at {RATE} messages a second: {steady:?}, during {} swaps \
         {swapping:?}: {added:?} more",
        windows.len()
    ));
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "figures are for whoever runs the test with --nocapture"
)]
fn report(text: &str) {
    println!("{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_sent_is_told_before_anything_is_sent() -> Result<()> {
    let folder = scratch("swap-unsent");
    let large = folder.join("large.wasm");
    std::fs::File::create(&large)?.set_len(300 << 20)?;
    let pipe = folder.join("pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    assert!(made.success());
    // No host runs: the file is at fault first.
    let toml = folder.join("hive.toml");
    std::fs::write(&toml, "")?;
    let commands = Commands::on_file(&toml, &[]);
    for (file, says) in [
        (
            large.as_path(),
            "has 300 MiB, and a running host is sent 256 MiB at most",
        ),
        (pipe.as_path(), "it is a pipe, not a regular file"),
        (Path::new("/dev/zero"), "it is a device, not a regular file"),
    ] {
        let file = file.to_string_lossy();
        let ended = commands.run(&["swap"], &["letters", &file]).await?;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
    Ok(())
}
