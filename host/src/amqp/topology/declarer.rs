//! Declares one entity after the other on a throwaway channel, and collects what does not fit.

use lapin::options::{
    BasicQosOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Error, ExchangeKind};

use super::table::{short, table};
use crate::amqp::fault::{Mismatch, broker_error, is_brokers_own, words};
use crate::amqp::frame::BrokerVersion;
use crate::amqp::limits::{AskFault, GOODBYE_TIMEOUT, ask};
use crate::amqp::session::Session;
use crate::config::plan::{Argument, Arguments, BindingPlan, ExchangePlan, QueueKind, QueuePlan};

/// A queue as it is declared.
#[derive(Debug, Clone)]
pub(super) struct QueueDeclaration {
    pub(super) name: String,
    options: QueueDeclareOptions,
    arguments: Arguments,
}

/// The `x-queue-type` of a queue that the host makes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Quorum,
    Classic,
}

impl Kind {
    /// The safest that the broker has.
    pub(super) fn durable(broker: Option<BrokerVersion>) -> Self {
        match broker {
            Some(version) if version < BrokerVersion::QUORUM_QUEUES => Self::Classic,
            _ => Self::Quorum,
        }
    }
}

impl QueueDeclaration {
    pub(super) fn durable(name: &str, kind: Kind, mut arguments: Arguments) -> Self {
        if kind == Kind::Quorum {
            arguments.push(queue_type("quorum"));
        }
        Self {
            name: name.to_owned(),
            options: QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            },
            arguments,
        }
    }

    /// A dead-letter queue. Whoever looks into it takes every message in hand and puts it back, which
    /// must never be counted as too often.
    pub(super) fn dead_letter(broker: Option<BrokerVersion>, name: &str) -> Self {
        let mut arguments = Arguments::new();
        if broker.is_some_and(|version| version >= BrokerVersion::DELIVERY_LIMIT) {
            arguments.push(("x-delivery-limit".to_owned(), Argument::Integer(-1)));
        }
        Self::durable(name, Kind::durable(broker), arguments)
    }

    /// Whether it only has to be there.
    pub(super) fn is_passive(&self) -> bool {
        self.options.passive
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let QueueDeclareOptions {
            passive,
            durable,
            exclusive,
            auto_delete,
            ..
        } = self.options;
        if passive {
            return format!("queue {:?}, which has to exist", self.name);
        }
        let mut words = Vec::new();
        words.push(if durable { "durable" } else { "not durable" }.to_owned());
        words.extend(exclusive.then(|| "exclusive".to_owned()));
        words.extend(auto_delete.then(|| "auto-delete".to_owned()));
        words.extend(arguments_in_words(&self.arguments));
        format!("queue {:?} ({})", self.name, words.join(", "))
    }
}

impl From<&QueuePlan> for QueueDeclaration {
    fn from(plan: &QueuePlan) -> Self {
        let mut arguments = plan.arguments.clone();
        match plan.kind {
            QueueKind::Quorum => arguments.push(queue_type("quorum")),
            QueueKind::Stream => arguments.push(queue_type("stream")),
            QueueKind::Classic => arguments.push(queue_type("classic")),
        }
        Self {
            name: plan.name.to_string(),
            options: QueueDeclareOptions {
                passive: plan.passive,
                durable: plan.durable,
                exclusive: plan.exclusive,
                auto_delete: plan.auto_delete,
                nowait: false,
            },
            arguments,
        }
    }
}

fn queue_type(kind: &str) -> (String, Argument) {
    ("x-queue-type".to_owned(), Argument::Text(kind.to_owned()))
}

fn arguments_in_words(arguments: &Arguments) -> impl Iterator<Item = String> {
    arguments.iter().map(|(name, value)| {
        let value = match value {
            Argument::Boolean(value) => value.to_string(),
            Argument::Integer(value) => value.to_string(),
            Argument::Double(value) => value.to_string(),
            Argument::Text(value) => value.clone(),
            Argument::Array(_) => "[...]".to_owned(),
            Argument::Table(_) => "{...}".to_owned(),
        };
        format!("{name} = {value}")
    })
}

/// Declares, and remembers what the broker did not agree with.
pub(super) struct Declarer<'a> {
    session: &'a Session,
    channel: Option<Channel>,
    mismatches: Vec<Mismatch>,
}

impl<'a> Declarer<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self {
            session,
            channel: None,
            mismatches: Vec::new(),
        }
    }

    pub(super) fn broker(&self) -> Option<BrokerVersion> {
        self.session.broker()
    }

    pub(super) async fn exchange(&mut self, plan: &ExchangePlan) -> Result<(), AskFault> {
        let options = ExchangeDeclareOptions {
            passive: plan.passive,
            durable: plan.durable,
            auto_delete: plan.auto_delete,
            internal: plan.internal,
            nowait: false,
        };
        let kind = ExchangeKind::Custom(plan.kind.clone());
        let name = short(&plan.name);
        let channel = self.channel().await?;
        let declared =
            ask(channel.exchange_declare(name, kind, options, table(&plan.arguments))).await;
        let remedy = remedy_for("exchanges", &plan.name);
        self.judge(declared, || describe_exchange(plan), remedy)
    }

    /// Whether an exchange is there, whatever it is like.
    pub(super) async fn has_exchange(&mut self, exchange: &str) -> Result<bool, AskFault> {
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let (name, kind) = (short(exchange), ExchangeKind::default());
        let channel = self.channel().await?;
        let looked = ask(channel.exchange_declare(name, kind, options, FieldTable::default()));
        let looked = looked.await;
        self.is_there(looked)
    }

    pub(super) async fn queue(&mut self, declaration: &QueueDeclaration) -> Result<(), AskFault> {
        let channel = self.channel().await?;
        let declared = declare(&channel, declaration).await;
        self.judge(
            declared,
            || declaration.describe(),
            remedy_for("queues", &declaration.name),
        )
    }

    /// Checks that a queue which the plan does not declare is there.
    pub(super) async fn check(&mut self, queue: &str, for_whom: &str) -> Result<(), AskFault> {
        let checked = self.look(queue).await?;
        let remedy = format!("declare it under [queues.{queue:?}], or create it at the broker");
        self.judge(checked, || format!("queue {queue:?} of {for_whom}"), remedy)
    }

    /// Whether a queue is there, whatever it is like.
    pub(super) async fn exists(&mut self, queue: &str) -> Result<bool, AskFault> {
        let looked = self.look(queue).await?;
        self.is_there(looked)
    }

    fn is_there(&mut self, looked: Result<(), AskFault>) -> Result<bool, AskFault> {
        let is_there = match looked {
            Ok(()) => return Ok(true),
            Err(AskFault::Failed(error)) if is_code(&error, 404) => false,
            // Locked by somebody else, or not ours to see: it is there.
            Err(AskFault::Failed(error)) if is_code(&error, 405) || is_code(&error, 403) => true,
            Err(fault) => return Err(fault),
        };
        self.channel = None;
        Ok(is_there)
    }

    async fn look(&mut self, queue: &str) -> Result<Result<(), AskFault>, AskFault> {
        let passive = QueueDeclaration {
            name: queue.to_owned(),
            options: QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            },
            arguments: Arguments::new(),
        };
        let channel = self.channel().await?;
        Ok(declare(&channel, &passive).await)
    }

    pub(super) async fn bind_queue(
        &mut self,
        queue: &str,
        binding: &BindingPlan,
    ) -> Result<(), AskFault> {
        let channel = self.channel().await?;
        let bound = ask(channel.queue_bind(
            short(queue),
            short(&binding.exchange),
            short(&binding.routing_key),
            QueueBindOptions::default(),
            table(&binding.arguments),
        ))
        .await;
        let remedy = format!("check the bindings of [queues.{queue:?}]");
        self.judge(bound, || describe_binding("queue", queue, binding), remedy)
    }

    pub(super) async fn bind_exchange(
        &mut self,
        exchange: &ExchangePlan,
        binding: &BindingPlan,
    ) -> Result<(), AskFault> {
        let name = &exchange.name;
        let channel = self.channel().await?;
        let bound = ask(channel.exchange_bind(
            short(name),
            short(&binding.exchange),
            short(&binding.routing_key),
            ExchangeBindOptions::default(),
            table(&binding.arguments),
        ))
        .await;
        let remedy = format!("check the bindings of [exchanges.{name:?}]");
        self.judge(
            bound,
            || describe_binding("exchange", name, binding),
            remedy,
        )
    }

    /// What did not fit since this was last asked.
    pub(super) fn take_mismatches(&mut self) -> Vec<Mismatch> {
        std::mem::take(&mut self.mismatches)
    }

    /// Closes the channel and hands over what did not fit and was not taken.
    pub(super) async fn finish(self) -> Vec<Mismatch> {
        if let Some(channel) = self.channel {
            let closed = channel.close(200, "declared".into());
            // It closes with its connection at the latest.
            if tokio::time::timeout(GOODBYE_TIMEOUT, closed).await.is_err() {
                tracing::debug!("the broker did not confirm that a channel is closed");
            }
        }
        self.mismatches
    }

    async fn channel(&mut self) -> Result<Channel, AskFault> {
        match &self.channel {
            Some(channel) => Ok(channel.clone()),
            None => {
                let channel = self.session.channel().await?;
                self.channel = Some(channel.clone());
                Ok(channel)
            }
        }
    }

    /// A declaration that the broker refuses is remembered; any other failure ends them all.
    fn judge(
        &mut self,
        declared: Result<(), AskFault>,
        entity: impl FnOnce() -> String,
        remedy: String,
    ) -> Result<(), AskFault> {
        let error = match declared {
            Ok(()) => return Ok(()),
            Err(AskFault::Failed(error)) => error,
            Err(fault) => return Err(fault),
        };
        self.channel = None;
        let Some(answer) = broker_error(&error).filter(|answer| !is_brokers_own(answer)) else {
            return Err(AskFault::Failed(error));
        };
        self.mismatches.push(Mismatch {
            entity: entity(),
            answer: words(answer),
            remedy,
        });
        match error.is_amqp_soft_error() {
            true => Ok(()),
            // It took the connection with it, as an unknown type of exchange does.
            false => Err(AskFault::Failed(error)),
        }
    }
}

/// Declares a queue without asking how full it is.
///
/// A declaration that is answered tells the number of messages, which RabbitMQ asks the queue's leader
/// for; after a restart a quorum queue may have none for many seconds, and the channel stands still
/// until then. With `no-wait` nobody is asked. The broker still closes the channel over what it does
/// not agree with, and whatever is asked next on that channel learns of it.
async fn declare(channel: &Channel, declaration: &QueueDeclaration) -> Result<(), AskFault> {
    let name = short(&declaration.name);
    let arguments = table(&declaration.arguments);
    let options = QueueDeclareOptions {
        nowait: true,
        ..declaration.options
    };
    ask(channel.queue_declare(name, options, arguments)).await?;
    ask(channel.basic_qos(1, BasicQosOptions::default())).await
}

fn is_code(error: &Error, code: u16) -> bool {
    broker_error(error).is_some_and(|answer| answer.get_id() == code)
}

fn remedy_for(section: &str, name: &str) -> String {
    format!("change [{section}.{name:?}], or delete what the broker has")
}

/// An exchange in words.
pub(super) fn describe_exchange(plan: &ExchangePlan) -> String {
    if plan.passive {
        return format!("exchange {:?}, which has to exist", plan.name);
    }
    let durable = if plan.durable {
        "durable"
    } else {
        "not durable"
    };
    let mut words = vec![plan.kind.clone(), durable.to_owned()];
    words.extend(plan.auto_delete.then(|| "auto-delete".to_owned()));
    words.extend(plan.internal.then(|| "internal".to_owned()));
    words.extend(arguments_in_words(&plan.arguments));
    format!("exchange {:?} ({})", plan.name, words.join(", "))
}

fn describe_binding(what: &str, name: &str, binding: &BindingPlan) -> String {
    format!(
        "the binding of {what} {name:?} to exchange {:?} with routing key {:?}",
        binding.exchange, binding.routing_key
    )
}
