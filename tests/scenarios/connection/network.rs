//! What networks do to a host: links that break, flap and crawl. None loses a message.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Mark, Message, Proxy, Vhost, eventually};
use tokio::time::interval;

use crate::assert_settled;

/// What tells messages that are large enough to be cut in two.
const BODY: [u8; 1024] = [b'x'; 1024];

/// A consumer that tells `out` of what it got, and comes back soon. What is prefetched is what comes
/// again after each fault: little.
pub(crate) fn echo(connection_keys: &str) -> HiveToml {
    HiveToml::one("letters", "echo", "prefetch = 50")
        .queue("out", "")
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#)
        .connection(connection_keys)
}

/// A host on a vhost of its own, with a proxy between it and its broker.
pub(crate) async fn behind_proxy(
    label: &str,
    toml: &HiveToml,
) -> Result<(Vhost, Proxy, HostProcess)> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost(label).await?;
    let proxy = Proxy::start(broker.port())?;
    let host = HostProcess::run_at(&vhost.url_through(&proxy), toml).await?;
    Ok((vhost, proxy, host))
}

/// Publishes a message to `letters`, and waits until it is in `out`.
pub(crate) async fn assert_consumes(vhost: &Vhost, id: &str) -> Result<()> {
    let message = Message::new("0").with(|properties| properties.with_message_id(id.into()));
    vhost.publish("", "letters", message).await?;
    vhost.take_until("out", |message| message.id() == id).await
}

/// Publishes so many messages to `letters` and waits until each was in `out`, however often; calls
/// `progress` for each with how many came by then.
pub(crate) async fn assert_all_come(
    vhost: &Vhost,
    messages: usize,
    mut progress: impl FnMut(usize),
) -> Result<()> {
    let sent = (0..messages).map(|number| {
        Message::new(BODY).with(|properties| properties.with_message_id(number.to_string().into()))
    });
    let mut missing: BTreeSet<String> = (0..messages).map(|number| number.to_string()).collect();
    let mut came = 0;
    let taking = vhost.take_until("out", |message| {
        missing.remove(message.id());
        came += 1;
        progress(came);
        missing.is_empty()
    });
    let done = tokio::try_join!(vhost.publish_all("", "letters", sent), taking);
    ensure!(
        missing.is_empty(),
        "{} of {messages} are missing, among them {:?}: {done:?}",
        missing.len(),
        missing.first()
    );
    Ok(())
}

/// Waits until the host has lost both of its links behind that place of its log.
pub(crate) async fn both_lost(host: &HostProcess, from: Mark) -> Result<()> {
    let (_, from) = host.wait_since(from, "link.lost", &[]).await?;
    host.wait_since(from, "link.lost", &[]).await?;
    Ok(())
}

/// Everything was acknowledged, and nothing failed.
pub(crate) async fn assert_nothing_left(vhost: &Vhost, host: &mut HostProcess) -> Result<()> {
    // Whatever came before it has been taken in hand when it comes out, and a stop finishes that.
    assert_consumes(vhost, "the last").await?;
    assert_settled(vhost, host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0, "a retry was spent");
    Ok(())
}

#[tokio::test]
async fn s24_a_link_that_is_cut_while_handlers_run_costs_a_repeat_and_nothing_else() -> Result<()> {
    let toml = HiveToml::one("letters", "slow", "concurrency = 2")
        .queue("out", "")
        .host(r#"log = "info,hive=debug""#)
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("s24", &toml).await?;
    let messages = ["a", "b"]
        .map(|id| Message::new("1500").with(|properties| properties.with_message_id(id.into())));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 2).await?;
    proxy.cut();
    host.wait_for_printed_times("started", 4).await?;
    let mut ids: Vec<String> = vhost
        .take("out", 2)
        .await?
        .iter()
        .map(|message| message.id().to_owned())
        .collect();
    ids.sort();
    assert_eq!(
        ids,
        ["a", "b"],
        "the work was done again, and published once"
    );
    host.wait_for_events(
        "delivery.settled",
        &[("outcome", "acked"), ("acknowledged", "true")],
        2,
    )
    .await?;
    let instances = host.metric(r#"hive_instances{component="slow"}"#).await?;
    assert!(instances <= 2.0, "{instances} instances for two workers");
    // Only what the new link's channel counted: the broker may forget the last of a channel that is gone.
    let look = async || {
        let stats = &vhost.counters("letters")?["message_stats"];
        Ok(["redeliver", "ack"].map(|name| stats[name].as_u64()))
    };
    let counted = |seen: &[Option<u64>; 2]| *seen == [2, 2].map(Some);
    eventually("both came again and were acked once", look, counted).await?;
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn thousands_of_messages_through_cuts_and_resets_none_missing() -> Result<()> {
    const FAULT_EVERY: usize = 250;
    let (vhost, proxy, mut host) = behind_proxy("cuts", &echo("")).await?;
    // Slow enough for each fault to hit a link at work.
    proxy.bandwidth(1 << 20);
    assert_all_come(&vhost, 5000, |came| match came % (2 * FAULT_EVERY) {
        0 => proxy.cut(),
        FAULT_EVERY => proxy.reset(),
        _ => {}
    })
    .await?;
    let lost = host.count_events("link.lost", &[]);
    assert!(lost >= 20, "only {lost} links were lost");
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn thousands_of_messages_through_resets_in_mid_frame_none_missing() -> Result<()> {
    let (vhost, proxy, mut host) = behind_proxy("mid-frame", &echo("")).await?;
    // More than a handshake and what is prefetched, so that every connection gets something done.
    proxy.reset_after(200_007);
    assert_all_come(&vhost, 5000, |_| {}).await?;
    let lost = host.count_events("link.lost", &[]);
    assert!(lost >= 10, "only {lost} links were lost");
    proxy.pass();
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn a_link_that_flaps_for_seconds_is_consumed_from_when_it_is_steady() -> Result<()> {
    let (vhost, proxy, mut host) = behind_proxy("flapping", &echo("")).await?;
    let flapping = async {
        let mut every = interval(Duration::from_millis(200));
        for _ in 0..25 {
            every.tick().await;
            proxy.cut();
        }
        Ok(())
    };
    tokio::try_join!(flapping, assert_all_come(&vhost, 2000, |_| {}))?;
    assert!(host.count_events("link.lost", &[]) >= 5);
    assert_nothing_left(&vhost, &mut host).await
}

#[tokio::test]
async fn a_slow_link_loses_neither_messages_nor_heartbeats() -> Result<()> {
    let (vhost, proxy, mut host) = behind_proxy("slow", &echo(r#"heartbeat = "2s""#)).await?;
    proxy.latency(Duration::from_millis(50));
    proxy.bandwidth(64 * 1024);
    // Longer than it takes to miss two heartbeats.
    assert_all_come(&vhost, 500, |_| {}).await?;
    assert_nothing_left(&vhost, &mut host).await?;
    assert_eq!(host.count_events("link.lost", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn a_second_host_in_the_url_takes_over_when_the_first_is_cut() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("fail-over").await?;
    let (one, other) = (Proxy::start(broker.port())?, Proxy::start(broker.port())?);
    let url = vhost.url_through_all(&[&one, &other]);
    let _host = HostProcess::run_at(&url, &echo("")).await?;
    for (number, (from, to)) in [(&one, &other), (&other, &one), (&one, &other)]
        .into_iter()
        .enumerate()
    {
        to.pass();
        from.refuse();
        from.cut();
        let look = async || Ok((from.connections(), to.connections()));
        eventually("both links are on the other", look, |open| *open == (0, 2)).await?;
        assert_consumes(&vhost, &number.to_string()).await?;
    }
    Ok(())
}
