//! How often deliveries are handled, and when a consumer stands still: `rate`, `pause_on`, and pausing
//! by hand.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Version, Vhost, eventually, scratch};
use serde_json::Value;
use tokio::time::Instant;

use crate::{assert_settled, consuming};

/// Twice as many as ever fail here before a breaker opens.
const MESSAGES: u32 = 60;

fn numbered(count: u32) -> impl Iterator<Item = Message> {
    (0..count).map(|number| Message::new(number.to_string()))
}

/// A burst on A, whose component is slow and has one instance, is A's own: B is done long before.
#[tokio::test]
async fn s20_a_burst_on_one_consumer_leaves_the_others_their_pace() -> Result<()> {
    let toml = HiveToml::one("burst", "slow", "concurrency = 1")
        .queue("out", "")
        .queue("calm", "")
        .component("echo", "")
        .consumer("calm", "echo", "");
    let (vhost, mut host) = consuming("s20", toml).await?;
    let burst = (0..300).map(|_| Message::new("100"));
    vhost.publish_all("", "burst", burst).await?;
    host.wait_for_printed("started 100").await?;
    let mut calm = 0;
    for _ in 0..20 {
        vhost.publish("", "calm", Message::new("0")).await?;
        let is_calm = |message: Message| {
            calm += u32::from(message.text() == "0");
            message.text() == "0"
        };
        vhost.take_until("out", is_calm).await?;
    }
    assert_eq!(calm, 20);
    let started = host.count_printed("started 100");
    assert!(started < 300, "the burst was over before the calm ones");
    host.stop().await?;
    assert_eq!(vhost.ready("burst.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_rate_lets_a_burst_through_and_then_so_many_in_a_second() -> Result<()> {
    let keys = "concurrency = 4\nrate = { limit = \"20/s\", burst = 10 }";
    let toml = HiveToml::one("letters", "echo", keys).queue("out", "");
    let (vhost, mut host) = consuming("rate", toml).await?;
    let began = Instant::now();
    vhost.publish_all("", "letters", numbered(MESSAGES)).await?;
    vhost.take("out", MESSAGES as usize).await?;
    // All but the burst take a twentieth of a second each. A slow machine takes longer.
    let least = Duration::from_secs_f64(f64::from(MESSAGES - 10) / 20.0);
    let took = began.elapsed();
    assert!(
        took > least - Duration::from_millis(100),
        "it took {took:?}"
    );
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_rate() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "rate = \"1/h\"").queue("out", "");
    let (vhost, mut host) = consuming("rate", toml).await?;
    vhost.publish_all("", "letters", numbered(3)).await?;
    vhost.take_one("out").await?;
    host.stop().await?;
    vhost.wait_ready("letters", 2).await?;
    let left = vhost.drain("letters").await?;
    let spent = left
        .iter()
        .any(|left| left.value("x-hive-attempt").is_some());
    assert!(!spent, "a retry was spent");
    Ok(())
}

/// A consumer of `letters` whose component fails while there is a file, and that file.
fn breakable(consumer_keys: &str) -> Result<(HiveToml, PathBuf)> {
    let data = scratch("broken");
    let broken = data.join("broken");
    std::fs::write(&broken, "")?;
    let allow = format!(
        "allow = {{ dirs = [{{ host = {:?}, guest = \"/data\" }}] }}",
        data.to_string_lossy()
    );
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("broken", &allow)
        .consumer("letters", "broken", consumer_keys);
    Ok((toml, broken))
}

/// What the host says of its consumer `letters`.
async fn letters_of(host: &HostProcess) -> Result<Value> {
    let answer = host.admin("/v1/consumers").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let consumers: Vec<Value> = serde_json::from_str(&answer.body)?;
    let mut consumers = consumers.into_iter();
    let letters = consumers.find(|consumer| consumer["consumer"] == "letters");
    letters.context("the consumer is told of")
}

pub(crate) async fn wait_for_state(host: &HostProcess, state: &str) -> Result<Value> {
    let look = async || letters_of(host).await;
    let what = format!("the consumer is {state}");
    eventually(&what, look, |letters| letters["state"] == state).await
}

async fn paused_by(host: &HostProcess, by: &str) -> Result<f64> {
    let series = format!(r#"hive_consumer_paused{{by="{by}",consumer="letters"}}"#);
    host.metric(&series).await
}

#[tokio::test]
async fn a_component_that_fails_pauses_its_consumer_until_one_delivery_is_handled() -> Result<()> {
    let keys = "concurrency = 2\nretry = { limit = 0 }\n\
                pause_on = { failure_ratio = 0.5, of_last = 8, for = \"1s\" }";
    let (toml, broken) = breakable(keys)?;
    let (vhost, mut host) = consuming("breaker", toml).await?;
    vhost.publish_all("", "letters", numbered(MESSAGES)).await?;
    host.wait_for_event("consumer.paused", &[("by", "failures")])
        .await?;
    host.wait_for_event("consumer.still_paused", &[]).await?;

    let letters = wait_for_state(&host, "paused").await?;
    assert_eq!(letters["by"], "failures", "{letters}");
    let reason = letters["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("deliveries failed"), "{letters}");
    let (status, readiness) = host.readiness().await?;
    assert_eq!(
        status, 200,
        "a pause that is wanted is no fault: {readiness}"
    );
    assert_eq!(readiness["consumers"]["paused"], 1, "{readiness}");
    assert_eq!(readiness["paused"][0]["consumer"], "letters", "{readiness}");
    assert_eq!(paused_by(&host, "failures").await?, 1.0);
    // Four that opened it, one in hand beside the last of them, and one for each try.
    let tried = host.count_events("consumer.still_paused", &[]) as u32;
    let dead = vhost.ready("letters.dead").await?;
    assert!(dead <= 5 + tried + 1, "{dead} are dead after {tried} tries");
    assert_eq!(vhost.ready("out").await?, 0);

    std::fs::remove_file(&broken)?;
    host.wait_for_event("consumer.resumed", &[("by", "failures")])
        .await?;
    wait_for_state(&host, "consuming").await?;
    let dead = vhost.ready("letters.dead").await?;
    vhost.wait_ready("out", MESSAGES - dead).await?;
    assert_eq!(paused_by(&host, "failures").await?, 0.0);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn messages_that_are_rejected_pause_nobody() -> Result<()> {
    let keys = "pause_on = { failure_ratio = 0.1, of_last = 5 }";
    let toml = HiveToml::one("letters", "reject", keys);
    let (vhost, mut host) = consuming("breaker", toml).await?;
    vhost.publish_all("", "letters", numbered(20)).await?;
    vhost.wait_ready("letters.dead", 20).await?;
    assert_eq!(
        host.count_events("consumer.paused", &[("by", "failures")]),
        0
    );
    assert_settled(&vhost, &mut host, "letters").await
}

/// The first one fails for ever. It is tried each time since it is the first, and its attempts go on
/// where they were, so that it ends in the dead-letter queue and the others come through.
#[tokio::test]
async fn what_is_kept_in_order_does_not_hold_a_paused_consumer_for_ever() -> Result<()> {
    let keys = "concurrency = 4\nordered_by = \"header:key\"\n\
                retry = { limit = 3, delays = [\"10ms\"] }\n\
                pause_on = { failure_ratio = 1, of_last = 1, for = \"200ms\" }";
    let toml = HiveToml::one("letters", "in-order", keys).queue("out", "");
    let (vhost, mut host) = consuming("breaker", toml).await?;
    let message = |number: i64, fails: i64| {
        Message::new("")
            .text_header("key", "a")
            .header("number", number)
            .header("fails", fails)
    };
    let messages = [message(0, 99), message(1, 0), message(2, 0)];
    vhost.publish_all("", "letters", messages).await?;
    let out = vhost.take("out", 2).await?;
    let out: Vec<String> = out.iter().map(Message::text).collect();
    assert_eq!(out, ["a 1 1", "a 2 1"]);
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(4));
    for attempt in 1..=4 {
        let began = format!("began a 0 at attempt {attempt}");
        assert_eq!(host.count_printed(&began), 1, "{began}");
    }
    assert_settled(&vhost, &mut host, "letters").await
}

/// A host with a file, which its command line needs.
pub(crate) async fn with_file(
    label: &str,
    toml: &HiveToml,
) -> Result<(Vhost, HostProcess, PathBuf)> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let file = scratch(label).join("hive.toml");
    let host = HostProcess::run_file(&vhost, toml, &file).await?;
    Ok((vhost, host, file))
}

/// Runs `hive-host pause` or `resume`, and gives what it prints.
pub(crate) async fn tell(host: &HostProcess, verb: &str, file: &std::path::Path) -> Result<String> {
    let told = host.told(verb, file, &["letters"]).await?;
    ensure!(told.code == Some(0), "{told:?}");
    Ok(told.stdout.trim().to_owned())
}

/// Waits until the broker counts no consumer. A quorum queue counts a cancelled one for as long as it
/// has something unacknowledged.
async fn wait_for_consumers(vhost: &Vhost, count: u32) -> Result<()> {
    let look = async || vhost.consumers("letters").await;
    eventually(&format!("{count} consume `letters`"), look, |seen| {
        *seen == count
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_is_paused_by_hand_stays_so_until_it_is_resumed() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "prefetch = 20")
        .queue("out", "")
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, mut host, file) = with_file("pause", &toml).await?;
    assert_eq!(
        wait_for_state(&host, "consuming").await?["component"],
        "echo"
    );
    assert!(
        tell(&host, "pause", &file)
            .await?
            .starts_with("letters: paused")
    );
    assert_eq!(
        tell(&host, "pause", &file).await?,
        "letters: was paused already"
    );
    wait_for_consumers(&vhost, 0).await?;
    let letters = letters_of(&host).await?;
    assert_eq!(
        (&letters["state"], &letters["by"]),
        (&"paused".into(), &"hand".into())
    );
    assert!(letters["since"].is_string(), "{letters}");
    assert_eq!(paused_by(&host, "hand").await?, 1.0);
    assert_eq!(host.readiness().await?.0, 200);

    vhost.publish_all("", "letters", numbered(10)).await?;
    let connected = host.count_events("link.connected", &[]);
    // The management plugin lists a connection a while after it is opened.
    let close = async || vhost.close_host_connections();
    eventually("both connections were closed", close, |closed| *closed >= 2).await?;
    host.wait_for_events("link.connected", &[], connected + 2)
        .await?;
    // Unchanged, and then changed: whoever paused it did not ask for either.
    assert_eq!(host.told("reload", &file, &[]).await?.code, Some(0));
    let changed = std::fs::read_to_string(&file)?.replace("prefetch = 20", "prefetch = 30");
    std::fs::write(&file, changed)?;
    let reloaded = host.told("reload", &file, &[]).await?;
    assert!(
        reloaded.stdout.contains("prefetch 20 -> 30"),
        "{reloaded:?}"
    );
    wait_for_state(&host, "paused").await?;
    assert_eq!(vhost.ready("letters").await?, 10);
    assert_eq!(vhost.ready("out").await?, 0);

    assert_eq!(tell(&host, "resume", &file).await?, "letters: resumed");
    assert_eq!(
        tell(&host, "resume", &file).await?,
        "letters: was not paused"
    );
    vhost.wait_ready("out", 10).await?;
    wait_for_state(&host, "consuming").await?;
    assert_eq!(paused_by(&host, "hand").await?, 0.0);
    let unknown = host.told("pause", &file, &["lettres"]).await?;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("letters"), "{unknown:?}");
    assert_settled(&vhost, &mut host, "letters").await
}

/// What a pause costs: a quorum queue counts a delivery for each message that was let out and comes
/// back unhandled, and none for those that were not let out.
#[tokio::test]
async fn a_pause_finishes_what_is_in_hand_and_gives_back_the_rest_unharmed() -> Result<()> {
    let toml = HiveToml::one("letters", "slow", "concurrency = 2\nprefetch = 6").queue("out", "");
    let (vhost, mut host, file) = with_file("pause", &toml).await?;
    let messages = (0..12).map(|_| Message::new("1000"));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 2).await?;
    tell(&host, "pause", &file).await?;
    vhost.wait_ready("out", 2).await?;
    vhost.wait_ready("letters", 10).await?;
    assert_eq!(
        host.count_printed("started"),
        2,
        "more was begun after the pause"
    );
    host.stop().await?;
    let left = vhost.drain("letters").await?;
    let spent = left
        .iter()
        .any(|left| left.value("x-hive-attempt").is_some());
    assert!(!spent, "a retry was spent");
    let counted: Vec<_> = left
        .iter()
        .filter_map(|left| left.number_of("x-delivery-count"))
        .filter(|count| *count > 0)
        .collect();
    // 4.3 does not count what is given back with `basic.nack`.
    let expected: &[i64] = match vhost.version() {
        Version::V3_10 | Version::V4_0 => &[1, 1, 1, 1],
        Version::V4_3 => &[],
    };
    assert_eq!(counted, expected, "the broker's count of those let out");
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn resuming_by_hand_does_not_wait_for_the_breaker() -> Result<()> {
    let keys = "retry = { limit = 0 }\npause_on = { failure_ratio = 1, of_last = 3, for = \"1h\" }";
    let (toml, broken) = breakable(keys)?;
    let (vhost, mut host, file) = with_file("breaker", &toml).await?;
    vhost.publish_all("", "letters", numbered(10)).await?;
    wait_for_state(&host, "paused").await?;
    vhost.wait_ready("letters", 7).await?;
    std::fs::remove_file(&broken)?;
    assert_eq!(tell(&host, "resume", &file).await?, "letters: resumed");
    vhost.wait_ready("out", 7).await?;
    assert_eq!(vhost.ready("letters.dead").await?, 3);
    assert_settled(&vhost, &mut host, "letters").await
}
