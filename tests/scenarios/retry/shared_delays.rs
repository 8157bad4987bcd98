//! Delay queues that all consumers of a vhost share: what returns from them, to where, and what cannot hold up others.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, Commands, HiveToml, HostProcess, Message, User, Vhost, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{assert_says, assert_settled, consuming};

/// The copies whose queue was deleted meanwhile.
const LOST: &str = "hive.retries.lost";

/// More than a delay queue moves without a confirmation.
const MORE_THAN_STALL: usize = 45;

/// The shared delay queues that there are, by what is in front of the day in their names.
fn shared(vhost: &Vhost) -> Result<BTreeSet<String>> {
    let queues = vhost.queues()?.into_iter();
    let dated = queues.filter(|queue| queue.starts_with("hive.retries.") && queue != LOST);
    let name = |queue: String| queue.rsplit_once('.').map(|(name, _)| name.to_owned());
    dated
        .map(|queue| name(queue).context("it has a day"))
        .collect()
}

/// The queue of a delay, as in `1s`, once there is one.
async fn shared_queue(vhost: &Vhost, delay: &str) -> Result<String> {
    let begins = format!("hive.retries.{delay}.");
    let look = async || {
        let queues = vhost.queues()?.into_iter();
        Ok(queues
            .filter(|queue| queue.starts_with(&begins))
            .collect::<Vec<_>>())
    };
    let found = eventually("a shared delay queue is made", look, |found| {
        !found.is_empty()
    });
    Ok(found.await?.remove(0))
}

/// A message that waits for this attempt already.
fn at_attempt(attempt: i64, body: &str) -> Message {
    Message::new(body).header("x-hive-attempt", attempt)
}

#[tokio::test]
async fn by_default_a_copy_waits_in_a_shared_queue_and_returns_to_its_own_alone() -> Result<()> {
    let toml = HiveToml::new()
        .exchange("post", "type = \"fanout\"")
        .component("fail", "")
        .queue("letters", "bindings = [{ exchange = \"post\" }]")
        .queue("parcels", "bindings = [{ exchange = \"post\" }]")
        .consumer("letters", "fail", "")
        .consumer("parcels", "fail", "");
    let (vhost, mut host) = consuming("shared", toml).await?;
    let sent = Instant::now();
    vhost.publish("post", "", Message::new("hello")).await?;
    host.wait_for_printed_times("attempt 2 of hello", 2).await?;
    // The jitter takes a fifth at most.
    ensure!(
        sent.elapsed() >= Duration::from_millis(800),
        "{:?}",
        sent.elapsed()
    );
    let both = ["hive.retries.1s", "hive.retries.5s"].map(str::to_owned);
    let both = BTreeSet::from(both);
    let look = async || shared(&vhost);
    eventually("the next delay has begun", look, |seen| *seen == both).await?;
    // In another queue a copy would begin at its first attempt.
    assert_eq!(host.count_printed("attempt 1 of hello"), 2);
    assert_eq!(host.count_printed("attempt 2 of hello"), 2);
    let own = vhost
        .queues()?
        .into_iter()
        .filter(|queue| queue.contains(".retry."));
    assert_eq!(own.collect::<Vec<_>>(), Vec::<String>::new());
    host.stop().await?;
    assert_eq!(vhost.ready(LOST).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_dozen_consumers_at_any_attempt_need_a_queue_for_each_delay() -> Result<()> {
    let mut toml = HiveToml::new().component("fail", "");
    let names: Vec<String> = (1..=13).map(|number| format!("letters-{number}")).collect();
    for name in &names {
        toml = toml.queue(name, "").consumer(name, "fail", "");
    }
    let (vhost, mut host) = consuming("dozen", toml).await?;
    for name in &names {
        let all = (1..=15).map(|attempt| at_attempt(attempt, "hello"));
        vhost.publish_all("", name, all).await?;
    }
    let expected = ["1s", "5s", "30s", "2m", "10m", "30m", "1h"];
    let expected: BTreeSet<_> = expected.map(|delay| format!("hive.retries.{delay}")).into();
    let look = async || shared(&vhost);
    eventually("every delay has a queue", look, |seen| *seen == expected).await?;
    // The queues and their dead-letter queues, seven for delays, and one for what gets lost.
    let queues = vhost.queues()?;
    assert_eq!(queues.len(), 2 * names.len() + 7 + 1, "{queues:?}");
    host.stop().await?;
    Ok(())
}

/// The message has an expiration of its own, which is no part of its delay and is not lost over it.
#[tokio::test]
async fn jitter_takes_a_fifth_of_a_delay_at_most() -> Result<()> {
    const COPIES: usize = 30;
    let (vhost, mut host) = consuming("jitter", HiveToml::one("letters", "fail", "")).await?;
    let messages = (0..COPIES).map(|_| {
        at_attempt(9, "hello").with(|properties| properties.with_expiration("7200000".into()))
    });
    vhost.publish_all("", "letters", messages).await?;
    let queue = shared_queue(&vhost, "1h").await?;
    let copies = vhost.take(&queue, COPIES).await?;
    let mut drawn = BTreeSet::new();
    for copy in copies {
        let expiration = copy.properties.expiration().clone();
        let expiration: u32 = expiration.context("it has one")?.as_str().parse()?;
        assert!(
            (2_880_000..=3_600_000).contains(&expiration),
            "{expiration}"
        );
        let own = copy.text_of("x-hive-original-expiration");
        assert_eq!(own.as_deref(), Some("7200000"));
        drawn.insert(expiration);
    }
    assert!(drawn.len() > COPIES / 2, "{drawn:?}");
    assert_settled(&vhost, &mut host, "letters").await
}

/// The broker keeps 32 messages of a queue on their way; those that nothing takes would stay there.
#[tokio::test]
async fn copies_whose_queue_is_gone_hold_up_no_other_consumer_and_are_not_lost() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("gone").await?;
    // The host does not declare it, so it does not make it again.
    vhost.declare_queue("gone", "quorum").await?;
    // So long that the queue is deleted before a copy is back in it.
    let retry =
        |limit| format!("retry = {{ limit = {limit}, delays = [\"15s\"], queues = \"shared\" }}");
    let toml = HiveToml::new()
        .component("fail", "")
        .consumer("gone", "fail", &retry(2))
        .queue("letters", "")
        .consumer("letters", "fail", &retry(1));
    let host = HostProcess::run(&vhost, &toml).await?;
    let messages = (0..MORE_THAN_STALL).map(|number| Message::new(format!("gone {number}")));
    vhost.publish_all("", "gone", messages).await?;
    // Only then is none in the queue any more: a busy broker may refuse a copy, which the host then publishes again.
    let retried = [("consumer", "gone"), ("outcome", "retried")];
    host.wait_for_events("delivery.settled", &retried, MORE_THAN_STALL)
        .await?;
    vhost.delete_queue("gone").await?;

    vhost.publish("", "letters", Message::new("hello")).await?;
    let began = Instant::now();
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text(), "hello");
    ensure!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
    vhost.wait_ready(LOST, MORE_THAN_STALL as u32).await?;
    drop(host);

    // They are seen there, and come back once their queue does.
    let commands = Commands::on(&vhost, &toml)?;
    let listed = commands
        .run(&["dead", "list"], &[LOST, "--where", "queue=gone"])
        .await?;
    assert_says(&listed, 0, &["2 of 3", "gone", "cannot take gone 7"]);
    vhost.declare_queue("gone", "quorum").await?;
    let sent = commands.run(&["dead", "republish"], &[LOST]).await?;
    assert_says(&sent, 0, &["45"]);
    vhost.wait_ready("gone", MORE_THAN_STALL as u32).await?;
    Ok(())
}

/// The exchange in front of a delay queue goes with the queue.
#[tokio::test]
async fn a_shared_delay_queue_that_is_deleted_is_made_again() -> Result<()> {
    let (vhost, mut host) = consuming("again", HiveToml::one("letters", "fail", "")).await?;
    vhost.publish("", "letters", at_attempt(9, "first")).await?;
    let queue = shared_queue(&vhost, "1h").await?;
    vhost.wait_ready(&queue, 1).await?;
    vhost.delete_queue(&queue).await?;
    vhost
        .publish("", "letters", at_attempt(9, "second"))
        .await?;
    let copy = vhost.take_one(&queue).await?;
    assert_eq!(copy.text(), "second");
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn status_and_metrics_show_a_shared_delay_queue_once() -> Result<()> {
    let toml = HiveToml::new()
        .component("fail", "")
        .queue("letters", "")
        .queue("parcels", "")
        .consumer("letters", "fail", "")
        .consumer("parcels", "fail", "");
    let (vhost, host) = consuming("once", toml).await?;
    // Before there is such a queue the host has asked for it in vain, and must ask again once it has made it.
    host.admin("/v1/status").await?;
    for queue in ["letters", "parcels"] {
        vhost.publish("", queue, at_attempt(9, "hello")).await?;
    }
    let queue = shared_queue(&vhost, "1h").await?;
    let expected = json!([
        { "connection": "main", "queue": queue, "purpose": "delay", "messages": 2 },
        { "connection": "main", "queue": LOST, "purpose": "lost", "messages": 0 },
    ]);
    let look = async || {
        let status: Value = serde_json::from_str(&host.admin("/v1/status").await?.body)?;
        Ok(status["shared_queues"].clone())
    };
    eventually("both copies are counted", look, |seen| *seen == expected).await?;
    let series = format!(
        r#"hive_shared_queue_messages{{connection="main",purpose="delay",queue="{queue}"}}"#
    );
    assert_eq!(host.metric(&series).await?, 2.0);
    let metrics = host.admin("/metrics").await?.body;
    assert!(!metrics.contains(r#"hive_queue_messages{consumer="letters",purpose="delay""#));
    Ok(())
}

/// A queue that refuses messages when it is full is no danger to others: its retries wait in queues of its own.
#[tokio::test]
async fn a_queue_that_refuses_messages_has_delay_queues_of_its_own() -> Result<()> {
    let refusing = "arguments = { x-max-length = 3, x-overflow = \"reject-publish\" }";
    let toml = HiveToml::new()
        .component("fail", "")
        .queue("full", refusing)
        .consumer("full", "fail", "retry = \"fast\"");
    let (vhost, mut host) = consuming("full", toml).await?;
    vhost.publish("", "full", Message::new("hello")).await?;
    host.wait_for_printed("attempt 3 of hello").await?;
    let queues = vhost.queues()?;
    assert!(queues.contains(&"full.retry.2s".to_owned()), "{queues:?}");
    assert_eq!(shared(&vhost)?, BTreeSet::new());
    host.stop().await?;
    Ok(())
}

/// The rights that the consumer has without shared delay queues.
#[tokio::test]
async fn a_user_without_rights_on_shared_delay_queues_loses_nothing_and_is_told() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("rights").await?;
    let user = User::new(broker, &vhost)?;
    // It may declare what they have in common, and no delay queue.
    user.permit(r"^(letters.*|hive\.retries(\.lost)?)$", ".*", ".*")?;
    let toml = HiveToml::one("letters", "fail", "");
    let host = HostProcess::run_at(&user.url(), &toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let told = host
        .wait_for_event_naming("delivery.kept", "ACCESS_REFUSED")
        .await?;
    assert!(told.names("hive.retries.1s."), "{told:?}");
    user.permit(".*", ".*", ".*")?;
    user.close_connections().await?;
    host.wait_for_printed("attempt 2 of hello").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}
