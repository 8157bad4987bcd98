//! Streams: offsets, replays, retention.

use std::time::Duration;

use lapin::options::BasicAckOptions;
use lapin::types::AMQPValue;

use super::support::{Bench, body, consume, header, next, word};

#[tokio::test]
async fn consumers_begin_where_they_ask_to() {
    let bench = Bench::new().await;
    bench
        .declare("s", &[("x-queue-type", word("stream"))])
        .await;
    let begun = bench.broker.now().seconds();
    for number in 0..5 {
        bench.send("s", &number.to_string()).await;
        bench.settled().await;
        bench.broker.turn(Duration::from_secs(10));
    }
    for (tag, offset, expected) in [
        ("first", word("first"), "0"),
        ("last", word("last"), "4"),
        ("third", AMQPValue::LongLongInt(3), "3"),
        ("since", AMQPValue::Timestamp(begun + 15), "2"),
        ("interval", word("25s"), "3"),
    ] {
        let offset = [("x-stream-offset", offset)];
        let mut consumer = consume(&bench.channel, "s", tag, 10, &offset).await;
        let first = next(&mut consumer).await;
        assert_eq!(body(&first), expected, "{tag}");
        let number = AMQPValue::LongLongInt(expected.parse().unwrap());
        assert_eq!(header(&first, "x-stream-offset"), Some(number));
    }
    let mut consumer = consume(&bench.channel, "s", "next", 10, &[]).await;
    bench.send("s", "new").await;
    assert_eq!(body(&next(&mut consumer).await), "new");
}

#[tokio::test]
async fn acks_are_credit_and_nothing_leaves_the_stream() {
    let bench = Bench::new().await;
    bench
        .declare("s", &[("x-queue-type", word("stream"))])
        .await;
    for number in 0..4 {
        bench.send("s", &number.to_string()).await;
    }
    let offset = [("x-stream-offset", word("first"))];
    let mut consumer = consume(&bench.channel, "s", "c", 1, &offset).await;
    for number in 0..4 {
        let delivery = next(&mut consumer).await;
        assert_eq!(body(&delivery), number.to_string());
        let options = BasicAckOptions::default();
        delivery.acker.ack(options).await.unwrap();
    }
    assert_eq!(bench.ready("s").await, 4);
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let bench = Bench::new().await;
    let arguments = [("x-queue-type", word("stream")), ("x-max-age", word("1h"))];
    bench.declare("s", &arguments).await;
    bench.send("s", "old").await;
    bench.settled().await;
    bench.broker.turn(Duration::from_secs(3600));
    bench.send("s", "new").await;
    assert_eq!(bench.ready("s").await, 1);
}
