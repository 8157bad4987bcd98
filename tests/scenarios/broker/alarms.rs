//! The broker's alarms: what publishes waits, and nothing else does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost};
use lapin::options::{BasicGetOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::assert_settled;

const MESSAGES: u32 = 20;

/// Twice the heartbeat, after which either side gives a silent connection up, and also longer than a
/// confirmation is waited for without an alarm.
const BLOCKED_FOR: Duration = Duration::from_secs(12);

/// One consumer that publishes, and one that only acks: with so small a prefetch it gets no further
/// than its acks do.
fn publishing_and_acking() -> HiveToml {
    HiveToml::new()
        .host(r#"shutdown_timeout = "2s""#)
        .connection(r#"heartbeat = "2s""#)
        .queue("letters", "")
        .queue("quiet", "")
        .queue("out", "")
        .component("echo", "")
        .component("ack", "")
        .consumer("letters", "echo", "")
        .consumer("quiet", "ack", "concurrency = 1\nprefetch = 2")
}

/// What a node runs short of.
#[derive(Debug, Clone, Copy)]
enum Alarm {
    Memory,
    Disk,
}

impl Alarm {
    fn raise(self, broker: &Broker) -> Result<()> {
        self.set(broker, "0", "100000GB")
    }

    fn clear(self, broker: &Broker) -> Result<()> {
        self.set(broker, "0.4", "50MB")
    }

    fn set(self, broker: &Broker, memory: &str, disk: &str) -> Result<()> {
        let command = match self {
            Self::Memory => ["set_vm_memory_high_watermark", memory],
            Self::Disk => ["set_disk_free_limit", disk],
        };
        broker.rabbitmqctl(&command).map(drop)
    }
}

/// Puts numbered messages where [`release`] finds them: under an alarm the test cannot publish either.
async fn hold_back(vhost: &Vhost, queue: &str) -> Result<()> {
    let mut to_queue = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    to_queue.insert("x-dead-letter-exchange".into(), text(""));
    to_queue.insert("x-dead-letter-routing-key".into(), text(queue));
    let held = held(queue);
    vhost.declare_queue_with(&held, to_queue).await?;
    let numbers = (0..MESSAGES).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", &held, numbers).await
}

/// Has the broker itself move them on.
async fn release(vhost: &Vhost, queue: &str) -> Result<()> {
    let channel = vhost.channel().await?;
    let held = held(queue);
    while let Some(got) = channel
        .basic_get(held.as_str().into(), BasicGetOptions::default())
        .await?
    {
        got.delivery.reject(BasicRejectOptions::default()).await?;
    }
    Ok(channel.close(200, "released".into()).await?)
}

fn held(queue: &str) -> String {
    format!("held.{queue}")
}

/// A host whose connection for publications is blocked by an alarm, with every message of `letters`
/// in hand.
async fn block(alarm: Alarm, broker: &Broker, vhost: &Vhost, host: &HostProcess) -> Result<()> {
    let told = host.count_events("link.blocked", &[]);
    hold_back(vhost, "letters").await?;
    hold_back(vhost, "quiet").await?;
    alarm.raise(broker)?;
    release(vhost, "letters").await?;
    host.wait_for_events("link.blocked", &[], told + 1).await?;
    vhost.wait_ready("letters", 0).await
}

#[tokio::test]
async fn s37_an_alarm_holds_publications_up_and_nothing_else() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("s37").await?;
    let mut host = HostProcess::run(&vhost, &publishing_and_acking()).await?;
    let before = broker.connections(&vhost)?;
    for (nth, alarm) in [Alarm::Memory, Alarm::Disk].into_iter().enumerate() {
        block(alarm, &broker, &vhost, &host).await?;
        release(&vhost, "quiet").await?;
        vhost.wait_ready("quiet", 0).await?;
        // The time itself is the fault here: there is nothing to wait for.
        tokio::time::sleep(BLOCKED_FOR).await;
        let open = broker.connections(&vhost)?;
        assert_eq!(open, before, "a connection was lost to {alarm:?}");
        assert_eq!(vhost.ready("out").await?, 0, "published under {alarm:?}");
        assert_eq!(vhost.ready("letters").await?, 0, "given back, {alarm:?}");
        alarm.clear(&broker)?;
        host.wait_for_events("link.unblocked", &[], nth + 1).await?;
        let out = vhost.take("out", usize::try_from(MESSAGES)?).await?;
        assert_eq!(numbers(&out), all());
        assert_eq!(broker.connections(&vhost)?, before, "lost after {alarm:?}");
    }
    assert_eq!(
        host.count_events("delivery.settled", &[("outcome", "requeued")]),
        0
    );
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("quiet").await?, 0);
    assert_eq!(vhost.ready("out").await?, 0, "published twice");
    Ok(())
}

#[tokio::test]
async fn a_stop_under_an_alarm_ends_in_time_and_loses_nothing() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("s37").await?;
    let mut host = HostProcess::run(&vhost, &publishing_and_acking()).await?;
    block(Alarm::Memory, &broker, &vhost, &host).await?;
    host.sigterm();
    // A host that waited for the alarm's end would never be seen to end.
    host.wait().await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    vhost.wait_ready("letters", MESSAGES).await?;
    Alarm::Memory.clear(&broker)?;
    let mut host = HostProcess::run(&vhost, &publishing_and_acking()).await?;
    let mut seen = BTreeSet::new();
    while seen != all() {
        seen.extend(numbers(&[vhost.take_one("out").await?]));
    }
    assert_settled(&vhost, &mut host, "letters").await
}

fn all() -> BTreeSet<String> {
    (0..MESSAGES).map(|number| number.to_string()).collect()
}

fn numbers(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().map(Message::text).collect()
}
