//! `hive-host peek`: it shows the messages of any queue, and changes nothing there.

use anyhow::Result;
use hive_tests::{Broker, Commands, Finished, HiveToml, Message, Version, Vhost};
use serde_json::Value;

/// Commands on a hive.toml that has no such queue.
async fn stage(kind: &str) -> Result<(Vhost, Commands)> {
    let vhost = Broker::shared().await?.vhost("peek").await?;
    vhost.declare_queue("foreign", kind).await?;
    let messages = (1..=3_u32).map(|number| {
        Message::new(format!("{{\"number\":{number}}}"))
            .with(|properties| properties.with_message_id(format!("m-{number}").into()))
    });
    vhost.publish_all("", "foreign", messages).await?;
    vhost.wait_ready("foreign", 3).await?;
    let commands = Commands::on(&vhost, &HiveToml::one("letters", "ack", ""))?;
    Ok((vhost, commands))
}

fn assert_shows(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for part in parts {
        assert!(finished.stdout.contains(part), "{part:?}: {finished:?}");
    }
}

#[tokio::test]
async fn any_queue_is_shown_and_left_as_it_was() -> Result<()> {
    let (vhost, commands) = stage("classic").await?;
    let peek = async |more: &[&str]| {
        let arguments = [&["foreign"], more].concat();
        commands.run(&["peek"], &arguments).await
    };
    let listed = peek(&[]).await?;
    assert_shows(
        &listed,
        &["MESSAGE-ID", "m-3", "{\"number\":3}", "3 listed of 3"],
    );
    assert_shows(&peek(&["--limit", "2"]).await?, &["m-2", "2 listed of 3"]);
    let lines = peek(&["--json", "--where", "message-id=m-2"]).await?;
    let [line]: [Value; 1] = lines.json_lines()?.try_into().expect("one matches");
    assert_eq!(line["number"], 2);
    assert_eq!(line["routing-key"], "foreign");
    let shown = peek(&["--show", "--where", "number=1"]).await?;
    assert_shows(
        &shown,
        &["message 1 of foreign", "\"number\": 1", "1 shown of 3"],
    );
    let whole = peek(&["--show", "--json", "--limit", "1"]).await?;
    assert_eq!(whole.json_lines()?[0]["body"], "{\"number\":1}");
    vhost.wait_ready("foreign", 3).await?;
    let left = vhost.drain("foreign").await?;
    let left: Vec<String> = left.iter().map(Message::text).collect();
    let expected = [1, 2, 3].map(|number| format!("{{\"number\":{number}}}"));
    assert_eq!(left, expected, "in their order");
    assert_shows(&peek(&[]).await?, &["foreign is empty"]);
    Ok(())
}

/// The queue itself is meant, and not its dead-letter queue.
#[tokio::test]
async fn a_consumed_queue_means_itself() -> Result<()> {
    let (vhost, commands) = stage("classic").await?;
    vhost.declare_queue("letters", "classic").await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    vhost.wait_ready("letters", 1).await?;
    let listed = commands.run(&["peek"], &["letters"]).await?;
    assert_shows(&listed, &["hello", "1 listed of 1 in letters"]);
    Ok(())
}

#[tokio::test]
async fn looks_that_the_broker_counts_are_refused() -> Result<()> {
    let (vhost, commands) = stage("quorum").await?;
    let listed = commands.run(&["peek"], &["foreign"]).await?;
    if Broker::shared().await?.version() == Version::V4_0 {
        assert_eq!(listed.code, Some(1), "{listed:?}");
        assert!(listed.stderr.contains("--counted"), "{listed:?}");
        let counted = commands.run(&["peek"], &["foreign", "--counted"]).await?;
        assert_shows(&counted, &["3 listed of 3"]);
        assert!(counted.stderr.contains("19 more"), "{counted:?}");
    } else {
        assert_shows(&listed, &["3 listed of 3"]);
        assert_eq!(listed.stderr, "");
    }
    vhost.wait_ready("foreign", 3).await
}

#[tokio::test]
async fn a_stream_and_a_queue_that_is_missing_are_refused() -> Result<()> {
    let (vhost, commands) = stage("classic").await?;
    vhost.declare_queue("events", "stream").await?;
    for (queue, words) in [("events", "is a stream"), ("nowhere", "nowhere")] {
        let refused = commands.run(&["peek"], &[queue]).await?;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    Ok(())
}
