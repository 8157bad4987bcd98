//! The harness by itself, with no host: what the other scenarios take for granted.

use anyhow::Result;
use hive_tests::{Broker, Message, eventually};
use lapin::{Connection, ConnectionProperties};

#[tokio::test]
async fn a_message_comes_back_as_it_was_published() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    vhost.declare_queue("letters", "classic").await?;
    let sent = Message::new("one")
        .text_header("who", "me")
        .header("count", 3_i64);
    vhost.publish("", "letters", sent.clone()).await?;
    vhost.wait_ready("letters", 1).await?;
    let found = vhost.take_one("letters").await?;
    assert_eq!(found.body, sent.body);
    assert_eq!(found.properties, sent.properties);
    assert_eq!(found.text_of("who").as_deref(), Some("me"));
    assert_eq!(found.number_of("count"), Some(3));
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_vhost_sees_nothing_of_another() -> Result<()> {
    let broker = Broker::shared().await?;
    let (one, other) = (
        broker.vhost("harness").await?,
        broker.vhost("harness").await?,
    );
    one.declare_queue("letters", "quorum").await?;
    one.assert_queues(&["letters"])?;
    other.assert_queues(&[])
}

#[tokio::test]
async fn an_unroutable_message_is_told() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    let error = vhost.publish("", "nowhere", Message::new("lost")).await;
    let error = error.expect_err("no queue takes it").to_string();
    assert!(error.contains("`nowhere`"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_confirmed_message_outlives_a_kill_of_its_broker() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("harness").await?;
    // Not a quorum queue: killed within half a second of its declaration, RabbitMQ 3.10 leaves one
    // without a leader, since its register of queues has not been written by then.
    vhost.declare_queue("letters", "classic").await?;
    vhost.publish("", "letters", Message::new("kept")).await?;
    broker.kill9().await?;
    broker.restart().await?;
    assert_eq!(vhost.take_one("letters").await?.text(), "kept");
    Ok(())
}

#[tokio::test]
async fn the_broker_counts_what_went_through_a_queue() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    vhost.declare_queue("letters", "quorum").await?;
    let messages = (0..10).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    vhost.take("letters", 10).await?;
    let look = async || {
        let stats = &vhost.counters("letters")?["message_stats"];
        Ok(["publish", "get", "ack"].map(|name| stats[name].as_u64()))
    };
    eventually("ten came and went", look, |seen| *seen == [Some(10); 3]).await?;
    Ok(())
}

#[tokio::test]
async fn named_connections_are_seen_and_the_tests_own_is_not() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("harness").await?;
    vhost.declare_queue("letters", "classic").await?;
    assert!(broker.connections(&vhost)?.is_empty());
    let named = ConnectionProperties::default().with_connection_name("somebody".into());
    let connection = Connection::connect(&vhost.url(), named).await?;
    assert_eq!(broker.connections(&vhost)?.len(), 1);
    connection.close(200, "done".into()).await?;
    assert!(broker.connections(&vhost)?.is_empty());
    Ok(())
}
