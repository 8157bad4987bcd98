//! How many deliveries are handled at once: a fixed number, or as many as the queue asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Vhost, eventually, eventually_within, example,
    example_component, guest, scratch,
};

use crate::assert_settled;
use crate::connection::network::behind_proxy;
use crate::grouping::batches::batches;

/// One for each ten messages, looked at so often that a test need not wait for it.
const SCALE: &str = r#"scale = { min = 1, max = 5, messages_per_instance = 10, every = "100ms" }"#;

/// The same with all that a test publishes handed out at once.
fn all_at_once() -> String {
    format!("{SCALE}\nprefetch = 256")
}

/// What handlers of the guest `gate` wait for.
pub(super) struct Gate {
    folder: PathBuf,
}

impl Gate {
    fn new(label: &str) -> Self {
        Self {
            folder: scratch(label),
        }
    }

    pub(super) fn open(&self) -> Result<()> {
        Ok(std::fs::write(self.folder.join("open"), "")?)
    }

    fn close(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.folder.join("open"))?)
    }

    /// Keys of a component that is to wait for it.
    fn keys(&self) -> String {
        format!(
            "timeout = \"5m\"\nallow = {{ dirs = [{{ host = \"{}\", guest = \"/gate\" }}] }}",
            self.folder.display()
        )
    }

    /// A consumer of `letters` whose handlers wait for it.
    pub(super) fn toml(&self, consumer_keys: &str) -> HiveToml {
        HiveToml::new()
            .queue("letters", "")
            .component("gate", &self.keys())
            .consumer("letters", "gate", consumer_keys)
    }
}

/// A host whose handlers wait for a gate.
pub(super) struct Stage {
    pub(super) vhost: Vhost,
    pub(super) host: HostProcess,
    pub(super) gate: Gate,
    pub(super) file: PathBuf,
}

impl Stage {
    pub(super) async fn set(label: &str, toml: impl Fn(&Gate) -> HiveToml) -> Result<Self> {
        let gate = Gate::new(label);
        let vhost = Broker::shared().await?.vhost(label).await?;
        let file = gate.folder.join("hive.toml");
        let host = HostProcess::run_file(&vhost, &toml(&gate), &file).await?;
        Ok(Self {
            vhost,
            host,
            gate,
            file,
        })
    }

    pub(super) async fn publish(&self, count: usize) -> Result<()> {
        let messages = (0..count).map(|number| Message::new(number.to_string()));
        self.vhost.publish_all("", "letters", messages).await
    }

    async fn wait_for(&self, series: &str, value: u64) -> Result<()> {
        wait_for(&self.host, series, value).await
    }

    pub(super) async fn wait_for_workers(&self, count: u64) -> Result<()> {
        self.wait_for(r#"hive_workers{consumer="letters"}"#, count)
            .await
    }

    pub(super) async fn wait_until_all_is_handled(&self) -> Result<()> {
        self.wait_for(r#"hive_waiting_messages{consumer="letters"}"#, 0)
            .await?;
        self.wait_for(r#"hive_deliveries_in_flight{consumer="letters"}"#, 0)
            .await
    }
}

async fn wait_for(host: &HostProcess, series: &str, value: u64) -> Result<()> {
    let look = async || Ok(host.metric(series).await? as u64);
    eventually(&format!("{series} is {value}"), look, |now| *now == value).await?;
    Ok(())
}

/// Whether a series is in the metrics at all.
async fn has(host: &HostProcess, series: &str) -> Result<bool> {
    let metrics = host.admin("/metrics").await?.body;
    Ok(metrics.lines().any(|line| line.starts_with(series)))
}

#[tokio::test]
async fn s19_three_of_five_messages_are_started_and_all_five_are_held() -> Result<()> {
    let mut stage = Stage::set("s19", |gate| gate.toml("concurrency = 3")).await?;
    stage.publish(5).await?;
    stage.host.wait_for_printed_times("started", 3).await?;
    let held = async || Ok(stage.vhost.counters("letters")?["messages_unacknowledged"].clone());
    eventually("five are held", held, |held| *held == 5).await?;
    assert_eq!(stage.vhost.ready("letters").await?, 0);
    stage
        .wait_for(r#"hive_deliveries_in_flight{consumer="letters"}"#, 3)
        .await?;
    assert_eq!(stage.host.count_printed("started"), 3);
    stage.gate.open()?;
    stage.host.wait_for_printed_times("started", 5).await?;
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn s20_a_burst_on_one_consumer_leaves_its_neighbour_alone() -> Result<()> {
    for keys in ["concurrency = 3\nprefetch = 20", SCALE] {
        let stage = Stage::set("s20", |gate| {
            gate.toml(keys)
                .queue("notes", "")
                .queue("out", "")
                .component("echo", "")
                .consumer("notes", "echo", "")
        })
        .await?;
        stage.publish(500).await?;
        stage
            .host
            .wait_for_printed_times("started", if keys == SCALE { 5 } else { 3 })
            .await?;
        for number in 0..50 {
            let body = number.to_string();
            let message = Message::new(body.as_str());
            stage.vhost.publish("", "notes", message).await?;
            assert_eq!(stage.vhost.take_one("out").await?.text(), body);
        }
        // All the while the burst stood where it was.
        let acked = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
        assert_eq!(stage.host.metric(acked).await? as u64, 0);
        stage.gate.open()?;
        stage.wait_for(acked, 500).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s23_workers_follow_the_queue_and_give_their_memory_back() -> Result<()> {
    let ballast = 32;
    let mut stage = Stage::set("s23", |gate| {
        let keys = format!(
            "{}\nmemory = \"{}MiB\"\nconfig = {{ ballast = \"{ballast}\" }}",
            gate.keys(),
            2 * ballast
        );
        HiveToml::new()
            .queue("letters", "")
            .component("gate", &keys)
            .consumer("letters", "gate", &all_at_once())
    })
    .await?;
    stage.wait_for_workers(1).await?;
    stage.publish(50).await?;
    stage.wait_for_workers(5).await?;
    stage.host.wait_for_printed_times("started", 5).await?;
    // The broker has handed out all of them, and five are begun.
    assert_eq!(stage.vhost.ready("letters").await?, 0);
    stage
        .wait_for(r#"hive_waiting_messages{consumer="letters"}"#, 45)
        .await?;
    let full = stage.host.usage()?.resident_kib;
    stage.gate.open()?;
    stage.wait_for_workers(1).await?;
    stage
        .host
        .wait_for_printed_times("ends because of StopReason::ScaleDown", 4)
        .await?;
    stage
        .wait_for(r#"hive_instances{component="gate"}"#, 1)
        .await?;
    // Half of what four instances held is a wide margin for everything else that the host does.
    let most = full - 2 * ballast * 1024;
    let resident = async || Ok(stage.host.usage()?.resident_kib);
    eventually("the memory is given back", resident, |now| *now < most).await?;
    let line = stage
        .host
        .wait_for_event("consumer.scaled", &[("consumer", "letters")])
        .await?;
    assert!(line.names("messages_per_instance"), "{line}");
    stage.host.wait_for_printed_times("started", 50).await?;
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn s23_a_queue_that_is_gone_holds_the_number_of_workers() -> Result<()> {
    let gate = Gate::new("gone");
    let vhost = Broker::shared().await?.vhost("gone").await?;
    // Not declared by the host, which would make it anew at once.
    vhost.declare_queue("letters", "classic").await?;
    let toml = HiveToml::new()
        .component("gate", &gate.keys())
        .consumer("letters", "gate", SCALE);
    let host = HostProcess::run(&vhost, &toml).await?;
    let messages = (0..50).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 5).await?;
    vhost.delete_queue("letters").await?;
    let line = host.wait_for_event("consumer.depth_unknown", &[]).await?;
    assert!(
        line.names("NOT_FOUND") && line.is("consumer.depth_unknown", &[("workers", "5")]),
        "{line}"
    );
    assert!(!has(&host, "hive_waiting_messages").await?);
    gate.open()?;
    wait_for(&host, r#"hive_deliveries_in_flight{consumer="letters"}"#, 0).await?;
    let workers = r#"hive_workers{consumer="letters"}"#;
    assert_eq!(host.metric(workers).await? as u64, 5);
    assert_eq!(host.count_events("consumer.depth_unknown", &[]), 1);
    // It is there again, and empty.
    vhost.declare_queue("letters", "classic").await?;
    wait_for(&host, workers, 1).await
}

#[tokio::test]
async fn s23_a_queue_that_does_not_answer_the_broker_holds_the_number_of_workers() -> Result<()> {
    let stage = Stage::set("mute", |gate| gate.toml(&all_at_once())).await?;
    stage.publish(50).await?;
    stage.host.wait_for_printed_times("started", 5).await?;
    let broker = Broker::shared().await?;
    broker.suspend_queue(&stage.vhost, "letters")?;
    // The broker answers for it, with neither messages nor consumers.
    let told = "does not answer the broker";
    let line = stage
        .host
        .wait_for_event_naming("consumer.depth_unknown", told);
    line.await?;
    assert!(!has(&stage.host, "hive_waiting_messages").await?);
    let workers = r#"hive_workers{consumer="letters"}"#;
    assert_eq!(stage.host.metric(workers).await? as u64, 5);
    broker.resume_queue(&stage.vhost, "letters")?;
    stage.gate.open()?;
    let Stage {
        vhost, mut host, ..
    } = stage;
    wait_for(&host, workers, 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s23_a_connection_that_is_cut_holds_the_number_of_workers() -> Result<()> {
    let gate = Gate::new("cut");
    let toml = gate
        .toml(SCALE)
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("cut", &toml).await?;
    let messages = (0..50).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 5).await?;
    proxy.refuse();
    proxy.cut();
    host.wait_for_event("consumer.depth_unknown", &[]).await?;
    // What was in hand ends, nothing more comes, and nobody goes for it.
    gate.open()?;
    wait_for(&host, r#"hive_deliveries_in_flight{consumer="letters"}"#, 0).await?;
    let workers = r#"hive_workers{consumer="letters"}"#;
    assert_eq!(host.metric(workers).await? as u64, 5);
    proxy.pass();
    // All of it comes again, and is handled.
    wait_for(&host, workers, 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_swap_while_it_scales_loses_nothing_and_keeps_no_instance_too_many() -> Result<()> {
    let mut stage = Stage::set("swap", |gate| gate.toml(SCALE)).await?;
    stage.publish(50).await?;
    stage.host.wait_for_printed_times("started", 5).await?;
    let code = guest("lifecycle");
    let swapped = stage
        .host
        .told("swap", &stage.file, &["gate", &code.to_string_lossy()])
        .await?;
    ensure!(swapped.code == Some(0), "{swapped:?}");
    stage.gate.open()?;
    stage.wait_for_workers(1).await?;
    // The old ones came back one after the other, those of the new code that are too many went.
    stage
        .host
        .wait_for_printed_times("ends because of StopReason::Swap", 5)
        .await?;
    stage
        .wait_for(r#"hive_instances{component="gate"}"#, 1)
        .await?;
    stage
        .host
        .wait_for_printed_times("attempt 1 of", 45)
        .await?;
    stage.wait_until_all_is_handled().await?;
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn bounds_and_rules_that_are_reloaded_are_the_new_ones() -> Result<()> {
    let scale = |rule: &str| format!("scale = {{ {rule}, every = \"100ms\" }}");
    let mut stage = Stage::set("reload", |gate| {
        gate.toml(&scale("max = 5, messages_per_instance = 10"))
    })
    .await?;
    let reload = async |keys: &str| -> Result<String> {
        std::fs::write(&stage.file, stage.gate.toml(keys).text(&stage.vhost))?;
        let reloaded = stage.host.told("reload", &stage.file, &[]).await?;
        ensure!(reloaded.code == Some(0), "{reloaded:?}");
        Ok(reloaded.stdout)
    };
    stage.publish(50).await?;
    stage.wait_for_workers(5).await?;
    stage.gate.open()?;
    stage.wait_until_all_is_handled().await?;
    let told = reload(&scale("min = 2, max = 4, messages_per_instance = 5")).await?;
    for change in [
        "scale.min 1 -> 2",
        "scale.max 5 -> 4",
        "scale.messages_per_instance 10 -> 5",
    ] {
        assert!(told.contains(change), "{told}");
    }
    assert!(!told.contains("concurrency"), "{told}");
    stage.wait_for_workers(2).await?;
    stage.gate.close()?;
    stage.publish(50).await?;
    stage.wait_for_workers(4).await?;
    stage.gate.open()?;
    stage.wait_until_all_is_handled().await?;
    let told = reload("concurrency = 3").await?;
    assert!(told.contains("concurrency unset -> 3"), "{told}");
    stage.wait_for_workers(3).await?;
    assert!(!has(&stage.host, "hive_waiting_messages").await?);
    assert_settled(&stage.vhost, &mut stage.host, "letters").await
}

#[tokio::test]
async fn a_drain_while_it_scales_finishes_what_is_in_hand_and_returns_the_rest() -> Result<()> {
    let mut stage = Stage::set("drain", |gate| gate.toml(SCALE)).await?;
    stage.publish(50).await?;
    stage.host.wait_for_printed_times("started", 5).await?;
    stage.host.sigterm();
    stage.host.wait_for_event("host.stopping", &[]).await?;
    stage.gate.open()?;
    let status = stage.host.wait().await?;
    assert_eq!(status.code(), Some(0));
    stage.host.lines_to_the_end();
    let host = &stage.host;
    assert_eq!(host.count_printed("started"), 5);
    assert_eq!(host.count_printed("ends because of StopReason::Drain"), 5);
    assert_eq!(host.count_printed("ends because of"), 5);
    stage.vhost.wait_ready("letters", 45).await
}

#[tokio::test]
async fn the_time_that_a_message_waits_decides_where_that_is_the_rule() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("wait").await?;
    // A hundred of 50 ms are five seconds of work: more than any four begin within the time.
    let keys = r#"scale = { max = 4, target_wait = "200ms", every = "100ms" }"#;
    let toml = HiveToml::one("letters", "slow", keys).queue("out", "");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let messages = (0..100).map(|_| Message::new("50"));
    vhost.publish_all("", "letters", messages).await?;
    let workers = r#"hive_workers{consumer="letters"}"#;
    wait_for(&host, workers, 4).await?;
    let line = host
        .wait_for_event("consumer.scaled", &[("consumer", "letters")])
        .await?;
    assert_eq!(
        line.field("because").as_deref(),
        Some("target_wait"),
        "{line}"
    );
    vhost.wait_ready("out", 100).await?;
    let one = async || Ok(host.metric(workers).await? as u64);
    eventually_within(Duration::from_secs(30), "one is left", one, |now| *now == 1)
        .await
        .context("nothing waits any more")?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_consumer_of_batches_has_as_many_at_once_as_its_queue_asks_for() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("batches").await?;
    vhost.declare_queue("letters", "quorum").await?;
    // Each batch of five takes some seconds, so that the rest of them waits; and they are so many that
    // there is work for five even when the first ones are in hand.
    const MESSAGES: u32 = 80;
    let message = |number| match number % 5 {
        0 => Message::new(format!("{number} slow")),
        _ => Message::new(format!("{number} ack")),
    };
    vhost
        .publish_all("", "letters", (0..MESSAGES).map(message))
        .await?;
    // All of it waits before anybody looks.
    let mut host = HostProcess::run(&vhost, &batches(5, "1s", SCALE)).await?;
    let workers = r#"hive_workers{consumer="letters"}"#;
    wait_for(&host, workers, 5).await?;
    wait_for(&host, r#"hive_waiting_messages{consumer="letters"}"#, 0).await?;
    wait_for(&host, r#"hive_deliveries_in_flight{consumer="letters"}"#, 0).await?;
    wait_for(&host, workers, 1).await?;
    let acked = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
    assert_eq!(host.metric(acked).await?, f64::from(MESSAGES));
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn the_example_runs_as_it_stands() -> Result<()> {
    example_component("scaling");
    let vhost = Broker::shared().await?.vhost("example").await?;
    let variables = [("RABBITMQ_URL", &*vhost.url())];
    let mut host = HostProcess::launch_file(&example("scaling").join("hive.toml"), &variables)?;
    host.wait_for_start_of("primes").await?;
    let sample = |name: &str| {
        let file = example("scaling").join("messages").join(name);
        std::fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))
    };
    // Some seconds of work for one instance, which looks at its queue once a second.
    let sent = sample("answered-10000000.json")?;
    let messages = (0..40).map(|_| Message::new(sent.as_str()));
    vhost.publish_all("", "primes.asked", messages).await?;
    let many = Message::new(sample("rejected-too-many.json")?);
    vhost.publish("", "primes.asked", many).await?;
    let answers = vhost.take("primes.counted", 40).await?;
    assert!(
        answers
            .iter()
            .all(|answer| answer.text().contains("664579"))
    );
    vhost.take_one("primes.asked.dead").await?;
    host.wait_for_output("consumer=primes before=").await?;
    host.wait_for_output("not needed any more: StopReason::ScaleDown")
        .await?;
    host.stop().await
}
