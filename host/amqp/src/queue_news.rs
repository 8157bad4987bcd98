//! News of queues that come and go, where the broker has an event exchange (RabbitMQ's plugin
//! `rabbitmq_event_exchange`; its documentation page "Event Exchange Plugin").
//!
//! It is a reason to look at the queues, and no more: what happens while nobody listens is told to nobody.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer, ExchangeKind};

use crate::link::Link;
use crate::message::names::short;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave};

/// The exchange that the plugin declares, in one virtual host of the broker.
const EXCHANGE: &str = "amq.rabbitmq.event";

const KEYS: [&str; 2] = ["queue.created", "queue.deleted"];

/// The pause after the broker took the subscription away, as it does when the plugin is disabled.
const PAUSE: Duration = Duration::from_secs(5);

/// What is heard of the queues of a virtual host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueNews<'a> {
    /// From now on each queue that comes or goes is told.
    Begin,
    /// This queue was declared or deleted.
    Changed(&'a str),
    /// Nothing is told until they begin again.
    End,
}

/// Listens until the link has ended. A broker without the exchange, or without the right to it, is asked once for each
/// connection: every such question is an error in its log.
pub(crate) async fn listen(link: &Link, vhost: &str, mut told: impl FnMut(QueueNews<'_>)) {
    while let Some(session) = link.session().await {
        match subscribe(&session).await {
            Ok((channel, mut events)) => {
                told(QueueNews::Begin);
                hear_out(&session, &mut events, vhost, &mut told).await;
                told(QueueNews::End);
                leave(&channel, "the news of queues have ended").await;
                tokio::select! {
                    () = session.over().cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, "the broker tells no news of queues");
                session.over().cancelled().await;
            }
        }
    }
}

async fn hear_out(
    session: &SharedSession,
    events: &mut Consumer,
    vhost: &str,
    told: &mut impl FnMut(QueueNews<'_>),
) {
    loop {
        let event = tokio::select! {
            () = session.over().cancelled() => return,
            event = events.next() => event,
        };
        let Some(Ok(event)) = event else { return };
        if let Some(queue) = queue_in(&event.properties, vhost) {
            told(QueueNews::Changed(queue));
        }
    }
}

/// The queue that an event is about, if it is one of this virtual host.
fn queue_in<'a>(event: &'a BasicProperties, vhost: &str) -> Option<&'a str> {
    let headers = event.headers().as_ref()?;
    let text = |name: &str| match headers.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        _ => None,
    };
    text("name").filter(|_| text("vhost") == Some(vhost))
}

async fn subscribe(session: &SharedSession) -> Result<(Channel, Consumer), AskFault> {
    let channel = session.channel().await?;
    let end = session.endings().watch(channel.id());
    let events = subscribe_on(&channel).await;
    let why = "there are no news of queues";
    session.or_leave(channel, &end, events, why).await
}

async fn subscribe_on(channel: &Channel) -> Result<Consumer, AskFault> {
    let none = FieldTable::default;
    let exchange = short(EXCHANGE);
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    ask(channel.exchange_declare(exchange.clone(), ExchangeKind::Topic, passive, none())).await?;
    let own = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    // The broker chooses the name.
    let queue = ask(channel.queue_declare(short(""), own, none())).await?;
    let queue = queue.name().clone();
    for key in KEYS {
        let options = QueueBindOptions::default();
        ask(channel.queue_bind(queue.clone(), exchange.clone(), short(key), options, none()))
            .await?;
    }
    let options = BasicConsumeOptions {
        // One that is lost is no worse than one that was never heard.
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    ask(channel.basic_consume(queue, short(""), options, none())).await
}

#[cfg(test)]
mod tests {
    use lapin::types::LongString;

    use super::*;

    fn event(headers: &[(&str, &str)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for &(name, value) in headers {
            let text = AMQPValue::LongString(LongString::from(value));
            table.insert(name.into(), text);
        }
        BasicProperties::default().with_headers(table)
    }

    #[test]
    fn an_event_is_about_a_queue_of_its_virtual_host() {
        let ours = event(&[("name", "orders"), ("vhost", "shop")]);
        assert_eq!(queue_in(&ours, "shop"), Some("orders"));
        assert_eq!(queue_in(&ours, "other"), None);
        assert_eq!(queue_in(&event(&[("name", "orders")]), "shop"), None);
        assert_eq!(queue_in(&event(&[("vhost", "shop")]), "shop"), None);
        assert_eq!(queue_in(&BasicProperties::default(), "shop"), None);
    }
}
