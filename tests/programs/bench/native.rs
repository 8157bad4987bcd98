//! The same work in Rust, by hand: what the sandbox is measured against.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    PublisherConfirm,
};
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::work::{DELAY, OUT, Work};

/// How long an ack may wait for others to go with it, as in the host.
const SOON: Duration = Duration::from_millis(5);

/// Publications that are confirmed together, as in the host.
const LARGEST_BATCH: usize = 200;

/// A consumer without a sandbox.
#[derive(Debug, Args)]
pub(crate) struct Native {
    how: How,
    url: String,
    queue: String,
    prefetch: u16,
    work: Work,
    concurrency: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// A channel and a task for each of `concurrency`; an ack for each message, and a confirmation waited
    /// for before it.
    Simplest,
    /// One task: acks are sent together, and so are publications.
    Best,
}

impl Native {
    pub(crate) fn run(self) -> Result<()> {
        let mut runtime = match self.how {
            How::Simplest => Builder::new_multi_thread(),
            How::Best => Builder::new_current_thread(),
        };
        runtime.enable_all().build()?.block_on(self.consume())
    }

    async fn consume(self) -> Result<()> {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await?;
        match self.how {
            How::Simplest => {
                let mut tasks = JoinSet::new();
                for _each in 0..self.concurrency {
                    let prefetch = (self.prefetch / self.concurrency).max(1);
                    let (channel, deliveries) = self.channel(&connection, prefetch).await?;
                    tasks.spawn(one_by_one(channel, deliveries, self.work));
                }
                tasks.join_next().await.context("there is a task")??
            }
            How::Best => {
                let (channel, deliveries) = self.channel(&connection, self.prefetch).await?;
                let together = usize::from(self.prefetch / 4).max(1);
                together_with_others(channel, deliveries, self.work, together).await
            }
        }
    }

    async fn channel(&self, connection: &Connection, prefetch: u16) -> Result<(Channel, Consumer)> {
        let channel = connection.create_channel().await?;
        let qos = BasicQosOptions::default();
        channel.basic_qos(prefetch, qos).await?;
        if self.work != Work::Ack {
            let confirm = ConfirmSelectOptions::default();
            channel.confirm_select(confirm).await?;
        }
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming =
            channel.basic_consume(self.queue.as_str().into(), "".into(), options, arguments);
        let deliveries = consuming.await?;
        Ok((channel, deliveries))
    }
}

async fn one_by_one(channel: Channel, mut deliveries: Consumer, work: Work) -> Result<()> {
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        if work != Work::Ack {
            confirmed(published(&channel, &delivery, work).await?).await?;
        }
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

async fn together_with_others(
    channel: Channel,
    mut deliveries: Consumer,
    work: Work,
    most: usize,
) -> Result<()> {
    let mut last = 0;
    let mut owed = 0;
    let mut unconfirmed = Vec::new();
    loop {
        let next = match deliveries.next().now_or_never() {
            Some(next) => next,
            // No further delivery has arrived: acknowledgements can wait for a moment, publications cannot.
            None if !unconfirmed.is_empty() => {
                settle(&channel, &mut unconfirmed, last, &mut owed).await?;
                continue;
            }
            None if owed == 0 => deliveries.next().await,
            None => match tokio::time::timeout(SOON, deliveries.next()).await {
                Ok(next) => next,
                Err(_) => {
                    settle(&channel, &mut unconfirmed, last, &mut owed).await?;
                    continue;
                }
            },
        };
        let Some(delivery) = next else {
            return Ok(());
        };
        let delivery = delivery?;
        if work != Work::Ack {
            unconfirmed.push(published(&channel, &delivery, work).await?);
        }
        last = delivery.delivery_tag;
        owed += 1;
        if owed >= most || unconfirmed.len() >= LARGEST_BATCH {
            settle(&channel, &mut unconfirmed, last, &mut owed).await?;
        }
    }
}

async fn settle(
    channel: &Channel,
    unconfirmed: &mut Vec<PublisherConfirm>,
    last: u64,
    owed: &mut usize,
) -> Result<()> {
    for confirmation in unconfirmed.drain(..) {
        confirmed(confirmation).await?;
    }
    let multiple = BasicAckOptions { multiple: true };
    channel.basic_ack(last, multiple).await?;
    *owed = 0;
    Ok(())
}

async fn published(channel: &Channel, delivery: &Delivery, work: Work) -> Result<PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    if work == Work::Retry && attempt_of(delivery).is_none() {
        let mut headers = FieldTable::default();
        headers.insert("attempt".into(), AMQPValue::LongInt(2));
        let properties = properties.with_headers(headers);
        return publish(channel, DELAY, &delivery.data, properties).await;
    }
    let mut order: Value = serde_json::from_slice(&delivery.data)?;
    order["seen"] = Value::Bool(true);
    publish(channel, OUT, &serde_json::to_vec(&order)?, properties).await
}

fn attempt_of(delivery: &Delivery) -> Option<&AMQPValue> {
    let headers = delivery.properties.headers().as_ref()?;
    headers.inner().get("attempt")
}

async fn publish(
    channel: &Channel,
    queue: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let publish = channel.basic_publish("".into(), queue.into(), mandatory, body, properties);
    Ok(publish.await?)
}

async fn confirmed(confirmation: PublisherConfirm) -> Result<()> {
    let confirmation = confirmation.await?;
    ensure!(
        matches!(confirmation, Confirmation::Ack(None)),
        "a publication was not taken: {confirmation:?}"
    );
    Ok(())
}
