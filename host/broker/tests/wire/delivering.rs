//! Consumers: prefetch, turns, what goes back, and who is active.

use futures_util::{FutureExt, StreamExt};
use lapin::Acker;
use lapin::options::{
    BasicAckOptions, BasicNackOptions, BasicRejectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};

use super::support::{Bench, body, connect, consume, header, next, soon, word};

async fn reject(acker: &Acker) {
    let options = BasicRejectOptions { requeue: true };
    acker.reject(options).await.unwrap();
}

async fn nack(acker: &Acker) {
    let options = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    acker.nack(options).await.unwrap();
}

#[tokio::test]
async fn prefetch_holds_and_acks_make_room() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    for number in 0..5 {
        bench.send("q", &number.to_string()).await;
    }
    let mut consumer = bench.consume("q", "c", 2).await;
    next(&mut consumer).await;
    let second = next(&mut consumer).await;
    bench.settled().await;
    let status = bench.broker.queue("/", "q").unwrap();
    assert_eq!((status.ready, status.unacked), (3, 2));
    let options = BasicAckOptions { multiple: true };
    second.acker.ack(options).await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "2");
    assert_eq!(body(&next(&mut consumer).await), "3");
}

#[tokio::test]
async fn what_is_given_back_is_at_its_old_place() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    for text in ["a", "b", "c"] {
        bench.send("q", text).await;
    }
    let (a, b) = (bench.get("q").await.unwrap(), bench.get("q").await.unwrap());
    assert!(!a.redelivered);
    nack(&b.acker).await;
    reject(&a.acker).await;
    for (text, redelivered) in [("a", true), ("b", true), ("c", false)] {
        let got = bench.get("q").await.unwrap();
        assert_eq!((body(&got).as_str(), got.redelivered), (text, redelivered));
    }
}

#[tokio::test]
async fn a_channel_that_closes_gives_all_of_its_deliveries_back() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    bench.send("q", "a").await;
    bench.settled().await;
    let other = bench.connection.create_channel().await.unwrap();
    let mut consumer = consume(&other, "q", "c", 0, &[]).await;
    next(&mut consumer).await;
    assert_eq!(bench.ready("q").await, 0);
    other.close(200, "".into()).await.unwrap();
    assert!(bench.get("q").await.unwrap().redelivered);
}

#[tokio::test]
async fn a_quorum_queue_counts_failures_and_gives_up_at_its_limit() {
    let bench = Bench::new().await;
    let arguments = [
        ("x-queue-type", word("quorum")),
        ("x-delivery-limit", 2_i32.into()),
        ("x-dead-letter-exchange", word("")),
        ("x-dead-letter-routing-key", word("dead")),
    ];
    bench.declare("q", &arguments).await;
    bench.declare("dead", &[]).await;
    bench.send("q", "a").await;
    let count = |number| Some(AMQPValue::LongLongInt(number));
    let mut seen = Vec::new();
    for round in 0..4 {
        let got = bench.get("q").await.unwrap();
        seen.push((
            header(&got, "x-acquired-count"),
            header(&got, "x-delivery-count"),
        ));
        // The first return is not a failure.
        if round == 0 {
            nack(&got.acker).await;
        } else {
            reject(&got.acker).await;
        }
    }
    let expected = [
        (None, None),
        (count(1), None),
        (count(2), count(1)),
        (count(3), count(2)),
    ];
    assert_eq!(seen, expected);
    assert!(bench.get("q").await.is_none());
    let dead = bench.get("dead").await.unwrap();
    let reason = header(&dead, "x-last-death-reason");
    assert_eq!(reason, Some(word("delivery_limit")));
}

#[tokio::test]
async fn a_consumer_of_higher_priority_goes_first() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    let mut low = consume(&bench.channel, "q", "low", 1, &[]).await;
    let priority = [("x-priority", AMQPValue::LongInt(5))];
    let mut high = consume(&bench.channel, "q", "high", 1, &priority).await;
    for text in ["a", "b"] {
        bench.send("q", text).await;
    }
    assert_eq!(body(&next(&mut high).await), "a");
    assert_eq!(body(&next(&mut low).await), "b");
}

#[tokio::test]
async fn of_a_quorum_queue_with_one_active_consumer_the_highest_is_it() {
    let bench = Bench::new().await;
    let arguments = [
        ("x-queue-type", word("quorum")),
        ("x-single-active-consumer", true.into()),
    ];
    bench.declare("q", &arguments).await;
    let mut low = consume(&bench.channel, "q", "low", 9, &[]).await;
    bench.send("q", "a").await;
    let first = next(&mut low).await;
    let priority = [("x-priority", AMQPValue::LongInt(5))];
    let mut high = consume(&bench.channel, "q", "high", 9, &priority).await;
    bench.send("q", "b").await;
    bench.settled().await;
    assert!(high.next().now_or_never().is_none(), "one is in flight yet");
    first.acker.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(body(&next(&mut high).await), "b");
    let cancelled = bench
        .channel
        .basic_cancel("high".into(), Default::default());
    cancelled.await.unwrap();
    bench.send("q", "c").await;
    assert_eq!(body(&next(&mut low).await), "c");
}

#[tokio::test]
async fn a_consumer_hears_that_its_queue_is_gone() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    let mut consumer = bench.consume("q", "c", 1).await;
    let options = QueueDeleteOptions::default();
    let deleted = bench.channel.queue_delete("q".into(), options);
    deleted.await.unwrap();
    assert!(soon(consumer.next()).await.is_none());
    assert!(bench.channel.status().connected());
}

#[tokio::test]
async fn exclusive_and_auto_delete_queues_go_with_those_who_use_them() {
    let bench = Bench::new().await;
    let other = connect(&bench.broker.url()).await;
    let channel = other.create_channel().await.unwrap();
    for (name, exclusive, auto_delete) in [("mine", true, false), ("brief", false, true)] {
        let options = QueueDeclareOptions {
            exclusive,
            auto_delete,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(name.into(), options, FieldTable::default());
        declared.await.unwrap();
    }
    let _consumer = consume(&channel, "brief", "c", 1, &[]).await;
    assert_eq!(bench.broker.queues().len(), 2);
    let cancelled = channel.basic_cancel("c".into(), Default::default());
    cancelled.await.unwrap();
    assert_eq!(bench.broker.queues().len(), 1);
    other.close(200, "".into()).await.unwrap();
    assert!(bench.broker.queues().is_empty());
}
