//! Publications, and what the publisher hears.

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, ExchangeKind};

use super::support::{Bench, body, header, next, soon, table, word};

#[tokio::test]
async fn a_publication_is_confirmed_and_one_that_no_queue_takes_comes_back_first() {
    let bench = Bench::new().await;
    bench.confirms().await;
    bench.declare("q", &[]).await;
    assert_eq!(bench.confirmed("q", "a").await, Confirmation::Ack(None));
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let (exchange, key) = ("".into(), "nowhere".into());
    let properties = BasicProperties::default();
    let lost = bench
        .channel
        .basic_publish(exchange, key, options, b"b", properties);
    let Confirmation::Ack(Some(returned)) = soon(lost.await.unwrap()).await.unwrap() else {
        panic!("it was not returned");
    };
    assert_eq!(
        (returned.reply_code, returned.reply_text.as_str()),
        (312, "NO_ROUTE")
    );
    assert_eq!(returned.delivery.data, b"b");
}

#[tokio::test]
async fn a_message_comes_as_it_was_published() {
    let bench = Bench::new().await;
    bench.declare("q", &[]).await;
    let headers = table(&[("zeta", true.into()), ("alpha", 7_i32.into())]);
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_headers(headers)
        .with_timestamp(77)
        .with_correlation_id("c".into());
    let large = "x".repeat(300_000);
    bench.send_with("q", &large, properties.clone()).await;
    let got = bench.get("q").await.unwrap();
    assert_eq!(body(&got), large);
    assert_eq!(got.properties, properties);
    assert_eq!((got.exchange.as_str(), got.routing_key.as_str()), ("", "q"));
}

#[tokio::test]
async fn a_full_queue_rejects_where_it_was_told_to() {
    let bench = Bench::new().await;
    bench.confirms().await;
    let arguments = [
        ("x-max-length", 1_i32.into()),
        ("x-overflow", word("reject-publish")),
    ];
    bench.declare("q", &arguments).await;
    assert!(bench.confirmed("q", "a").await.is_ack());
    assert!(bench.confirmed("q", "b").await.is_nack());
    assert_eq!(bench.ready("q").await, 1);
}

#[tokio::test]
async fn all_kinds_of_exchanges_route_and_an_alternate_gets_the_rest() {
    let bench = Bench::new().await;
    for queue in ["topic", "all", "headers", "rest"] {
        bench.declare(queue, &[]).await;
    }
    let arguments = table(&[("alternate-exchange", word("lost"))]);
    for (name, kind, arguments) in [
        ("events", ExchangeKind::Topic, arguments),
        ("lost", ExchangeKind::Fanout, FieldTable::default()),
    ] {
        let options = ExchangeDeclareOptions::default();
        let declared = bench
            .channel
            .exchange_declare(name.into(), kind, options, arguments);
        declared.await.unwrap();
    }
    bench.bind("topic", "events", "order.*").await;
    bench.bind("all", "amq.fanout", "").await;
    bench.bind("rest", "lost", "").await;
    let matching = table(&[("x-match", word("all")), ("kind", word("a"))]);
    let (queue, exchange) = ("headers".into(), "amq.headers".into());
    let options = Default::default();
    let bound = bench
        .channel
        .queue_bind(queue, exchange, "".into(), options, matching);
    bound.await.unwrap();
    let headers = table(&[("kind", word("a")), ("other", 1_i32.into())]);
    for (exchange, key) in [
        ("events", "order.new"),
        ("events", "user.new"),
        ("amq.fanout", "any"),
        ("amq.headers", "any"),
    ] {
        let properties = BasicProperties::default().with_headers(headers.clone());
        let options = BasicPublishOptions::default();
        let published =
            bench
                .channel
                .basic_publish(exchange.into(), key.into(), options, b"m", properties);
        published.await.unwrap();
    }
    for queue in ["topic", "all", "headers", "rest"] {
        assert_eq!(bench.ready(queue).await, 1, "{queue}");
    }
}

#[tokio::test]
async fn cc_and_bcc_name_further_queues() {
    let bench = Bench::new().await;
    for queue in ["a", "b", "c"] {
        bench.declare(queue, &[]).await;
    }
    let keys = |key| AMQPValue::FieldArray(vec![word(key)].into());
    let headers = table(&[("CC", keys("b")), ("BCC", keys("c"))]);
    let properties = BasicProperties::default().with_headers(headers);
    bench.send_with("a", "m", properties).await;
    for queue in ["a", "b", "c"] {
        let got = bench.get(queue).await.unwrap();
        assert!(header(&got, "CC").is_some() && header(&got, "BCC").is_none());
    }
}

#[tokio::test]
async fn a_reply_comes_without_a_queue() {
    let bench = Bench::new().await;
    bench.declare("questions", &[]).await;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let (own, tag) = ("amq.rabbitmq.reply-to".into(), "r".into());
    let consumed = bench
        .channel
        .basic_consume(own, tag, options, FieldTable::default());
    let mut replies = consumed.await.unwrap();
    let asking = BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into());
    bench.send_with("questions", "?", asking).await;
    let question = bench.get("questions").await.unwrap();
    let reply_to = question.properties.reply_to().clone().unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let other = bench.connection.create_channel().await.unwrap();
    let looked = other.queue_declare(reply_to.clone(), passive, FieldTable::default());
    looked.await.unwrap();
    bench.send(reply_to.as_str(), "!").await;
    assert_eq!(body(&next(&mut replies).await), "!");
}
