//! What lives between deliveries, and what a trap takes with it.

use anyhow::Result;
use hive_tests::{HiveToml, Message};

use crate::{assert_settled, consuming};

/// A guest that counts its deliveries, handled one at a time.
fn counter(component_keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("count", component_keys)
        .consumer("letters", "count", "concurrency = 1\nretry = { limit = 0 }")
}

/// What the guest counted for each of these messages, in their order.
async fn counted(toml: HiveToml, bodies: &[&str], answers: usize) -> Result<Vec<String>> {
    let (vhost, mut host) = consuming("instances", toml).await?;
    let messages = bodies.iter().map(|body| Message::new(*body));
    vhost.publish_all("", "letters", messages).await?;
    let counted = vhost.take("out", answers).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    Ok(counted.iter().map(Message::text).collect())
}

#[tokio::test]
async fn s13_after_a_trap_the_next_message_gets_a_fresh_instance() -> Result<()> {
    let counted = counted(counter(""), &["a", "b", "trap", "c", "d"], 4).await?;
    assert_eq!(counted, ["1 a", "2 b", "1 c", "2 d"]);
    Ok(())
}

#[tokio::test]
async fn s13_a_trap_is_a_failure_with_the_normal_retries() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "trap",
        r#"retry = { limit = 2, delays = ["20ms"] }"#,
    );
    let (vhost, host) = consuming("s13", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(3));
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("trap"));
    host.wait_for_printed_times("of hello", 3).await
}

#[tokio::test]
async fn state_lives_between_deliveries_with_reuse() -> Result<()> {
    let counted = counted(counter(r#"instances = "reuse""#), &["a", "b", "c"], 3).await?;
    assert_eq!(counted, ["1 a", "2 b", "3 c"]);
    Ok(())
}

#[tokio::test]
async fn every_delivery_starts_anew_with_fresh() -> Result<()> {
    let counted = counted(counter(r#"instances = "fresh""#), &["a", "b", "c"], 3).await?;
    assert_eq!(counted, ["1 a", "1 b", "1 c"]);
    Ok(())
}

#[tokio::test]
async fn an_instance_is_recycled_after_so_many_deliveries() -> Result<()> {
    let counted = counted(counter("recycle_after = 2"), &["a", "b", "c", "d", "e"], 5).await?;
    assert_eq!(counted, ["1 a", "2 b", "1 c", "2 d", "1 e"]);
    Ok(())
}

#[tokio::test]
async fn what_a_component_prints_is_logged_with_its_consumer_and_component() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("stdout", "")
        .consumer("letters", "stdout", "");
    let (vhost, mut host) = consuming("stdout", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    for pattern in ["out says hello", "err says hello"] {
        let line = host.wait_for_printed(pattern).await?;
        let whose = [("consumer", "letters"), ("component", "stdout")];
        assert!(line.is("component.printed", &whose), "{line}");
    }
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_component_reads_its_configuration() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("config", r#"config = { greeting = "ahoy" }"#)
        .consumer("letters", "config", "");
    let (vhost, _host) = consuming("config", toml).await?;
    vhost
        .publish("", "letters", Message::new("greeting"))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), "ahoy");
    Ok(())
}

/// A guest that tells of its beginning and its end.
fn with_lifecycle(component_keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .component("lifecycle", component_keys)
        .consumer("letters", "lifecycle", "concurrency = 1")
}

#[tokio::test]
async fn an_instance_starts_before_its_first_delivery_and_stops_with_the_host() -> Result<()> {
    let (vhost, mut host) = consuming("lifecycle", with_lifecycle("")).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    host.wait_for_printed("attempt 1 of hello").await?;
    host.stop().await?;
    let order = [
        "begins",
        "attempt 1 of hello",
        "ends because of StopReason::Drain",
    ];
    let told = host.printed();
    let place = |words: &str| told.iter().position(|line| line.contains(words));
    let places = order.map(place);
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{told:#?}"
    );
    assert_eq!(host.count_printed("begins"), 1);
    Ok(())
}

#[tokio::test]
async fn an_instance_is_recycled_after_its_deliveries() -> Result<()> {
    let (vhost, host) = consuming("lifecycle", with_lifecycle("recycle_after = 2")).await?;
    let messages = ["a", "b", "c", "d", "e"].map(Message::new);
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed("attempt 1 of e").await?;
    host.wait_for_printed_times("ends because of StopReason::Recycled", 2)
        .await?;
    assert_eq!(host.count_printed("begins"), 3);
    Ok(())
}
