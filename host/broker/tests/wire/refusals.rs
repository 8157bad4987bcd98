//! Refused methods, with RabbitMQ's codes and texts. `HIVE_BROKER_RABBITMQ=amqp://…` asks a RabbitMQ 4.3 the
//! same, which shows that the texts here are RabbitMQ's own.

use hive_broker::{Broker, Settings};
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    BasicRecoverOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Error, ErrorKind, ExchangeKind};

use super::support::{connect, declare, soon, table, word};

/// The answer to a method: nothing, or a code and a text.
fn answer<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(error) => {
                format!("{} {}", error.get_id(), error.get_message())
            }
            other => format!("{other:?}"),
        },
    }
}

async fn queue(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) -> String {
    answer(declare(channel, name, arguments).await)
}

async fn queue_as(channel: &Channel, name: &str, options: QueueDeclareOptions) -> String {
    let declared = channel.queue_declare(name.into(), options, FieldTable::default());
    answer(declared.await)
}

async fn exchange(channel: &Channel, name: &str, kind: &str, arguments: FieldTable) -> String {
    let options = ExchangeDeclareOptions::default();
    let kind = ExchangeKind::Custom(kind.to_owned());
    let declared = channel.exchange_declare(name.into(), kind, options, arguments);
    answer(declared.await)
}

async fn consume(channel: &Channel, name: &str, tag: &str, options: BasicConsumeOptions) -> String {
    let consumer = channel.basic_consume(name.into(), tag.into(), options, FieldTable::default());
    answer(consumer.await)
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    options: BasicPublishOptions,
    properties: BasicProperties,
) -> String {
    let confirm = ConfirmSelectOptions::default();
    channel.confirm_select(confirm).await.unwrap();
    let pending = channel.basic_publish(exchange.into(), "k".into(), options, b"body", properties);
    match pending.await {
        Ok(confirm) => match soon(confirm).await {
            Ok(lapin::Confirmation::Ack(returned)) => {
                let back = returned.map(|message| message.reply_text.to_string());
                format!("ack {}", back.unwrap_or_default())
            }
            other => answer(other),
        },
        Err(error) => answer::<()>(Err(error)),
    }
}

/// Asks one question on a connection of its own, since some answers end it.
async fn ask(url: &str, which: usize) -> Option<String> {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    let answer = if which < FIRST_OF_BASIC {
        ask_topology(&channel, which).await
    } else {
        ask_basic(url, &connection, &channel, which).await
    };
    if connection.status().connected() {
        connection.close(200, "".into()).await.unwrap();
    }
    answer
}

/// The questions from here on are about publishing and consuming.
const FIRST_OF_BASIC: usize = 37;

async fn ask_topology(ch: &Channel, which: usize) -> Option<String> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let transient = QueueDeclareOptions::default();
    let none = FieldTable::default;
    let int = AMQPValue::LongInt;
    let quorum = ("x-queue-type", word("quorum"));
    let bind = QueueBindOptions::default();
    Some(match which {
        0 => queue(ch, "ref.classic", &[("x-message-ttl", int(5))]).await,
        1 => {
            queue(
                ch,
                "ref.classic",
                &[("x-message-ttl", AMQPValue::LongLongInt(5))],
            )
            .await
        }
        2 => queue(ch, "ref.classic", &[("x-message-ttl", int(6))]).await,
        3 => queue(ch, "ref.classic", &[]).await,
        4 => queue(ch, "ref.classic", &[quorum]).await,
        5 => queue_as(ch, "ref.classic", transient).await,
        6 => queue_as(ch, "ref.none", passive).await,
        7 => queue(ch, "amq.mine", &[]).await,
        8 => queue(ch, "ref.bad", &[("x-message-ttl", int(-1))]).await,
        9 => queue(ch, "ref.bad", &[("x-message-ttl", word("5"))]).await,
        10 => queue(ch, "ref.bad", &[("x-expires", int(0))]).await,
        11 => queue(ch, "ref.bad", &[("x-queue-type", word("odd"))]).await,
        12 => queue(ch, "ref.bad", &[("x-dead-letter-routing-key", word("k"))]).await,
        13 => queue(ch, "ref.bad", &[("x-delivery-limit", int(3))]).await,
        14 => queue(ch, "ref.bad", &[("x-overflow", word("odd"))]).await,
        15 => queue(ch, "ref.bad", &[("x-single-active-consumer", int(1))]).await,
        16 => queue(ch, "ref.bad", &[quorum, ("x-max-priority", int(1))]).await,
        17 => {
            let declared = ch.queue_declare("ref.bad".into(), transient, table(&[quorum]));
            answer(declared.await)
        }
        18 => exchange(ch, "ref.x", "direct", none()).await,
        19 => exchange(ch, "ref.x", "fanout", none()).await,
        20 => exchange(ch, "ref.y", "odd", none()).await,
        21 => exchange(ch, "amq.mine", "direct", none()).await,
        22 => exchange(ch, "", "direct", none()).await,
        23 => {
            exchange(
                ch,
                "ref.x",
                "direct",
                table(&[("alternate-exchange", word("a"))]),
            )
            .await
        }
        24 => {
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let kind = ExchangeKind::Direct;
            let declared = ch.exchange_declare("ref.none".into(), kind, options, none());
            answer(declared.await)
        }
        25 => {
            let bound = ch.queue_bind("ref.none".into(), "ref.x".into(), "k".into(), bind, none());
            answer(bound.await)
        }
        26 => {
            let (queue, exchange) = ("ref.classic".into(), "ref.none".into());
            let bound = ch.queue_bind(queue, exchange, "k".into(), bind, none());
            answer(bound.await)
        }
        27 => {
            let bound = ch.queue_bind("ref.classic".into(), "".into(), "k".into(), bind, none());
            answer(bound.await)
        }
        28 => {
            let arguments = table(&[("x-match", word("odd"))]);
            let (queue, exchange) = ("ref.classic".into(), "amq.headers".into());
            let bound = ch.queue_bind(queue, exchange, "".into(), bind, arguments);
            answer(bound.await)
        }
        29 => {
            let options = ExchangeBindOptions::default();
            let (to, from) = ("ref.none".into(), "ref.x".into());
            let bound = ch.exchange_bind(to, from, "k".into(), options, none());
            answer(bound.await)
        }
        30 => {
            let (queue, exchange) = ("ref.classic".into(), "ref.x".into());
            answer(ch.queue_unbind(queue, exchange, "odd".into(), none()).await)
        }
        31 => {
            let (queue, exchange) = ("ref.classic".into(), "ref.none".into());
            answer(ch.queue_unbind(queue, exchange, "odd".into(), none()).await)
        }
        32 => {
            let (queue, exchange) = ("ref.none".into(), "ref.x".into());
            answer(ch.queue_unbind(queue, exchange, "odd".into(), none()).await)
        }
        33 => answer(
            ch.queue_delete("ref.none".into(), QueueDeleteOptions::default())
                .await,
        ),
        34 => answer(
            ch.queue_purge("ref.none".into(), QueuePurgeOptions::default())
                .await,
        ),
        35 => {
            let options = ExchangeDeleteOptions::default();
            answer(ch.exchange_delete("ref.none".into(), options).await)
        }
        36 => {
            let options = ExchangeDeleteOptions::default();
            answer(ch.exchange_delete("amq.direct".into(), options).await)
        }
        _ => return None,
    })
}

async fn ask_basic(
    url: &str,
    connection: &Connection,
    ch: &Channel,
    which: usize,
) -> Option<String> {
    let consuming = BasicConsumeOptions::default();
    let plain = BasicPublishOptions::default();
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..plain
    };
    let properties = BasicProperties::default;
    let stream = ("x-queue-type", word("stream"));
    Some(match which {
        37 => consume(ch, "ref.none", "t", consuming).await,
        38 => {
            let exclusive = BasicConsumeOptions {
                exclusive: true,
                ..consuming
            };
            consume(ch, "ref.classic", "one", exclusive).await;
            let other = connection.create_channel().await.unwrap();
            consume(&other, "ref.classic", "two", consuming).await
        }
        39 => answer(
            ch.basic_get("ref.none".into(), BasicGetOptions::default())
                .await,
        ),
        40 => answer(
            ch.basic_cancel("none".into(), BasicCancelOptions::default())
                .await,
        ),
        41 => answer(ch.basic_qos(5, BasicQosOptions { global: true }).await),
        42 => publish(ch, "", plain, properties()).await,
        43 => publish(ch, "", mandatory, properties()).await,
        44 => publish(ch, "ref.none", plain, properties()).await,
        45 => publish(ch, "amq.rabbitmq.trace", plain, properties()).await,
        46 => publish(ch, "", plain, properties().with_expiration("soon".into())).await,
        47 => publish(ch, "", plain, properties().with_expiration("-1".into())).await,
        48 => publish(ch, "", plain, properties().with_expiration("5s".into())).await,
        49 => publish(ch, "", plain, properties().with_user_id("ada".into())).await,
        50 => {
            let headers = table(&[("CC", word("k"))]);
            publish(ch, "", plain, properties().with_headers(headers)).await
        }
        51 => {
            let reply = properties().with_reply_to("amq.rabbitmq.reply-to".into());
            publish(ch, "", plain, reply).await
        }
        52 => {
            declare(ch, "ref.stream", &[stream]).await.unwrap();
            consume(ch, "ref.stream", "s", consuming).await
        }
        53 => {
            let options = BasicConsumeOptions {
                no_ack: true,
                ..consuming
            };
            ch.basic_qos(5, BasicQosOptions::default()).await.unwrap();
            consume(ch, "ref.stream", "s", options).await
        }
        54 => {
            let quorum = [("x-queue-type", word("quorum"))];
            declare(ch, "ref.quorum", &quorum).await.unwrap();
            let options = QueueDeleteOptions {
                if_empty: true,
                ..QueueDeleteOptions::default()
            };
            answer(ch.queue_delete("ref.quorum".into(), options).await)
        }
        55 => answer(
            ch.basic_recover(BasicRecoverOptions { requeue: true })
                .await,
        ),
        56 => {
            queue(
                ch,
                "ref.bad",
                &[stream, ("x-max-length", AMQPValue::LongInt(1))],
            )
            .await
        }
        57 => {
            let exclusive = QueueDeclareOptions {
                exclusive: true,
                ..QueueDeclareOptions::default()
            };
            let passive = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let other = connect(url).await;
            let theirs = other.create_channel().await.unwrap();
            queue_as(&theirs, "ref.exclusive", exclusive).await;
            let answer = queue_as(ch, "ref.exclusive", passive).await;
            other.close(200, "".into()).await.unwrap();
            answer
        }
        58 => consume(ch, "amq.rabbitmq.reply-to", "r", consuming).await,
        59 => {
            ch.basic_qos(5, BasicQosOptions::default()).await.unwrap();
            let offset = table(&[("x-stream-offset", word("tomorrow"))]);
            let consumer = ch.basic_consume("ref.stream".into(), "s".into(), consuming, offset);
            answer(consumer.await)
        }
        60 => answer(
            ch.basic_get("ref.stream".into(), BasicGetOptions::default())
                .await,
        ),
        61 => {
            let priority = table(&[("x-priority", word("high"))]);
            let consumer = ch.basic_consume("ref.classic".into(), "p".into(), consuming, priority);
            answer(consumer.await)
        }
        62 => {
            declare(ch, "ref.auto", &[("x-queue-type", word("quorum"))])
                .await
                .unwrap();
            let options = QueueDeclareOptions {
                exclusive: true,
                durable: true,
                ..QueueDeclareOptions::default()
            };
            let quorum = table(&[("x-queue-type", word("quorum"))]);
            let declared = ch.queue_declare("ref.bad".into(), options, quorum);
            answer(declared.await)
        }
        63 => {
            let options = QueueDeclareOptions {
                auto_delete: true,
                durable: true,
                ..QueueDeclareOptions::default()
            };
            let quorum = table(&[("x-queue-type", word("quorum"))]);
            let declared = ch.queue_declare("ref.bad2".into(), options, quorum);
            answer(declared.await)
        }
        64 => {
            let arguments = [
                ("x-queue-type", word("quorum")),
                ("x-single-active-consumer", true.into()),
            ];
            declare(ch, "ref.single", &arguments).await.unwrap();
            let got = ch.basic_get("ref.single".into(), BasicGetOptions::default());
            answer(got.await)
        }
        65 => {
            let arguments = [("x-queue-master-locator", word("min-masters"))];
            queue(ch, "ref.located", &arguments).await
        }
        _ => return None,
    })
}

const EXPECTED: &str = include_str!("refusals.txt");

#[tokio::test]
async fn everything_is_refused_in_rabbitmqs_words() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let url = std::env::var("HIVE_BROKER_RABBITMQ").unwrap_or_else(|_| broker.url());
    let mut answers = String::new();
    for which in 0.. {
        let Some(answer) = ask(&url, which).await else {
            break;
        };
        answers.push_str(&format!("{which} {answer}\n"));
    }
    // Where a test is to learn the words, this writes them down.
    if let Ok(path) = std::env::var("HIVE_BROKER_ANSWERS") {
        std::fs::write(path, &answers).unwrap();
    }
    assert_eq!(answers.trim_end(), EXPECTED.trim_end());
}
