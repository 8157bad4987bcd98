//! A machine whose clock was never set says a time before 1970.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, clock_before_1970, eventually, scratch};

use crate::assert_settled;

/// Everything of a delivery that tells or keeps a time: dead letters, delays, what a store keeps for a while.
#[tokio::test]
async fn a_clock_before_1970_costs_no_delivery_and_no_worker() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("clock").await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("bombs", "")
        .queue("out", "")
        .component("publish", "")
        .component("fail", "")
        .consumer(
            "letters",
            "publish",
            "concurrency = 2\ndedup = { key = \"message-id\" }",
        )
        .consumer(
            "bombs",
            "fail",
            "retry = { limit = 1, delays = [\"100ms\"] }",
        )
        .section("store", "kind = \"embedded\"");
    let file = scratch("clock").join("hive.toml");
    std::fs::write(&file, toml.text(&vhost))?;
    let clock = clock_before_1970()?.to_string_lossy().into_owned();
    let mut host = HostProcess::launch_file(&file, &[("LD_PRELOAD", &clock)])?;
    // The admin server answers nobody before 1970, and says so.
    host.wait_for_event("admin.mute", &[]).await?;
    let lines = host.lines();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("{\"timestamp\":\"1969")),
        "{lines:?}"
    );
    for queue in ["letters", "bombs"] {
        let look = async || vhost.consumers(queue).await;
        eventually("it consumes", look, |consumers| *consumers == 1).await?;
    }
    let known =
        |body: &str| Message::new(body).with(|properties| properties.with_message_id(body.into()));
    let later = known("later").header("delay-ms", 1000_i64);
    let messages = [known("now"), later, known("now")];
    vhost.publish_all("", "letters", messages).await?;
    vhost.publish("", "bombs", known("bomb")).await?;
    let dead = vhost.take_one("bombs.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    let out = vhost.take("out", 2).await?;
    let bodies: Vec<String> = out.iter().map(Message::text).collect();
    assert_eq!(bodies, ["now", "later"]);
    vhost.wait_ready("letters", 0).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 0, "a repeat was handled");
    assert_eq!(host.count_events("host.panicked", &[]), 0);
    Ok(())
}
