//! Declares one entity after the other on a throwaway channel, and collects what does not fit.

use std::collections::BTreeSet;

use hive_config::plan::{BindingPlan, ExchangePlan};
use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ExchangeBindOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::protocol::AMQPError;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Error, ExchangeKind};

use super::declaration::QueueDeclaration;
use super::known::Known;
use super::remedy::{
    bindings_remedy, consume_remedy, exchange_remedy, fatal_remedy, missing_remedy, queue_remedy,
};
use super::table::table;
use super::words::{consuming_from, describe_binding, describe_exchange};
use crate::message::names::short;
use crate::session::Session;
use crate::session::fault::{Mismatch, broker_error, is_brokers_own, is_internal};
use crate::session::limits::{AskFault, GOODBYE_TIMEOUT, ask, leave};
use crate::wire::frame::BrokerVersion;

/// A queue that exists in another way is declared as it is after a few answers; each names one argument.
const ANSWERS: usize = 16;

/// Declares, and remembers what the broker did not agree with.
pub(super) struct Declarer<'a> {
    session: &'a Session,
    known: &'a Known,
    channel: Option<Channel>,
    mismatches: Vec<Mismatch>,
    as_they_are: Vec<AsItIs>,
    /// Where set, nothing else is asked about: these are tried again.
    only: Option<&'a BTreeSet<String>>,
    /// Over what the broker ended the connection.
    hung_up: Option<Mismatch>,
}

/// A queue that exists in another way, and that nothing speaks against consuming.
#[derive(Debug)]
pub(super) struct AsItIs {
    pub(super) wanted: QueueDeclaration,
    pub(super) found: QueueDeclaration,
}

impl<'a> Declarer<'a> {
    pub(super) fn new(session: &'a Session, known: &'a Known) -> Self {
        Self {
            session,
            known,
            channel: None,
            mismatches: Vec::new(),
            as_they_are: Vec::new(),
            only: None,
            hung_up: None,
        }
    }

    /// For a connection on which these are tried again, and nothing else.
    pub(super) fn trying(
        session: &'a Session,
        known: &'a Known,
        only: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            only: Some(only),
            ..Self::new(session, known)
        }
    }

    /// Whether the broker is asked about an entity. One that it ends the connection over is a mismatch
    /// without asking.
    fn asks_about(&mut self, entity: impl FnOnce() -> String) -> bool {
        if let Some(only) = self.only {
            return only.contains(&entity());
        }
        if self.known.fatal.is_empty() {
            return true;
        }
        match self.known.fatal.left_out(&entity()) {
            Some(mismatch) => {
                self.mismatches.push(mismatch);
                false
            }
            None => true,
        }
    }

    /// Notes an entity as a mismatch if the broker ends the connection over it.
    pub(super) fn leaves_out(&mut self, entity: impl FnOnce() -> String) {
        self.asks_about(entity);
    }

    /// Whether only some entities are tried again.
    pub(super) fn tries_again(&self) -> bool {
        self.only.is_some()
    }

    /// The entity over which the broker ended the connection, if it did.
    pub(super) fn take_hung_up(&mut self) -> Option<Mismatch> {
        self.hung_up.take()
    }

    pub(super) fn broker(&self) -> Option<BrokerVersion> {
        self.session.broker()
    }

    pub(super) async fn exchange(&mut self, plan: &ExchangePlan) -> Result<(), AskFault> {
        if !self.asks_about(|| describe_exchange(plan)) {
            return Ok(());
        }
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
        let remedy = exchange_remedy(&plan.name, refusal(&declared));
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

    /// Declares a queue. One that exists with another delivery limit is declared as it is.
    pub(super) async fn queue(&mut self, wanted: &QueueDeclaration) -> Result<(), AskFault> {
        if !self.asks_about(|| wanted.describe()) {
            return Ok(());
        }
        if self.known.answers_are_cut(&wanted.name) && self.is_known_to_exist(wanted).await? {
            return Ok(());
        }
        let mut trying = self.beginning(wanted).await?;
        let mut answers = 0;
        let declared = loop {
            let declared = self.declared(&trying).await?;
            answers += 1;
            match refusal(&declared).and_then(|answer| self.as_it_is(&trying, answer)) {
                Some(instead) if answers < ANSWERS => trying = instead,
                _ => break declared,
            }
            // The broker has closed it over the answer.
            self.channel = None;
        };
        if declared.is_ok() && trying != *wanted {
            self.known.remember(wanted, &trying);
            self.as_they_are.push(AsItIs {
                wanted: wanted.clone(),
                found: trying.clone(),
            });
        }
        let remedy = queue_remedy(&trying, refusal(&declared));
        self.judge(declared, || wanted.describe(), remedy)
    }

    /// Whether the queue exists, if that can be asked without harm.
    async fn is_known_to_exist(&mut self, wanted: &QueueDeclaration) -> Result<bool, AskFault> {
        let can_be_asked = !wanted.is_passive() && !self.known.cannot_be_missed(&wanted.name);
        Ok(can_be_asked && self.exists(&wanted.name).await?)
    }

    /// How to declare it first: as it was found the last time, if it is still there.
    async fn beginning(&mut self, wanted: &QueueDeclaration) -> Result<QueueDeclaration, AskFault> {
        let Some(found) = self.known.found(wanted) else {
            return Ok(wanted.clone());
        };
        if self.exists(&wanted.name).await? {
            return Ok(found);
        }
        self.known.forget(&wanted.name);
        Ok(wanted.clone())
    }

    /// Finds out whether the broker takes a queue that is not there, by another one that is deleted at once.
    pub(super) async fn try_out(&mut self, declaration: &QueueDeclaration) -> Result<(), AskFault> {
        if !self.asks_about(|| declaration.describe()) {
            return Ok(());
        }
        let trial = QueueDeclaration {
            name: format!("hive.check.{:016x}", rand::random::<u64>()),
            ..declaration.clone()
        };
        let mut tried = self.declared(&trial).await?;
        if tried.is_ok() {
            let channel = self.channel().await?;
            let deleting = channel.queue_delete(short(&trial.name), QueueDeleteOptions::default());
            tried = ask(deleting).await.map(drop);
        }
        let remedy = queue_remedy(declaration, refusal(&tried));
        if refusal(&tried).is_some_and(|answer| answer.get_id() == 403) {
            // Not ours to try: the host may be allowed what a name of its own asks for.
            self.channel = None;
            return Ok(());
        }
        self.judge(tried, || declaration.describe(), remedy)
    }

    /// The declaration to use instead of the refused one, if the queue can be consumed as it is.
    fn as_it_is(&self, tried: &QueueDeclaration, answer: &AMQPError) -> Option<QueueDeclaration> {
        let instead = tried.as_it_is(answer.get_message().as_str())?;
        (!drops_everything(&instead, self.broker())).then_some(instead)
    }

    /// Finds out the arguments of a queue that exists and is not declared in hive.toml, starting from the most
    /// likely ones. `None` if the broker does not report them.
    pub(super) async fn find_out(
        &mut self,
        probably: &QueueDeclaration,
    ) -> Result<Option<QueueDeclaration>, AskFault> {
        let entity = || format!("the arguments of queue {:?}", probably.name);
        let is_left_out = match self.only {
            Some(only) => !only.contains(&entity()),
            None => self.known.fatal.left_out(&entity()).is_some(),
        };
        if is_left_out {
            return Ok(None);
        }
        let mut trying = probably.clone();
        for _ in 0..ANSWERS {
            let declared = self.declared(&trying).await?;
            let Err(fault) = self.unless_hung_up(declared, entity, String::new)? else {
                return Ok(Some(trying));
            };
            self.channel = None;
            let answer = match &fault {
                AskFault::Failed(error) if error.is_amqp_soft_error() => broker_error(error),
                _ => return Err(fault),
            };
            let answer = answer.map(|answer| answer.get_message().as_str());
            match answer.and_then(|answer| trying.found(answer)) {
                Some(found) => trying = found,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The queue exists as `found`, which is said where it is not as `wanted`.
    pub(super) fn is_found(&mut self, wanted: QueueDeclaration, found: QueueDeclaration) {
        self.as_they_are.push(AsItIs { wanted, found });
    }

    /// The queues that were declared as they are since this was last asked.
    pub(super) fn take_as_they_are(&mut self) -> Vec<AsItIs> {
        std::mem::take(&mut self.as_they_are)
    }

    /// Checks that a queue which the plan does not declare is there.
    pub(super) async fn check(&mut self, queue: &str, for_whom: &str) -> Result<(), AskFault> {
        let entity = || format!("queue {queue:?} of {for_whom}");
        if !self.asks_about(entity) {
            return Ok(());
        }
        let checked = self.look(queue).await?;
        let remedy = missing_remedy(queue);
        self.judge(checked, entity, remedy)
    }

    /// Checks that a queue which Hive does not declare has a single active consumer. One that is missing is
    /// reported elsewhere.
    pub(super) async fn check_single(&mut self, queue: &str) -> Result<(), AskFault> {
        if self.tries_again() {
            return Ok(());
        }
        if !self.known.cannot_be_missed(queue) && !self.exists(queue).await? {
            return Ok(());
        }
        let usual = QueueDeclaration::dead_letter(self.broker(), queue);
        let wanted = usual.with_single_active_consumer();
        let probably = self.known.found(&wanted).unwrap_or_else(|| wanted.clone());
        let asked = match self.find_out(&probably).await? {
            Some(found) if found.has_single_active_consumer() => {
                self.known.remember(&wanted, &found);
                return Ok(());
            }
            Some(found) => found.with_single_active_consumer(),
            None => wanted,
        };
        // For the broker's own words.
        let declared = self.declared(&asked).await?;
        let entity = || format!("queue {queue:?}, which one host at a time is to consume");
        let remedy = queue_remedy(&asked, refusal(&declared));
        self.judge(declared, entity, remedy)
    }

    /// Whether a queue is there, whatever it is like.
    pub(super) async fn exists(&mut self, queue: &str) -> Result<bool, AskFault> {
        if !self.asks_about(|| format!("queue {queue:?}")) {
            return Ok(true);
        }
        let looked = self.look(queue).await?;
        let looked = self.unless_hung_up(looked, || format!("queue {queue:?}"), String::new)?;
        self.is_there(looked)
    }

    /// Tries to consume, and takes nothing.
    pub(super) async fn consume(&mut self, queue: &str) -> Result<(), AskFault> {
        if !self.asks_about(|| consuming_from(queue)) {
            return Ok(());
        }
        let channel = self.channel().await?;
        ask(channel.basic_qos(1, BasicQosOptions::default())).await?;
        let consuming = channel.basic_consume(
            short(queue),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumed = ask(consuming).await.map(drop);
        if consumed.is_ok() {
            // The message goes back.
            self.channel = None;
            leave(&channel, "it can be consumed").await;
        }
        self.judge(consumed, || consuming_from(queue), consume_remedy(queue))
    }

    fn is_there(&mut self, looked: Result<(), AskFault>) -> Result<bool, AskFault> {
        let is_there = match looked {
            Ok(()) => return Ok(true),
            Err(AskFault::Failed(error)) if is_code(&error, 404) => false,
            // Locked by another connection, or access is refused: it exists.
            Err(AskFault::Failed(error)) if is_code(&error, 405) || is_code(&error, 403) => true,
            Err(fault) => return Err(fault),
        };
        self.channel = None;
        Ok(is_there)
    }

    async fn look(&mut self, queue: &str) -> Result<Result<(), AskFault>, AskFault> {
        self.declared(&QueueDeclaration::passive(queue)).await
    }

    /// Declares a queue. The broker may close the channel, or the connection, before lapin is done with the second
    /// question, which then has no answer but the one that was on the wire.
    async fn declared(
        &mut self,
        declaration: &QueueDeclaration,
    ) -> Result<Result<(), AskFault>, AskFault> {
        let channel = self.channel().await?;
        let end = self.session.endings().watch(channel.id());
        let declared = declare(&channel, declaration).await;
        Ok(declared.map_err(|fault| self.session.in_the_brokers_words(fault, &end)))
    }

    pub(super) async fn bind_queue(
        &mut self,
        queue: &str,
        binding: &BindingPlan,
    ) -> Result<(), AskFault> {
        let entity = || describe_binding("queue", queue, binding);
        if !self.asks_about(entity) {
            return Ok(());
        }
        let channel = self.channel().await?;
        let bound = ask(channel.queue_bind(
            short(queue),
            short(&binding.exchange),
            short(&binding.routing_key),
            QueueBindOptions::default(),
            table(&binding.arguments),
        ))
        .await;
        let remedy = bindings_remedy("queues", queue, &binding.exchange);
        self.judge(bound, entity, remedy)
    }

    pub(super) async fn bind_exchange(
        &mut self,
        exchange: &ExchangePlan,
        binding: &BindingPlan,
    ) -> Result<(), AskFault> {
        let name = &exchange.name;
        let entity = || describe_binding("exchange", name, binding);
        if !self.asks_about(entity) {
            return Ok(());
        }
        let channel = self.channel().await?;
        let bound = ask(channel.exchange_bind(
            short(name),
            short(&binding.exchange),
            short(&binding.routing_key),
            ExchangeBindOptions::default(),
            table(&binding.arguments),
        ))
        .await;
        let remedy = bindings_remedy("exchanges", name, &binding.exchange);
        self.judge(bound, entity, remedy)
    }

    /// Whether nothing was refused since [`Self::take_mismatches`] was last called.
    pub(super) fn is_content(&self) -> bool {
        self.mismatches.is_empty()
    }

    /// The mismatches since the last call.
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
        entity: impl Fn() -> String,
        remedy: String,
    ) -> Result<(), AskFault> {
        let declared = self.unless_hung_up(declared, &entity, || remedy.clone())?;
        let error = match declared {
            Ok(()) => return Ok(()),
            Err(AskFault::Failed(error)) => error,
            Err(fault) => return Err(fault),
        };
        self.channel = None;
        let Some(answer) = broker_error(&error).filter(|answer| !is_brokers_own(answer)) else {
            return Err(AskFault::Failed(error));
        };
        self.mismatches
            .push(Mismatch::new(entity(), answer, remedy));
        match error.is_amqp_soft_error() {
            true => Ok(()),
            // It took the connection with it, as an unknown type of exchange does.
            false => Err(AskFault::Failed(error)),
        }
    }

    /// Notes an entity that the broker ended the connection over, as by itself or for a reason: the error
    /// ends everything. Any other answer takes the suspicion off it.
    fn unless_hung_up(
        &mut self,
        asked: Result<(), AskFault>,
        entity: impl Fn() -> String,
        remedy: impl Fn() -> String,
    ) -> Result<Result<(), AskFault>, AskFault> {
        match refusal(&asked) {
            Some(answer) if is_internal(answer) => {
                let remedy = fatal_remedy(&remedy());
                self.hung_up = Some(Mismatch::new(entity(), answer, remedy));
                Err(asked.expect_err("an answer is an error"))
            }
            Some(_) => {
                self.known.fatal.answered_lazily(entity);
                Ok(asked)
            }
            None => {
                if asked.is_ok() {
                    self.known.fatal.answered_lazily(entity);
                }
                Ok(asked)
            }
        }
    }
}

/// Declares a queue without asking for its depth.
///
/// The answer to a declaration has the number of messages, for which RabbitMQ asks the queue's leader. After a
/// restart a quorum queue may have no leader for many seconds, and blocks the channel until then. With
/// `no-wait` the leader is not asked. The broker still closes the channel over a mismatch, and the next
/// question on that channel finds out.
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

/// The broker's answer where it is one of the broker.
fn refusal(declared: &Result<(), AskFault>) -> Option<&AMQPError> {
    match declared {
        Err(AskFault::Failed(error)) => broker_error(error),
        _ => None,
    }
}

/// Whether the queue drops a message at its first return: before RabbitMQ 4.0 that is the effect of a negative
/// limit.
fn drops_everything(found: &QueueDeclaration, broker: Option<BrokerVersion>) -> bool {
    let is_old = broker.is_none_or(|broker| broker < BrokerVersion::DELIVERY_LIMIT);
    is_old && found.delivery_limit().is_some_and(|limit| limit < 0)
}
