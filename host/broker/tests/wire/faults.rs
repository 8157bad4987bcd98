//! Faults on command, as a client meets them.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use hive_broker::Fault;
use lapin::{BasicProperties, Confirmation, ErrorKind};

use super::support::{Bench, connect, declare, next, publish, soon};

fn inject(bench: &Bench, fault: Fault) {
    bench.broker.inject(fault).unwrap();
}

fn q() -> (String, String) {
    ("/".to_owned(), "q".to_owned())
}

#[tokio::test]
async fn a_confirm_is_dropped_and_its_message_stored() {
    let bench = Bench::new().await;
    bench.confirms().await;
    bench.declare("q", &[]).await;
    inject(&bench, Fault::DropConfirms { times: 1 });
    let silent = publish(&bench.channel, "q", "a", BasicProperties::default()).await;
    bench.settled().await;
    assert!(silent.now_or_never().is_none());
    assert_eq!(bench.ready("q").await, 1);
}

#[tokio::test]
async fn a_publication_is_nacked() {
    let bench = Bench::new().await;
    bench.confirms().await;
    bench.declare("q", &[]).await;
    inject(&bench, Fault::NackPublishes { times: 1 });
    assert!(bench.confirmed("q", "a").await.is_nack());
    assert!(bench.confirmed("q", "b").await.is_ack());
    assert_eq!(bench.ready("q").await, 1);
}

#[tokio::test]
async fn a_connection_is_cut_at_once_or_at_a_method() {
    let bench = Bench::new().await;
    let method = "queue.declare".to_owned();
    inject(&bench, Fault::CutAt { method });
    assert!(declare(&bench.channel, "q", &[]).await.is_err());
    assert!(bench.broker.queues().is_empty());
    let other = connect(&bench.broker.url()).await;
    let channel = other.create_channel().await.unwrap();
    let connection = Some("test".to_owned());
    inject(&bench, Fault::Cut { connection });
    assert!(declare(&channel, "q", &[]).await.is_err());
    let connection = Some("nobody".to_owned());
    assert!(bench.broker.inject(Fault::Cut { connection }).is_err());
}

#[tokio::test]
async fn a_method_is_answered_541() {
    let bench = Bench::new().await;
    let answer = Fault::Answer {
        method: "queue.declare".to_owned(),
        code: 541,
        text: "not today".to_owned(),
        times: 1,
    };
    inject(&bench, answer);
    let error = declare(&bench.channel, "q", &[]).await.unwrap_err();
    let ErrorKind::ProtocolError(error) = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(error.get_id(), 541);
    assert_eq!(error.get_message().as_str(), "INTERNAL_ERROR - not today");
    let method = "queue.define".to_owned();
    assert!(bench.broker.inject(Fault::CutAt { method }).is_err());
}

#[tokio::test]
async fn publishers_are_blocked_and_released() {
    let bench = Bench::new().await;
    bench.confirms().await;
    bench.declare("q", &[]).await;
    let reason = || "low on memory".to_owned();
    // One that is over before anything is published leaves no trace.
    inject(&bench, Fault::Block { reason: reason() });
    inject(&bench, Fault::Unblock);
    inject(&bench, Fault::Block { reason: reason() });
    let pending = publish(&bench.channel, "q", "a", BasicProperties::default()).await;
    let blocked = async {
        while !bench.connection.status().blocked() {
            tokio::task::yield_now().await;
        }
    };
    soon(blocked).await;
    assert_eq!(bench.broker.queue("/", "q").unwrap().ready, 0);
    inject(&bench, Fault::Unblock);
    assert_eq!(soon(pending).await.unwrap(), Confirmation::Ack(None));
}

#[tokio::test]
async fn a_frozen_queue_is_silent_until_it_thaws() {
    let bench = Bench::new().await;
    bench.confirms().await;
    bench.declare("q", &[]).await;
    let mut consumer = bench.consume("q", "c", 9).await;
    let (vhost, queue) = q();
    inject(&bench, Fault::Freeze { vhost, queue });
    let pending = publish(&bench.channel, "q", "a", BasicProperties::default()).await;
    bench.settled().await;
    bench.broker.turn(Duration::from_secs(3600));
    assert!(consumer.next().now_or_never().is_none());
    let (vhost, queue) = q();
    inject(&bench, Fault::Thaw { vhost, queue });
    assert_eq!(soon(pending).await.unwrap(), Confirmation::Ack(None));
    next(&mut consumer).await;
}

#[tokio::test]
async fn consumers_are_cancelled_and_their_queue_stays() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    let mut consumer = bench.consume("q", "c", 9).await;
    let (vhost, queue) = q();
    inject(&bench, Fault::CancelConsumers { vhost, queue });
    assert!(soon(consumer.next()).await.is_none());
    assert_eq!(bench.broker.queue("/", "q").unwrap().consumers, 0);
}
