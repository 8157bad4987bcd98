//! How messages and queues expire, and where expired messages go. Hours pass in milliseconds.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicRejectOptions;
use lapin::types::AMQPValue;

use super::support::{Bench, body, header, next, word};

/// The arguments of a queue whose dead letters go to another one.
fn dying_to(queue: &str) -> [(&'static str, AMQPValue); 2] {
    [
        ("x-dead-letter-exchange", word("")),
        ("x-dead-letter-routing-key", word(queue)),
    ]
}

#[tokio::test]
async fn a_message_waits_for_its_time_and_dies_with_a_record() {
    let bench = Bench::new().await;
    let [exchange, key] = dying_to("dead");
    let ttl = ("x-message-ttl", 3_600_000_i32.into());
    bench.declare("q", &[exchange, key, ttl]).await;
    bench.declare("dead", &[]).await;
    bench.send("q", "slow").await;
    let brief = BasicProperties::default().with_expiration("1000".into());
    bench.send_with("q", "behind", brief).await;
    bench.settled().await;
    bench.broker.turn(Duration::from_millis(3_599_999));
    assert_eq!(bench.ready("q").await, 2);
    bench.broker.turn(Duration::from_millis(1));
    assert_eq!((bench.ready("q").await, bench.ready("dead").await), (0, 2));
    bench.get("dead").await.unwrap();
    let dead = bench.get("dead").await.unwrap();
    assert_eq!(body(&dead), "behind");
    assert_eq!(*dead.properties.expiration(), None);
    let Some(AMQPValue::FieldArray(deaths)) = header(&dead, "x-death") else {
        panic!("no x-death");
    };
    let [AMQPValue::FieldTable(death)] = deaths.as_slice() else {
        panic!("one death was expected: {deaths:?}");
    };
    let field = |name: &str| death.inner().get(name).cloned();
    assert_eq!(field("queue"), Some(word("q")));
    assert_eq!(field("reason"), Some(word("expired")));
    assert_eq!(field("count"), Some(AMQPValue::LongLongInt(1)));
    assert_eq!(field("exchange"), Some(word("")));
    assert_eq!(field("original-expiration"), Some(word("1000")));
    let now = bench.broker.now().seconds();
    assert_eq!(field("time"), Some(AMQPValue::Timestamp(now)));
    assert_eq!(header(&dead, "x-first-death-queue"), Some(word("q")));
}

#[tokio::test]
async fn a_delay_queue_brings_a_message_back_again_and_again() {
    let bench = Bench::new().await;
    let [exchange, key] = dying_to("work");
    let ttl = ("x-message-ttl", 30_000_i32.into());
    bench.declare("delay", &[exchange, key, ttl]).await;
    bench.declare("work", &dying_to("delay")).await;
    let mut consumer = bench.consume("work", "c", 1).await;
    bench.send("work", "m").await;
    for attempt in 1..=4 {
        let delivery = next(&mut consumer).await;
        let reject = BasicRejectOptions { requeue: false };
        delivery.acker.reject(reject).await.unwrap();
        assert_eq!(bench.ready("delay").await, 1, "attempt {attempt}");
        bench.broker.turn(Duration::from_secs(30));
    }
    let last = next(&mut consumer).await;
    let Some(AMQPValue::FieldArray(deaths)) = header(&last, "x-death") else {
        panic!("no x-death");
    };
    assert_eq!(deaths.as_slice().len(), 2);
}

#[tokio::test]
async fn a_circle_that_nobody_breaks_ends_at_once() {
    let bench = Bench::new().await;
    let [exchange, key] = dying_to("q");
    let ttl = ("x-message-ttl", 0_i32.into());
    bench.declare("q", &[exchange, key, ttl]).await;
    bench.send("q", "m").await;
    assert_eq!(bench.ready("q").await, 0);
}

#[tokio::test]
async fn a_time_to_live_of_nothing_still_reaches_a_consumer() {
    let bench = Bench::new().await;
    bench.declare("q", &[("x-message-ttl", 0_i32.into())]).await;
    let mut consumer = bench.consume("q", "c", 1).await;
    bench.send("q", "m").await;
    assert_eq!(body(&next(&mut consumer).await), "m");
}

#[tokio::test]
async fn an_unused_queue_lapses() {
    let bench = Bench::new().await;
    bench.declare("q", &[("x-expires", 1000_i32.into())]).await;
    bench.broker.turn(Duration::from_millis(999));
    bench.declare("q", &[("x-expires", 1000_i32.into())]).await;
    bench.broker.turn(Duration::from_millis(999));
    assert!(bench.broker.queue("/", "q").is_some());
    bench.broker.turn(Duration::from_millis(1));
    assert!(bench.broker.queue("/", "q").is_none());
}

#[tokio::test]
async fn an_at_least_once_queue_keeps_what_nobody_takes_and_tries_again() {
    let bench = Bench::new().await;
    let [exchange, key] = dying_to("later");
    let arguments = [
        exchange,
        key,
        ("x-queue-type", word("quorum")),
        ("x-dead-letter-strategy", word("at-least-once")),
        ("x-overflow", word("reject-publish")),
        ("x-message-ttl", 100_i32.into()),
    ];
    bench.declare("q", &arguments).await;
    bench.send("q", "m").await;
    bench.settled().await;
    bench.broker.turn(Duration::from_millis(100));
    assert_eq!(bench.broker.queue("/", "q").unwrap().stuck, 1);
    bench.declare("later", &[]).await;
    bench.broker.turn(Duration::from_secs(180));
    assert_eq!(bench.ready("later").await, 1);
}
