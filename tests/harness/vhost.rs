//! One scenario's corner of a broker, and a plain AMQP client to publish into it and look at it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::broker::Version;
use crate::eventually::eventually;
use crate::management::Management;
use crate::message::Message;
use crate::proxy::Proxy;
use crate::raw::{self, RawMessage};

/// Publications in flight at once; the confirmations are awaited after each window.
const CONFIRM_WINDOW: usize = 500;

/// Deliveries in flight at once, where many are taken.
const WINDOW: u16 = 500;

/// How often a queue is declared that a busy broker fails to start.
const DECLARATIONS: u32 = 5;

/// How long a broker may take to let the test's own client in.
const CONNECT: Duration = Duration::from_secs(60);

/// No message for so long, and none is expected any more.
const SILENCE: Duration = Duration::from_secs(60);

/// A virtual host of one test.
#[derive(Debug)]
pub struct Vhost {
    name: String,
    /// One for each node of the broker.
    ports: Vec<u16>,
    management: Management,
    version: Version,
    connection: Mutex<Option<Connection>>,
}

/// A connection that a host has open.
#[derive(Debug, Clone)]
pub struct HostConnection {
    /// As the broker names it.
    pub name: String,
    /// As the host named it.
    pub given: String,
}

impl Vhost {
    pub(crate) fn new(
        name: String,
        ports: Vec<u16>,
        management: Management,
        version: Version,
    ) -> Self {
        Self {
            name,
            ports,
            management,
            version,
            connection: Mutex::new(None),
        }
    }

    /// The name of the virtual host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of its broker.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The URL of the virtual host for the broker's default user.
    pub fn url(&self) -> String {
        self.url_as("guest", "guest")
    }

    /// The URL of the virtual host for another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_at(user, password, &self.ports)
    }

    /// The URL of the virtual host by way of a proxy.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url_through_all(&[proxy])
    }

    /// Its URL with as many hosts as there are proxies.
    pub fn url_through_all(&self, proxies: &[&Proxy]) -> String {
        let ports: Vec<u16> = proxies.iter().map(|proxy| proxy.port()).collect();
        self.url_at("guest", "guest", &ports)
    }

    fn url_at(&self, user: &str, password: &str, ports: &[u16]) -> String {
        let hosts: Vec<String> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("amqp://{user}:{password}@{}/{}", hosts.join(","), self.name)
    }

    /// The management interface of its broker.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// A new channel on the scenario's own connection, which is opened again if it was lost.
    pub async fn channel(&self) -> Result<Channel> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|open| open.status().connected()) {
            match open.create_channel().await {
                Ok(channel) => return Ok(channel),
                // The scenario may have closed the connection meanwhile, which only shows now.
                Err(error) if open.status().connected() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let (opened, channel) = self.connect().await?;
        *connection = Some(opened);
        Ok(channel)
    }

    /// A connection to the first node that takes one.
    async fn connect(&self) -> Result<(Connection, Channel)> {
        let mut fault = anyhow::anyhow!("no node");
        for port in &self.ports {
            let url = self.url_at("guest", "guest", &[*port]);
            // A node that stands still or is gone is noticed, and never waited for where there is another one.
            let url = match self.ports.len() {
                1 => url,
                _ => format!("{url}?heartbeat=4"),
            };
            let connect = async {
                let opened = Connection::connect(&url, ConnectionProperties::default()).await?;
                let channel = opened.create_channel().await?;
                anyhow::Ok((opened, channel))
            };
            match timeout(CONNECT, connect).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => fault = error,
                Err(late) => fault = late.into(),
            }
        }
        Err(fault.context("the test's own client cannot connect"))
    }

    /// The port of the first node, for a client of octets.
    fn first_port(&self) -> u16 {
        self.ports[0]
    }

    /// Publishes one message, confirmed by the broker and taken by a queue.
    pub async fn publish(&self, exchange: &str, routing_key: &str, message: Message) -> Result<()> {
        self.publish_all(exchange, routing_key, [message]).await
    }

    /// Publishes to a queue a message whose header table holds these bytes, whatever they are.
    pub fn publish_raw(&self, queue: &str, table: &[u8], body: &[u8]) -> Result<()> {
        raw::publish(self.first_port(), &self.name, queue, table, body)
    }

    /// Publishes messages whose ids, names and routing keys are any bytes.
    pub fn publish_octets(&self, exchange: &str, messages: &[RawMessage]) -> Result<()> {
        raw::publish_all(self.first_port(), &self.name, exchange, messages)
    }

    /// Takes everything that waits in a queue now, as the bytes that stand on the wire.
    pub fn drain_octets(&self, queue: &str) -> Result<Vec<RawMessage>> {
        raw::drain(self.first_port(), &self.name, queue)
    }

    /// Publishes messages in their order, all confirmed by the broker and taken by a queue.
    pub async fn publish_all(
        &self,
        exchange: &str,
        routing_key: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<()> {
        let messages = messages.into_iter();
        self.publish_each(exchange, messages.map(|message| (routing_key, message)))
            .await
    }

    /// Publishes each message with the routing key beside it, in their order, all confirmed by the
    /// broker and taken by a queue.
    pub async fn publish_each<K: AsRef<str>>(
        &self,
        exchange: &str,
        messages: impl IntoIterator<Item = (K, Message)>,
    ) -> Result<()> {
        let channel = self.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let mut pending = Vec::new();
        for (routing_key, message) in messages {
            let Message {
                properties, body, ..
            } = message;
            let (exchange, routing_key) = (exchange.into(), routing_key.as_ref().into());
            let publish =
                channel.basic_publish(exchange, routing_key, mandatory, &body, properties);
            pending.push(publish.await?);
            if pending.len() == CONFIRM_WINDOW {
                confirmed(&mut pending).await?;
            }
        }
        confirmed(&mut pending).await?;
        Ok(close(&channel).await?)
    }

    /// Declares a durable queue; `kind` is its `x-queue-type`.
    pub async fn declare_queue(&self, name: &str, kind: &str) -> Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        self.declare_queue_with(name, arguments).await
    }

    /// Declares a durable queue with these arguments. A busy broker that fails to start a quorum queue is asked again.
    pub async fn declare_queue_with(&self, name: &str, arguments: FieldTable) -> Result<()> {
        let mut left = DECLARATIONS;
        loop {
            left -= 1;
            // A failure ends the connection; the next channel is one of a new one.
            let channel = self.channel().await?;
            let options = QueueDeclareOptions::durable();
            let declared = channel.queue_declare(name.into(), options, arguments.clone());
            match declared.await {
                Err(error) if left > 0 && error.to_string().contains("cluster_not_formed") => {}
                declared => {
                    declared?;
                    return Ok(close(&channel).await?);
                }
            }
        }
    }

    /// Binds a queue to an exchange.
    pub async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<()> {
        let channel = self.channel().await?;
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                routing_key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(close(&channel).await?)
    }

    /// Declares a durable exchange.
    pub async fn declare_exchange(&self, name: &str, kind: ExchangeKind) -> Result<()> {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let channel = self.channel().await?;
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await?;
        Ok(close(&channel).await?)
    }

    /// Deletes a queue with its messages.
    pub async fn delete_queue(&self, name: &str) -> Result<()> {
        let channel = self.channel().await?;
        channel
            .queue_delete(name.into(), QueueDeleteOptions::default())
            .await?;
        Ok(close(&channel).await?)
    }

    /// How many messages wait in a queue at this moment, as the broker reports it. Fails if there is no such
    /// queue.
    pub async fn ready(&self, queue: &str) -> Result<u32> {
        Ok(self.look_at(queue).await?.message_count())
    }

    /// How many consumers a queue has, by the broker's own word of this moment.
    pub async fn consumers(&self, queue: &str) -> Result<u32> {
        Ok(self.look_at(queue).await?.consumer_count())
    }

    async fn look_at(&self, queue: &str) -> Result<lapin::Queue> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let channel = self.channel().await?;
        let declared = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .with_context(|| format!("cannot look at the queue `{queue}`"))?;
        close(&channel).await?;
        Ok(declared)
    }

    /// Waits until `count` messages wait in a queue.
    pub async fn wait_ready(&self, queue: &str, count: u32) -> Result<()> {
        let what = format!("{count} messages wait in `{queue}`");
        eventually(&what, || self.ready(queue), |ready| *ready == count).await?;
        Ok(())
    }

    /// Everything that the management interface reports about a queue. It is a second old: good for counters
    /// that only grow, not for seeing whether something is over. What a channel did just before it closed may be
    /// missing for good (rabbitmq-management, issue 353): only count what a channel does that is open still.
    pub fn counters(&self, queue: &str) -> Result<Value> {
        self.management
            .get(&format!("/queues/{}/{queue}", self.name))
    }

    /// The names of all queues of the vhost, sorted.
    pub fn queues(&self) -> Result<Vec<String>> {
        let queues = self.described_queues()?;
        let mut names: Vec<String> = queues
            .iter()
            .filter_map(|queue| Some(queue["name"].as_str()?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// How many messages quorum queues are about to hand to their dead-letter exchanges, as of some seconds ago. They
    /// are ready no more, and in no other queue yet.
    pub fn being_dead_lettered(&self) -> Result<u64> {
        let queues = self.described_queues()?;
        // Queues of other types have no such count.
        let counts = queues
            .iter()
            .filter_map(|queue| queue["messages_dlx"].as_u64());
        Ok(counts.sum())
    }

    /// All queues of the vhost, as the management page has them.
    fn described_queues(&self) -> Result<Vec<Value>> {
        match self.management.get(&format!("/queues/{}", self.name))? {
            Value::Array(queues) => Ok(queues),
            other => bail!("the queues are no list: {other}"),
        }
    }

    /// The connections that hosts have open here. The management page learns of one some seconds after it was opened.
    pub fn host_connections(&self) -> Result<Vec<HostConnection>> {
        let list = self
            .management
            .get(&format!("/vhosts/{}/connections", self.name))?;
        // A host names its connections; the test's own has no name.
        let named = |one: &Value| {
            Some(HostConnection {
                name: one["name"].as_str()?.to_owned(),
                given: one["user_provided_name"].as_str()?.to_owned(),
            })
        };
        Ok(list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(named)
            .collect())
    }

    /// Closes those, as the management page does, and gives how many there were. One may have ended
    /// since it was listed.
    pub fn close_host_connections(&self) -> Result<usize> {
        let connections = self.host_connections()?;
        let closed = connections.iter().filter(|one| self.close(one).is_ok());
        Ok(closed.count())
    }

    /// Closes the one that the host gave this name.
    pub fn close_host_connection(&self, given: &str) -> Result<()> {
        let connections = self.host_connections()?;
        let found = connections.iter().find(|one| one.given == given);
        self.close(found.with_context(|| format!("no {given}: {connections:?}"))?)
    }

    fn close(&self, connection: &HostConnection) -> Result<()> {
        let name = connection.name.replace(' ', "%20").replace('>', "%3E");
        self.management.delete(&format!("/connections/{name}"))
    }

    /// Compares the queues of the vhost with `expected`, in any order.
    pub fn assert_queues(&self, expected: &[&str]) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let queues = self.queues()?;
        ensure!(
            queues == expected,
            "queues {queues:?}, expected {expected:?}"
        );
        Ok(())
    }

    /// Takes `count` messages off a queue, waiting for them to come.
    pub async fn take(&self, queue: &str, count: usize) -> Result<Vec<Message>> {
        let taken = Mutex::new(Vec::new());
        let look = async || {
            let mut taken = taken.lock().await;
            while taken.len() < count {
                match self.get(queue).await? {
                    Some(message) => taken.push(message),
                    None => break,
                }
            }
            Ok(taken.len())
        };
        let what = format!("{count} messages came to `{queue}`");
        let result = eventually(&what, look, |taken| *taken == count).await;
        let taken = taken.into_inner();
        match result {
            Ok(_) => Ok(taken),
            Err(error) => Err(error.context(described(&taken))),
        }
    }

    /// Takes the one message that is to come to a queue.
    pub async fn take_one(&self, queue: &str) -> Result<Message> {
        let mut taken = self.take(queue, 1).await?;
        taken.pop().context("one message was asked for")
    }

    /// Takes everything that waits in a queue now.
    pub async fn drain(&self, queue: &str) -> Result<Vec<Message>> {
        let mut taken = Vec::new();
        while let Some(message) = self.get(queue).await? {
            taken.push(message);
        }
        Ok(taken)
    }

    /// Takes messages off a queue as they come, until `is_last` says so of one.
    pub async fn take_until(
        &self,
        queue: &str,
        mut is_last: impl FnMut(Message) -> bool,
    ) -> Result<()> {
        let channel = self.channel().await?;
        let prefetch = BasicQosOptions::default();
        channel.basic_qos(WINDOW, prefetch).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut deliveries = channel
            .basic_consume(queue.into(), "".into(), options, arguments)
            .await?;
        loop {
            let Ok(next) = timeout(SILENCE, deliveries.next()).await else {
                close(&channel).await?;
                bail!("nothing more comes to `{queue}`");
            };
            let delivery = next.context("the consumer of the test was cancelled")??;
            delivery.ack(BasicAckOptions::default()).await?;
            if is_last(delivery.into()) {
                return Ok(close(&channel).await?);
            }
        }
    }

    /// Makes a queue without consumers look at its messages, so that expired ones leave it.
    pub async fn wake(&self, queue: &str) -> Result<()> {
        let channel = self.channel().await?;
        let asked = channel.basic_get(queue.into(), BasicGetOptions::default());
        let got = asked.await?;
        // Closing the channel returns the message.
        close(&channel).await?;
        ensure!(got.is_none(), "a message in `{queue}` has not expired");
        Ok(())
    }

    async fn get(&self, queue: &str) -> Result<Option<Message>> {
        let channel = self.channel().await?;
        let got = channel
            .basic_get(queue.into(), BasicGetOptions::default())
            .await
            .with_context(|| format!("cannot get from the queue `{queue}`"))?;
        let Some(got) = got else {
            close(&channel).await?;
            return Ok(None);
        };
        got.delivery.ack(BasicAckOptions::default()).await?;
        // Closing waits for the broker, so the acknowledgement has arrived after it.
        close(&channel).await?;
        Ok(Some(got.delivery.into()))
    }
}

async fn confirmed(pending: &mut Vec<lapin::PublisherConfirm>) -> Result<()> {
    for confirmation in pending.drain(..) {
        match confirmation.await? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(returned)) => bail!(
                "no queue takes what is published to `{}` with the key `{}`",
                returned.exchange,
                returned.routing_key
            ),
            other => bail!("a message of the test was not confirmed: {other:?}"),
        }
    }
    Ok(())
}

async fn close(channel: &Channel) -> lapin::Result<()> {
    channel.close(200, "done".into()).await
}

fn described(messages: &[Message]) -> String {
    let mut text = format!("{} came:", messages.len());
    for message in messages {
        let start: String = message.text().chars().take(80).collect();
        let headers = message.headers();
        write!(text, "\n  {start:?} {headers:?}").expect("a String takes everything");
    }
    text
}
