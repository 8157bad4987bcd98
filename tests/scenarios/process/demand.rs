//! How much waits for a consumer, as whoever starts and stops hosts asks for it.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually, scratch};
use serde_json::Value;

use crate::pace::flow::tell;

/// One worker that is kept busy by a first message, and a rule that wants one for two of those that wait.
fn toml() -> HiveToml {
    let scale = r#"prefetch = 2
scale = { max = 2, messages_per_instance = 2, every = "100ms" }"#;
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("slow", r#"timeout = "5m""#)
        .consumer("letters", "slow", scale)
        .queue("journal", r#"type = "stream""#)
        .component("ack", "")
        .consumer("journal", "ack", r#"stream = { offset = "first" }"#)
}

async fn demand(host: &HostProcess, consumer: &str) -> Result<(u16, Value)> {
    let path = format!("/v1/consumers/{consumer}/demand");
    let answer = host.admin(&path).await?;
    Ok((answer.status, serde_json::from_str(&answer.body)?))
}

#[tokio::test]
async fn demand_is_what_waits_beyond_the_hosts_own_workers() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("demand").await?;
    let file = scratch("demand").join("hive.toml");
    std::fs::write(&file, toml().text(&vhost))?;
    let host = HostProcess::launch_file(&file, &[])?;
    host.wait_for_start_of("letters").await?;
    let messages = (0..12).map(|_| Message::new("240000"));
    vhost.publish_all("", "letters", messages).await?;
    // Two are in flight, and ten are ready: a rule without `max` wants five workers for them.
    let is_it = |(status, view): &(u16, Value)| {
        *status == 200 && view["messages"] == 10 && view["workers_asked"] == 5
    };
    let look = async || demand(&host, "letters").await;
    let (_, view) = eventually("ten messages ask for five workers", look, is_it).await?;
    assert_eq!(view["consumer"], "letters");
    assert_eq!(view["queue"], "letters");
    assert_eq!(view["in_flight"], 2);
    assert_eq!(view["workers"], 2);
    assert_eq!(view["workers_most"], 2);

    let (status, unknown) = demand(&host, "lettres").await?;
    assert_eq!(status, 404);
    assert!(
        unknown["error"].to_string().contains("letters"),
        "{unknown}"
    );
    assert_eq!(demand(&host, "journal").await?.0, 409, "a stream keeps all");
    // What waits for an operator needs no host: a scaler is told that there is no number, and changes nothing.
    tell(&host, "pause", &file).await?;
    let look = async || demand(&host, "letters").await;
    let paused = |(status, _): &(u16, Value)| *status == 503;
    eventually("a paused consumer has no demand", look, paused).await?;
    Ok(())
}
