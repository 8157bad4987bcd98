//! Reload: hive.toml is read again while the host runs; what changed is applied, and nothing else
//! notices.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use hive_tests::{
    Broker, Finished, HiveToml, HostProcess, Message, Vhost, eventually, guest, scratch,
};

/// A host and the file that it was started with.
struct Stage {
    vhost: Vhost,
    host: HostProcess,
    file: PathBuf,
}

impl Stage {
    async fn set(label: &str, toml: &HiveToml) -> Result<Self> {
        let vhost = Broker::shared().await?.vhost(label).await?;
        let file = scratch(label).join("hive.toml");
        let host = HostProcess::run_file(&vhost, toml, &file).await?;
        Ok(Self { vhost, host, file })
    }

    /// Writes the file anew, and has it read; gives what the command prints.
    async fn reload(&self, toml: &HiveToml) -> Result<String> {
        std::fs::write(&self.file, toml.text(&self.vhost))?;
        let reloaded = self.host.told("reload", &self.file, &[]).await?;
        ensure!(reloaded.code == Some(0), "{reloaded:?}");
        Ok(reloaded.stdout)
    }

    async fn echoes(&self, queue: &str) -> Result<()> {
        self.vhost.publish("", queue, Message::new(queue)).await?;
        assert_eq!(self.vhost.take_one("out").await?.text(), queue);
        Ok(())
    }
}

fn base() -> HiveToml {
    HiveToml::new()
        .queue("out", "")
        .queue("letters", "")
        .component("echo", "")
        .consumer("letters", "echo", "")
}

#[tokio::test]
async fn consumers_and_components_come_and_go_and_the_rest_runs_on() -> Result<()> {
    let stage = Stage::set("reload", &base()).await?;
    stage.echoes("letters").await?;
    let more = base()
        .queue("cards", "")
        .consumer("cards", "echo", "prefetch = 7")
        .queue("notes", "")
        .component("ack", "")
        .consumer("notes", "ack", "");
    let told = stage.reload(&more).await?;
    for line in [
        "component ack: added",
        "consumer cards: added",
        "consumer notes: added",
    ] {
        assert!(told.contains(line), "{told}");
    }
    stage.echoes("cards").await?;
    stage.vhost.wait_ready("notes", 0).await?;
    assert_eq!(stage.vhost.consumers("notes").await?, 1);

    let changed = base().queue("cards", "").consumer(
        "cards",
        "echo",
        "prefetch = 9\nretry = { limit = 2, delays = [\"20ms\"] }",
    );
    let told = stage.reload(&changed).await?;
    for line in [
        "component ack: removed",
        "consumer notes: removed",
        "prefetch 7 -> 9",
    ] {
        assert!(told.contains(line), "{told}");
    }
    stage.echoes("cards").await?;
    stage.echoes("letters").await?;
    let gone = async || stage.vhost.consumers("notes").await;
    eventually("nobody consumes `notes`", gone, |count| *count == 0).await?;
    let (status, readiness) = stage.host.readiness().await?;
    assert_eq!(
        (status, &readiness["consumers"]["wanted"]),
        (200, &2.into())
    );
    // The first one was left alone all along.
    assert_eq!(
        stage
            .host
            .count_events("consumer.subscribed", &[("consumer", "letters")]),
        1
    );
    assert_eq!(stage.host.count_events("link.connected", &[]), 2);
    assert_eq!(
        stage.reload(&changed).await?.trim(),
        format!("nothing has changed in {}", stage.file.display())
    );
    Ok(())
}

#[tokio::test]
async fn a_file_with_any_fault_changes_nothing() -> Result<()> {
    let stage = Stage::set("reload", &base()).await?;
    let good = std::fs::read_to_string(&stage.file)?;
    let not_there = "\n[components.late]\npath = \"late.wasm\"\n[consumers.late]\nqueue = \"late\"\ncomponent = \"late\"\n";
    for (text, cause) in [
        (
            format!("{good}\n[consumers.x]\nqueue = \"x\"\ncomponent = \"ekko\"\n"),
            "the components are: echo",
        ),
        (format!("{good}\n[consumers"), "not valid TOML"),
        (format!("{good}{not_there}"), "late.wasm"),
    ] {
        std::fs::write(&stage.file, &text)?;
        let refused = stage.host.told("reload", &stage.file, &[]).await?;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(cause), "{cause}: {refused:?}");
        stage.echoes("letters").await?;
    }
    assert_eq!(stage.host.count_events("consumer.subscribed", &[]), 1);
    // SIGHUP says the same in the log.
    let before = stage.host.count_events("config.refused", &[]);
    stage.host.sighup();
    stage
        .host
        .wait_for_events("config.refused", &[], before + 1)
        .await?;
    std::fs::write(&stage.file, good)?;
    stage.host.sighup();
    stage.host.wait_for_event("config.unchanged", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn limits_retries_and_queues_that_changed_are_the_new_ones() -> Result<()> {
    let toml = |component: &str, keys: &str| {
        HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component("slow", component)
            .component("fail", "")
            .consumer("letters", "fail", keys)
    };
    let stage = Stage::set("reload", &toml("", "retry = { limit = 0 }")).await?;
    stage
        .vhost
        .publish("", "letters", Message::new("one"))
        .await?;
    stage.vhost.take_one("letters.dead").await?;
    let told = stage
        .reload(&toml(
            "timeout = \"300ms\"",
            "retry = { limit = 1, delays = [\"30ms\"], dead_letter = \"elsewhere\" }",
        ))
        .await?;
    assert!(
        told.contains("component slow: changed (timeout \"5s\" -> \"300ms\")"),
        "{told}"
    );
    stage
        .vhost
        .publish("", "letters", Message::new("two"))
        .await?;
    let dead = stage.vhost.take_one("elsewhere").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    Ok(())
}

#[tokio::test]
async fn what_is_in_hand_is_finished_when_its_consumer_goes() -> Result<()> {
    let with = base().queue("slow", "").component("slow", "").consumer(
        "slow",
        "slow",
        "prefetch = 10\nconcurrency = 2",
    );
    let stage = Stage::set("reload", &with).await?;
    let messages = (0..10).map(|_| Message::new("400"));
    stage.vhost.publish_all("", "slow", messages).await?;
    stage.host.wait_for_printed("started 400").await?;
    let told = stage.reload(&base()).await?;
    assert!(told.contains("consumer slow: removed"), "{told}");
    // Two were in hand and are done, the rest is back.
    let ready = async || stage.vhost.ready("slow").await;
    eventually("the rest is back", ready, |ready| (1..10).contains(ready)).await?;
    assert_eq!(stage.host.count_events("consumer.unfinished", &[]), 0);
    let outcome = r#"hive_deliveries_total{consumer="slow",outcome="abandoned"}"#;
    assert_eq!(stage.host.metric(outcome).await? as usize, 0);
    Ok(())
}

/// The consumers of which the command says this.
fn told_of(finished: &Finished, what: &str) -> usize {
    let lines = finished.stdout.lines();
    lines
        .filter(|line| line.starts_with("consumer ") && line.ends_with(what))
        .count()
}

/// Consumers that come and go, each in a file of its own.
const MANY: usize = 500;

#[tokio::test]
async fn five_hundred_consumers_come_and_go_by_included_files() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("many").await?;
    let folder = scratch("many");
    let file = folder.join("hive.toml");
    let parts = folder.join("consumers.d");
    std::fs::create_dir(&parts)?;
    // One beside the pattern's others, so that it always matches something.
    std::fs::write(parts.join("0.toml"), "")?;
    let text = format!(
        "include = [\"consumers.d/*.toml\"]\n{}",
        base().text(&vhost)
    );
    std::fs::write(&file, &text)?;
    let host = HostProcess::launch_file(&file, &[])?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    let stage = Stage { vhost, host, file };
    stage.echoes("letters").await?;

    for number in 0..MANY {
        let mut part = String::new();
        let queue = format!("many.{number}");
        writeln!(part, "[queues.\"{queue}\"]\ntype = \"classic\"")?;
        writeln!(
            part,
            "[consumers.\"{queue}\"]\nqueue = \"{queue}\"\ncomponent = \"echo\""
        )?;
        writeln!(
            part,
            "prefetch = 1\nconcurrency = 1\nretry = {{ limit = 0, dead_letter = \"many.dead\" }}"
        )?;
        std::fs::write(parts.join(format!("many-{number}.toml")), part)?;
    }
    let reloaded = stage.host.told("reload", &stage.file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    assert_eq!(told_of(&reloaded, "added"), MANY);
    let ready = async || Ok(stage.host.readiness().await?.0);
    hive_tests::eventually_within(
        std::time::Duration::from_secs(60),
        "all consume",
        ready,
        |status| *status == 200,
    )
    .await?;
    for number in [0, MANY / 2, MANY - 1] {
        stage.echoes(&format!("many.{number}")).await?;
    }
    stage.echoes("letters").await?;

    for number in 0..MANY {
        std::fs::remove_file(parts.join(format!("many-{number}.toml")))?;
    }
    let reloaded = stage.host.told("reload", &stage.file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    assert_eq!(told_of(&reloaded, "removed"), MANY);
    let (status, readiness) = stage.host.readiness().await?;
    assert_eq!(
        (status, &readiness["consumers"]["wanted"]),
        (200, &1.into())
    );
    stage.echoes("letters").await?;
    // The one that was there all along never had to subscribe again.
    assert_eq!(
        stage
            .host
            .count_events("consumer.subscribed", &[("consumer", "letters")]),
        1
    );
    assert_eq!(stage.host.count_events("link.lost", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn a_component_is_watched_from_the_reload_on_that_says_so() -> Result<()> {
    let folder = scratch("rewatch");
    let code = folder.join("versions.wasm");
    std::fs::copy(guest("first"), &code)?;
    let toml = |keys: &str| {
        HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .component_at("versions", &code, keys)
            .consumer("letters", "versions", "")
    };
    let stage = Stage::set("rewatch", &toml("")).await?;
    stage.reload(&toml("watch = true")).await?;
    assert_eq!(stage.host.count_events("component.swapped", &[]), 0);
    std::fs::copy(guest("second"), &code)?;
    stage.host.wait_for_event("component.swapped", &[]).await?;
    stage
        .vhost
        .publish("", "letters", Message::new("x"))
        .await?;
    assert_eq!(stage.vhost.take_one("out").await?.text(), "second x");
    Ok(())
}
