//! Connections that look open and are not: bytes vanish, nobody answers, a broker stands still.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, Direction, HiveToml, HostProcess, Mark, Message, eventually};
use lapin::types::AMQPValue;
use tokio::time::sleep;

use crate::connection::network::{
    assert_all_come, assert_consumes, assert_nothing_left, behind_proxy, both_lost, echo,
};

const DIRECTIONS: [Direction; 3] = [Direction::ToBroker, Direction::ToClient, Direction::Both];

/// A host that finds out soon.
fn alert() -> HiveToml {
    echo("heartbeat = \"1s\"\nconnect_timeout = \"1s\"")
}

#[tokio::test]
async fn an_idle_connection_that_is_half_open_is_replaced() -> Result<()> {
    let (vhost, proxy, mut host) = behind_proxy("half-open", &alert()).await?;
    for direction in DIRECTIONS {
        let from = host.mark();
        proxy.black_hole(direction);
        both_lost(&host, from).await?;
        proxy.pass();
        assert_consumes(&vhost, &format!("{direction:?}")).await?;
    }
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn a_busy_connection_that_is_half_open_loses_nothing() -> Result<()> {
    for direction in DIRECTIONS {
        let (vhost, proxy, mut host) = behind_proxy("half-open-busy", &alert()).await?;
        let from = host.mark();
        // Slow enough to be at work when it happens.
        proxy.bandwidth(1 << 20);
        let swallow_on_the_way = |came| {
            if came == 500 {
                proxy.black_hole(direction);
            }
        };
        let notice = async {
            both_lost(&host, from).await?;
            proxy.pass();
            Ok(())
        };
        tokio::try_join!(assert_all_come(&vhost, 3000, swallow_on_the_way), notice)?;
        assert_nothing_left(&vhost, &mut host).await?;
    }
    Ok(())
}

/// A broker that has deliveries to send sends no heartbeats.
#[tokio::test]
async fn deliveries_without_a_pause_are_as_good_as_heartbeats() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("flowing").await?;
    let toml = HiveToml::one("letters", "ack", "").connection("heartbeat = \"1s\"");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    // Three times as long as a broker may be silent.
    for number in 0..600 {
        let message = Message::new(number.to_string());
        vhost.publish("", "letters", message).await?;
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(host.count_events("link.lost", &[]), 0);
    vhost.wait_ready("letters", 0).await?;
    host.stop().await
}

/// The broker has stored it and said so, but nobody heard.
#[tokio::test]
async fn a_confirmation_that_never_came_back_is_a_repeat_with_the_same_id() -> Result<()> {
    let toml = HiveToml::one("letters", "slow", "")
        .queue("out", "")
        .connection("heartbeat = \"3s\"\nconnect_timeout = \"1s\"")
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("confirmation", &toml).await?;
    // The publisher has its channel by then.
    assert_consumes(&vhost, "before").await?;
    // By its id a message is known from others that are the same.
    let letter = Message::new("1000")
        .header("anew", AMQPValue::Boolean(true))
        .with(|properties| properties.with_message_id("m-1".into()));
    vhost.publish("", "letters", letter).await?;
    let (_, from) = host
        .wait_for_printed_since(Mark::START, "started 1000")
        .await?;
    proxy.black_hole(Direction::ToClient);
    vhost.wait_ready("out", 1).await?;
    both_lost(&host, from).await?;
    proxy.pass();
    // The one that was not heard of, its repeat, and that of the delivery when it came again.
    let out = vhost.take("out", 3).await?;
    assert!(out.iter().all(|message| message.id() == "m-1-0"), "{out:?}");
    host.wait_for_printed_times("started 1000", 2).await?;
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_broker_that_never_says_a_word_costs_no_threads_and_no_descriptors() -> Result<()> {
    const ATTEMPTS: u64 = 12;
    let (vhost, proxy, mut host) = behind_proxy("silent", &alert()).await?;
    assert_consumes(&vhost, "before").await?;
    let connected = host.usage()?;
    let before = proxy.accepted();
    proxy.silent();
    proxy.cut();
    let look = async || Ok(proxy.accepted() - before);
    let several = |made: &u64| *made >= ATTEMPTS;
    eventually("connections were attempted", look, several).await?;
    let look = async || host.usage();
    let what = format!("no more is held than when connected: {connected:?}");
    eventually(&what, look, |usage| {
        usage.threads <= connected.threads && usage.descriptors <= connected.descriptors
    })
    .await?;
    proxy.pass();
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn a_broker_that_stands_still_is_left_only_when_it_misses_its_heartbeats() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("stopped").await?;
    let mut host = HostProcess::run(
        &vhost,
        &echo("heartbeat = \"3s\"\nconnect_timeout = \"2s\""),
    )
    .await?;
    broker.sigstop();
    sleep(Duration::from_secs(2)).await;
    broker.sigcont();
    assert_consumes(&vhost, "after a moment").await?;
    assert_eq!(
        host.count_events("link.lost", &[]),
        0,
        "it was away for less than two heartbeats"
    );
    let from = host.mark();
    let stop_on_the_way = |came| {
        if came == 200 {
            broker.sigstop();
        }
    };
    let notice = async {
        both_lost(&host, from).await?;
        broker.sigcont();
        Ok(())
    };
    tokio::try_join!(assert_all_come(&vhost, 3000, stop_on_the_way), notice)?;
    assert_nothing_left(&vhost, &mut host).await
}
