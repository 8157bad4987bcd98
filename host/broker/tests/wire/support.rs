//! A broker, a client, and the few words that the tests have in common.

use std::time::Duration;

use futures_util::StreamExt;
use hive_broker::{Broker, Pace, Settings};
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let settings = Settings {
            pace: Pace::Still,
            ..Settings::default()
        };
        let broker = Broker::start(settings).await.unwrap();
        let connection = connect(&broker.url()).await;
        let channel = connection.create_channel().await.unwrap();
        Self {
            broker,
            connection,
            channel,
        }
    }

    /// Declares a durable queue with these arguments.
    pub(crate) async fn declare(&self, queue: &str, arguments: &[(&str, AMQPValue)]) {
        declare(&self.channel, queue, arguments).await.unwrap();
    }

    pub(crate) async fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let options = QueueBindOptions::default();
        let (queue, exchange, key) = (queue.into(), exchange.into(), key.into());
        self.channel
            .queue_bind(queue, exchange, key, options, FieldTable::default())
            .await
            .unwrap();
    }

    /// Publishes to a queue.
    pub(crate) async fn send(&self, queue: &str, body: &str) {
        self.send_with(queue, body, BasicProperties::default())
            .await;
    }

    pub(crate) async fn send_with(&self, queue: &str, body: &str, properties: BasicProperties) {
        publish(&self.channel, queue, body, properties).await;
    }

    /// Turns on publisher confirms.
    pub(crate) async fn confirms(&self) {
        let options = ConfirmSelectOptions::default();
        self.channel.confirm_select(options).await.unwrap();
    }

    /// Publishes to a queue and waits for the broker's word.
    pub(crate) async fn confirmed(&self, queue: &str, body: &str) -> Confirmation {
        let pending = publish(&self.channel, queue, body, BasicProperties::default()).await;
        soon(pending).await.unwrap()
    }

    /// The message at a queue's head, which stays unacknowledged.
    pub(crate) async fn get(&self, queue: &str) -> Option<Delivery> {
        let got = self
            .channel
            .basic_get(queue.into(), BasicGetOptions::default())
            .await
            .unwrap();
        got.map(|message| message.delivery)
    }

    pub(crate) async fn consume(&self, queue: &str, tag: &str, prefetch: u16) -> Consumer {
        consume(&self.channel, queue, tag, prefetch, &[]).await
    }

    /// Waits until the broker has carried out all that was sent on the channel.
    pub(crate) async fn settled(&self) {
        let options = BasicQosOptions::default();
        self.channel.basic_qos(0, options).await.unwrap();
    }

    /// How many messages are ready in a queue.
    pub(crate) async fn ready(&self, queue: &str) -> usize {
        self.settled().await;
        self.broker.queue("/", queue).unwrap().ready
    }
}

pub(crate) async fn connect(url: &str) -> Connection {
    let properties = ConnectionProperties::default().with_connection_name("test".into());
    soon(Connection::connect(url, properties)).await.unwrap()
}

/// Publishes to a queue, without waiting for the confirm.
pub(crate) async fn publish(
    channel: &Channel,
    queue: &str,
    body: &str,
    properties: BasicProperties,
) -> lapin::PublisherConfirm {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(
            "".into(),
            queue.into(),
            options,
            body.as_bytes(),
            properties,
        )
        .await
        .unwrap()
}

pub(crate) async fn declare(
    channel: &Channel,
    queue: &str,
    arguments: &[(&str, AMQPValue)],
) -> lapin::Result<lapin::Queue> {
    let options = QueueDeclareOptions::durable();
    channel
        .queue_declare(queue.into(), options, table(arguments))
        .await
}

pub(crate) async fn consume(
    channel: &Channel,
    queue: &str,
    tag: &str,
    prefetch: u16,
    arguments: &[(&str, AMQPValue)],
) -> Consumer {
    let qos = BasicQosOptions::default();
    channel.basic_qos(prefetch, qos).await.unwrap();
    let options = BasicConsumeOptions::default();
    channel
        .basic_consume(queue.into(), tag.into(), options, table(arguments))
        .await
        .unwrap()
}

pub(crate) fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

pub(crate) fn word(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it does not happen")
}

/// The next delivery of a consumer.
pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    soon(consumer.next()).await.unwrap().unwrap()
}

pub(crate) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.data.clone()).unwrap()
}

pub(crate) fn header(delivery: &Delivery, name: &str) -> Option<AMQPValue> {
    let headers = delivery.properties.headers().as_ref()?;
    headers.inner().get(name).cloned()
}
