//! Faults of the broker as a whole: it closes channels, stops, comes back too early, is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, User, Vhost, eventually, eventually_within,
};
use lapin::options::BasicGetOptions;
use tokio::sync::Mutex;

use crate::assert_settled;
use crate::broker::healing::{assert_consumes, echo};

/// Thousands of messages through a broker that is killed meanwhile, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// Has a broker close every channel opened from now on over a delivery unanswered for two seconds. It
/// looks once a second; RabbitMQ 3.10 takes neither in whole seconds less than a minute from its file.
pub(crate) fn set_consumer_timeout(broker: &Broker) -> Result<()> {
    for (key, milliseconds) in [("consumer_timeout", 2000), ("channel_tick_interval", 1000)] {
        let set = format!("application:set_env(rabbit, {key}, {milliseconds}).");
        broker.rabbitmqctl(&["eval", &set])?;
    }
    Ok(())
}

#[tokio::test]
async fn s32_a_handler_slower_than_consumer_timeout_costs_a_channel_and_one_attempt() -> Result<()>
{
    const QUICK: usize = 50;
    const SLOW: &str = "8000";
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("slow-once", r#"timeout = "5m""#)
        .consumer("letters", "slow-once", "concurrency = 4\nprefetch = 10");
    let broker = Broker::private().await?;
    set_consumer_timeout(&broker)?;
    let vhost = broker.vhost("s32").await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new(SLOW)).await?;
    host.wait_for_printed("attempt 1 of").await?;
    let first = (0..QUICK).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", first).await?;
    let line = host.wait_for_event("consumer.lost", &[]).await?;
    assert!(line.names("timed out"), "the reason is not told: {line}");
    let second = (QUICK..2 * QUICK).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", second).await?;
    let mut expected: BTreeSet<String> = (0..2 * QUICK).map(|number| number.to_string()).collect();
    expected.insert(SLOW.to_owned());
    wait_for_all(&vhost, &expected).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(
        host.count_printed(&format!("attempt 2 of {SLOW}")),
        1,
        "it was spent"
    );
    assert_eq!(
        host.count_printed("attempt 2 of"),
        1,
        "its neighbours pay nothing"
    );
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// stop_app closes what is open and leaves the node up; after start_app it lets clients in before its
/// queues are all there. A kill takes whatever was neither confirmed nor acknowledged.
#[tokio::test]
async fn messages_that_flow_survive_a_broker_that_goes_away_again_and_again() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("restarts").await?;
    let mut host = HostProcess::run(&vhost, &echo()).await?;
    assert_consumes(&vhost, "before").await?;
    broker.rabbitmqctl(&["stop_app"])?;
    broker.rabbitmqctl(&["start_app"])?;
    wait_until_back(&vhost).await?;
    assert_consumes(&vhost, "after stop_app").await?;
    let mut confirmed = BTreeSet::new();
    for time in ["first", "second", "third"] {
        let kill_in_full_flow = async {
            let before = vhost.ready("out").await?;
            let look = async || vhost.ready("out").await;
            eventually("it flows", look, |now| *now >= before + FLOW).await?;
            broker.kill9().await
        };
        let (flowed, killed) = tokio::join!(publish_until_gone(&vhost, time), kill_in_full_flow);
        killed?;
        confirmed.extend(flowed);
        broker.restart().await?;
        wait_until_back(&vhost).await?;
    }
    wait_for_all(&vhost, &confirmed).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// How many messages come out between two kills, at least.
const FLOW: u32 = 1500;

/// Publishes until the broker is gone; what it confirmed by then.
async fn publish_until_gone(vhost: &Vhost, what: &str) -> Vec<String> {
    const AT_ONCE: usize = 100;
    let mut confirmed = Vec::new();
    loop {
        let from = confirmed.len();
        let next = (from..from + AT_ONCE).map(|number| format!("{what} {number}"));
        let next: Vec<String> = next.collect();
        let messages = next.iter().map(|body| Message::new(body.as_str()));
        if vhost.publish_all("", "letters", messages).await.is_err() {
            return confirmed;
        }
        confirmed.extend(next);
    }
}

/// Waits until a broker that was restarted has its queues again.
async fn wait_until_back(vhost: &Vhost) -> Result<()> {
    let look = async || vhost.ready("letters").await;
    eventually_within(PATIENCE, "the queue is back", look, |_| true).await?;
    Ok(())
}

/// A limit of the queue's own counts what a lost connection gave back, handled or not. What goes over
/// it goes where the queue says, and is not lost.
#[tokio::test]
async fn s10_what_lost_connections_take_over_a_delivery_limit_is_dead_lettered_by_the_queue()
-> Result<()> {
    const LIMIT: usize = 3;
    const MESSAGES: u32 = 5;
    let queue = format!(
        "type = \"quorum\"\ndelivery_limit = {LIMIT}\n\
         dead_letter_exchange = \"\"\ndead_letter_routing_key = \"over\""
    );
    let toml = HiveToml::new()
        .connection(r#"reconnect = { first = "50ms", max = "500ms" }"#)
        .queue("letters", &queue)
        .queue("over", "")
        .queue("out", "")
        .component("slow", r#"timeout = "5m""#)
        // Calls whose connection was lost keep their workers; some have to be left for the next one.
        .consumer("letters", "slow", "concurrency = 30\nprefetch = 30");
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("s10").await?;
    let user = User::new(broker, &vhost)?;
    let host = HostProcess::run_at(&user.url(), &toml).await?;
    let untouched = (0..MESSAGES).map(|_| Message::new("600000"));
    for lost in 0..=LIMIT {
        host.wait_for_events("consumer.subscribed", &[("consumer", "letters")], lost + 1)
            .await?;
        if lost == 0 {
            vhost.publish_all("", "letters", untouched.clone()).await?;
        }
        vhost.wait_ready("letters", 0).await?;
        assert_eq!(vhost.ready("over").await?, 0, "after {lost} connections");
        user.close_connections().await?;
    }
    vhost.wait_ready("over", MESSAGES).await?;
    vhost.publish("", "letters", Message::new("0")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "0");
    Ok(())
}

/// Waits until each of these bodies came out at least once.
async fn wait_for_all(vhost: &Vhost, expected: &BTreeSet<String>) -> Result<()> {
    let missing = Mutex::new(expected.clone());
    let look = async || {
        let mut missing = missing.lock().await;
        // One channel for thousands of messages.
        let channel = vhost.channel().await?;
        let options = BasicGetOptions { no_ack: true };
        while let Some(got) = channel.basic_get("out".into(), options).await? {
            missing.remove(&*String::from_utf8_lossy(&got.delivery.data));
        }
        channel.close(200, "looked".into()).await?;
        Ok(missing.len())
    };
    eventually_within(PATIENCE, "nothing is missing", look, |left| *left == 0).await?;
    Ok(())
}
