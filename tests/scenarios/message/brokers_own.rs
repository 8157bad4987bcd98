//! No header that the broker writes travels: not with what a component publishes, not with a copy, not with
//! a dead letter, in whichever way the message had come back to its queue before.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Proxy, Vhost, eventually};
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::{assert_settled, consuming};

/// How a message comes back to its queue.
#[derive(Debug, Clone, Copy)]
enum Returned {
    Nacked,
    Rejected,
    ByClosing,
}

const WAYS: [Returned; 3] = [Returned::Nacked, Returned::Rejected, Returned::ByClosing];

/// How often a message comes back before the host gets it.
const RETURNS: usize = 3;

fn letter() -> Message {
    Message::new("hello").text_header("own", "1")
}

/// Has the broker hand out the one message of `queue` so often that it counts.
async fn hand_out(vhost: &Vhost, queue: &str, returned: Returned) -> Result<()> {
    for _ in 0..RETURNS {
        let channel = vhost.channel().await?;
        hand_out_once(&channel, queue, returned).await?;
        channel.close(200, "done".into()).await?;
        vhost.wait_ready(queue, 1).await?;
    }
    Ok(())
}

async fn hand_out_once(channel: &Channel, queue: &str, returned: Returned) -> Result<()> {
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(queue.into(), "".into(), options, FieldTable::default())
        .await?;
    let delivery = consumer.next().await.context("the queue has a message")??;
    match returned {
        Returned::Nacked => {
            let requeue = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            delivery.nack(requeue).await?;
        }
        Returned::Rejected => {
            delivery
                .reject(BasicRejectOptions { requeue: true })
                .await?;
        }
        Returned::ByClosing => {}
    }
    Ok(())
}

/// The headers of a message that was found, but for those of the host's own.
fn headers(found: &Message) -> BTreeMap<String, AMQPValue> {
    let headers = found.headers();
    let entries = headers.inner().iter();
    entries
        .map(|(name, value)| (name.to_string(), value.clone()))
        .filter(|(name, _)| !name.starts_with("x-hive-"))
        .collect()
}

/// Classic, since a quorum queue writes counts on what the test looks at.
const CLASSIC: &str = "type = \"classic\"";

/// A host that consumes the queue `letters`, in which there is a message that was handed out before.
async fn counted(returned: Returned, guest: &str, retry: &str) -> Result<(Vhost, HostProcess)> {
    let toml = HiveToml::new()
        .queue("letters", "type = \"quorum\"")
        .queue("out", CLASSIC)
        .queue("graveyard", CLASSIC)
        .component(guest, "")
        .consumer("letters", guest, retry);
    // The host declares the queues.
    let (vhost, mut host) = consuming("counted", toml.clone()).await?;
    host.stop().await?;
    vhost.publish("", "letters", letter()).await?;
    hand_out(&vhost, "letters", returned).await?;
    let host = HostProcess::run(&vhost, &toml).await?;
    Ok((vhost, host))
}

#[tokio::test]
async fn a_publication_has_the_headers_that_its_component_saw_and_no_count() -> Result<()> {
    for returned in WAYS {
        let (vhost, mut host) = counted(returned, "echo", "").await?;
        let found = vhost.take_one("out").await?;
        assert_settled(&vhost, &mut host, "letters").await?;
        let own = BTreeMap::from([("own".to_owned(), AMQPValue::LongString("1".into()))]);
        assert_eq!(headers(&found), own, "{returned:?}");
    }
    Ok(())
}

/// By way of a retry copy.
#[tokio::test]
async fn a_dead_letter_has_no_count() -> Result<()> {
    let retry = "retry = { limit = 1, delays = [\"50ms\"], dead_letter = \"graveyard\" }";
    for returned in WAYS {
        let (vhost, mut host) = counted(returned, "fail", retry).await?;
        let dead = vhost.take_one("graveyard").await?;
        assert_settled(&vhost, &mut host, "letters").await?;
        let own = BTreeMap::from([("own".to_owned(), AMQPValue::LongString("1".into()))]);
        assert_eq!(headers(&dead), own, "{returned:?}");
    }
    Ok(())
}

/// It expired in a queue of the operator's, and its component may know of that. A publication is another
/// message, which did not die; before RabbitMQ 3.13 the broker would count the record against it.
#[tokio::test]
async fn a_publication_has_no_record_of_how_another_message_died() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "")
        .queue("out", CLASSIC)
        .queue(
            "waiting",
            "type = \"classic\"\narguments = { x-message-ttl = 100, x-dead-letter-exchange = \"\", \
             x-dead-letter-routing-key = \"letters\" }",
        );
    let (vhost, mut host) = consuming("died", toml).await?;
    vhost.publish("", "waiting", letter()).await?;
    let found = vhost.take_one("out").await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let names: Vec<_> = headers(&found).into_keys().collect();
    assert_eq!(names, ["own"]);
    Ok(())
}

/// Hive's own queue held it on purpose. A dead letter puts the record of a death aside under a name of
/// the host's, so nothing there says that there was none.
#[tokio::test]
async fn a_delayed_publication_did_not_die() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("second", "")
        .queue("graveyard", CLASSIC)
        .component("publish", "")
        .component("fail", "")
        .consumer("letters", "publish", "")
        .consumer(
            "second",
            "fail",
            "retry = { limit = 1, delays = [\"50ms\"], dead_letter = \"graveyard\" }",
        );
    let (vhost, mut host) = consuming("delayed", toml).await?;
    let later = Message::new("later")
        .text_header("routing-key", "second")
        .header("delay-ms", 1000_i64);
    vhost.publish("", "letters", later).await?;
    let dead = vhost.take_one("graveyard").await?;
    assert_settled(&vhost, &mut host, "second").await?;
    let all = dead.headers();
    let names = all.inner().keys().map(|name| name.as_str());
    let deaths: Vec<_> = names.filter(|name| name.contains("death")).collect();
    assert!(deaths.is_empty(), "{deaths:?}");
    Ok(())
}

/// One body, no id, nothing to tell them apart: three messages all the same, whose publications are three to
/// whoever goes by their ids.
#[tokio::test]
async fn twins_without_an_id_have_publications_of_their_own() -> Result<()> {
    let keys = "publish_dedup = { key = \"message-id\" }";
    let toml = HiveToml::one("letters", "echo", keys).queue("out", CLASSIC);
    let (vhost, mut host) = consuming("twins", toml).await?;
    vhost
        .publish_all("", "letters", [(); 3].map(|()| letter()))
        .await?;
    let found = vhost.take("out", 3).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let ids: BTreeSet<_> = found.iter().map(Message::id).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    Ok(())
}

/// One publication of each is confirmed and the other one finds no room, when the channel is lost: the messages come
/// again, and what is published again is known by the ids that it had.
#[tokio::test]
async fn twins_without_an_id_that_come_again_publish_by_the_ids_that_they_had() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("twins-again").await?;
    let refusing = AMQPValue::LongString("reject-publish".into());
    let full = BTreeMap::from([
        ("x-max-length".into(), AMQPValue::LongLongInt(0)),
        ("x-overflow".into(), refusing),
    ]);
    vhost.declare_queue_with("full", full.into()).await?;
    let toml = HiveToml::one("letters", "publish", "concurrency = 3")
        .connection(r#"reconnect = { first = "50ms", max = "200ms" }"#)
        .queue("out", CLASSIC);
    let proxy = Proxy::start(broker.port())?;
    let mut host = HostProcess::run_at(&vhost.url_through(&proxy), &toml).await?;
    let twin = || {
        let message = Message::new("hello").text_header("routing-key", "out");
        message.text_header("second-routing-key", "full")
    };
    vhost
        .publish_all("", "letters", [(); 3].map(|()| twin()))
        .await?;
    let ids = async || {
        let found = vhost.take("out", 3).await?;
        let ids: BTreeSet<String> = found.iter().map(|one| one.id().to_owned()).collect();
        anyhow::Ok(ids)
    };
    let first = ids().await?;
    assert_eq!(first.len(), 3, "{first:?}");
    let kept = "hive_deliveries_kept{consumer=\"letters\"}";
    let look = async || host.metric(kept).await;
    eventually("all are kept", look, |kept| *kept == 3.0).await?;
    // At once, while each waits for its next try: a command of the broker takes as long as the wait, and in a try it is not
    // known yet that its delivery is lost as the message comes again.
    proxy.cut();
    assert_eq!(ids().await?, first);
    host.stop().await
}
