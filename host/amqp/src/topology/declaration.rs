//! A queue as it is declared: what hive.toml says of it, and what Hive adds.

use hive_config::plan::{Argument, Arguments, QueueKind, QueuePlan};
use lapin::options::QueueDeclareOptions;

use super::inequivalent::{Current, Inequivalent};
use super::limit::{self, Limit, X_DELIVERY_LIMIT};
use crate::wire::frame::BrokerVersion;

const X_QUEUE_TYPE: &str = "x-queue-type";
const X_DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const X_OVERFLOW: &str = "x-overflow";
const X_SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";

/// The arguments that Hive adds for the messages that a queue with a limit drops.
const FOR_DROPS: [&str; 4] = [
    X_DEAD_LETTER_EXCHANGE,
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    X_OVERFLOW,
];

/// A queue as it is declared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueueDeclaration {
    pub(super) name: String,
    pub(super) options: QueueDeclareOptions,
    pub(super) arguments: Arguments,
    pub(super) origin: Origin,
    /// Where Hive adds arguments so that what the broker drops is dead-lettered: the queue that gets it.
    pub(super) drops_go_to: Option<String>,
}

/// Who asks for a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `[queues.NAME]`.
    Plan,
    /// A consumer, for its dead letters.
    DeadLetter,
    /// A consumer or a publication, for a delay.
    Delay,
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
    pub(super) fn durable(
        name: &str,
        kind: Kind,
        mut arguments: Arguments,
        origin: Origin,
    ) -> Self {
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
            origin,
            drops_go_to: None,
        }
    }

    /// One that only has to be there, whatever it is like.
    pub(super) fn passive(name: &str) -> Self {
        let mut passive = Self::durable(name, Kind::Classic, Arguments::new(), Origin::Plan);
        passive.options.passive = true;
        passive
    }

    /// A dead-letter queue.
    pub(super) fn dead_letter(broker: Option<BrokerVersion>, name: &str) -> Self {
        let limit = Limit::Unlimited.argument(broker);
        let limit = limit.map(|limit| (X_DELIVERY_LIMIT.to_owned(), Argument::Integer(limit)));
        Self::durable(
            name,
            Kind::durable(broker),
            limit.into_iter().collect(),
            Origin::DeadLetter,
        )
    }

    /// A queue of hive.toml. Its drops go to `dead_letter`, the dead-letter queue of a consumer of it, if
    /// hive.toml asks for a limit and says nothing of where they go.
    pub(super) fn of_plan(
        plan: &QueuePlan,
        broker: Option<BrokerVersion>,
        dead_letter: Option<&str>,
    ) -> Self {
        let mut declaration = Self {
            name: plan.name.to_string(),
            options: QueueDeclareOptions {
                passive: plan.passive,
                durable: plan.durable,
                exclusive: plan.exclusive,
                auto_delete: plan.auto_delete,
                nowait: false,
            },
            arguments: plan.arguments.clone(),
            origin: Origin::Plan,
            drops_go_to: None,
        };
        declaration.arguments.push(match plan.kind {
            QueueKind::Quorum => queue_type("quorum"),
            QueueKind::Stream => queue_type("stream"),
            QueueKind::Classic => queue_type("classic"),
        });
        if plan.kind == QueueKind::Quorum {
            declaration.limit(broker, dead_letter);
        }
        declaration
    }

    fn limit(&mut self, broker: Option<BrokerVersion>, dead_letter: Option<&str>) {
        // The broker refuses a value that is not a number.
        if self.has(X_DELIVERY_LIMIT) && limit::integer(&self.arguments).is_none() {
            return;
        }
        let limit = Limit::wanted(&self.arguments);
        self.set(
            X_DELIVERY_LIMIT,
            limit.argument(broker).map(Argument::Integer),
        );
        if let (Limit::Returns(_), Some(queue)) = (limit, dead_letter)
            && !self.has(X_DEAD_LETTER_EXCHANGE)
        {
            self.dead_letter_drops(broker, queue);
        }
    }

    /// At least once, if that changes nothing else: a queue that is bounded and drops its oldest message would
    /// refuse the newest instead.
    fn dead_letter_drops(&mut self, broker: Option<BrokerVersion>, queue: &str) {
        let overflow = self.get(X_OVERFLOW).cloned();
        let is_bounded = self.has("x-max-length") || self.has("x-max-length-bytes");
        let refuses = match &overflow {
            Some(overflow) => *overflow == text("reject-publish"),
            None => !is_bounded,
        };
        let knows = broker.is_none_or(|version| version >= BrokerVersion::AT_LEAST_ONCE);
        self.set(X_DEAD_LETTER_EXCHANGE, Some(text("")));
        self.set("x-dead-letter-routing-key", Some(text(queue)));
        if refuses && knows && !self.has("x-dead-letter-strategy") {
            self.set("x-dead-letter-strategy", Some(text("at-least-once")));
            self.set(X_OVERFLOW, Some(text("reject-publish")));
        }
        self.drops_go_to = Some(queue.to_owned());
    }

    /// The same for a queue that one host at a time consumes. One that only has to exist stays as it is.
    pub(super) fn with_single_active_consumer(mut self) -> Self {
        if !self.is_passive() {
            self.set(X_SINGLE_ACTIVE_CONSUMER, Some(Argument::Boolean(true)));
        }
        self
    }

    /// Whether the broker lets one consumer of it have everything.
    pub(super) fn has_single_active_consumer(&self) -> bool {
        self.get(X_SINGLE_ACTIVE_CONSUMER) == Some(&Argument::Boolean(true))
    }

    /// Whether the broker answers that a queue which was declared with a single active consumer exists without one.
    pub(super) fn lacks_single_active_consumer(&self, answer: &str) -> bool {
        self.has_single_active_consumer()
            && Inequivalent::read(answer)
                .is_some_and(|answer| answer.argument == X_SINGLE_ACTIVE_CONSUMER)
    }

    /// Whether RabbitMQ has deprecated something of it, so that a broker may end the connection over it.
    pub(super) fn may_be_denied(&self) -> bool {
        let is_transient = !self.options.durable && !self.options.exclusive;
        !self.is_passive() && (is_transient || self.has("x-queue-master-locator"))
    }

    /// Whether it only has to be there.
    pub(super) fn is_passive(&self) -> bool {
        self.options.passive
    }

    /// Whether the type that is declared has delivery limits.
    pub(super) fn is_quorum(&self) -> bool {
        self.kind() == Some("quorum")
    }

    /// The declared type; `None` if the broker chooses it, or is not asked.
    pub(super) fn kind(&self) -> Option<&str> {
        match self.get(X_QUEUE_TYPE) {
            Some(Argument::Text(kind)) => Some(kind),
            None if !self.is_passive() => Some("classic"),
            _ => None,
        }
    }

    /// Where what the broker drops goes, in words.
    pub(super) fn dead_letter_target(&self) -> Option<String> {
        let text = |name| match self.get(name) {
            Some(Argument::Text(text)) => Some(text),
            _ => None,
        };
        let exchange = text(X_DEAD_LETTER_EXCHANGE)?;
        Some(match text("x-dead-letter-routing-key") {
            Some(queue) if exchange.is_empty() => format!("queue {queue:?}"),
            _ => format!("exchange {exchange:?}"),
        })
    }

    /// The limit that it is declared with.
    pub(super) fn delivery_limit(&self) -> Option<i64> {
        limit::integer(&self.arguments)
    }

    /// The declaration to use instead if the broker answers that the queue has another delivery limit, or lacks
    /// Hive's additions: the queue as it is. `None` if the difference needs a change of hive.toml.
    pub(super) fn as_it_is(&self, answer: &str) -> Option<Self> {
        let Inequivalent { argument, current } = Inequivalent::read(answer)?;
        let mut instead = self.clone();
        if argument == X_DELIVERY_LIMIT && self.is_quorum() {
            match current {
                Current::Absent => instead.set(argument, None),
                Current::Value(value) => instead.set(argument, Some(value)),
                Current::Unknown if self.has(argument) => instead.set(argument, None),
                // It has one, and the name left no room for which.
                Current::Unknown => instead.options.passive = true,
            }
        } else if self.drops_go_to.is_some() && FOR_DROPS.contains(&argument) {
            for name in FOR_DROPS {
                instead.set(name, None);
            }
            instead.drops_go_to = None;
        } else {
            return None;
        }
        (instead != *self).then_some(instead)
    }

    /// The same declaration with the value that the broker reports for the argument, whatever it is. For a
    /// queue that hive.toml does not declare.
    pub(super) fn found(&self, answer: &str) -> Option<Self> {
        let Inequivalent { argument, current } = Inequivalent::read(answer)?;
        let mut found = self.clone();
        match (argument, current) {
            ("durable", Current::Value(Argument::Boolean(is))) => found.options.durable = is,
            ("auto_delete", Current::Value(Argument::Boolean(is))) => {
                found.options.auto_delete = is
            }
            (_, Current::Absent) => found.set(argument, None),
            (_, Current::Value(value)) if argument.starts_with("x-") => {
                found.set(argument, Some(value));
            }
            _ => return None,
        }
        if !found.is_quorum() {
            found.set(X_DELIVERY_LIMIT, None);
        }
        (found != *self).then_some(found)
    }

    fn get(&self, name: &str) -> Option<&Argument> {
        let mut arguments = self.arguments.iter();
        arguments.find_map(|(argument, value)| (argument == name).then_some(value))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn set(&mut self, name: &str, value: Option<Argument>) {
        let at = self
            .arguments
            .iter()
            .position(|(argument, _)| argument == name);
        match (at, value) {
            (Some(at), Some(value)) => self.arguments[at].1 = value,
            (Some(at), None) => drop(self.arguments.remove(at)),
            (None, Some(value)) => self.arguments.push((name.to_owned(), value)),
            (None, None) => {}
        }
    }

    /// The declaration in words.
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

fn text(text: &str) -> Argument {
    Argument::Text(text.to_owned())
}

fn queue_type(kind: &str) -> (String, Argument) {
    (X_QUEUE_TYPE.to_owned(), text(kind))
}

pub(super) fn arguments_in_words(arguments: &Arguments) -> impl Iterator<Item = String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Option<BrokerVersion> {
        BrokerVersion::parse(text)
    }

    fn plan(arguments: &[(&str, Argument)]) -> QueuePlan {
        let arguments = arguments.iter();
        QueuePlan {
            name: "orders".into(),
            kind: QueueKind::Quorum,
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: arguments
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            bindings: Vec::new(),
        }
    }

    fn declared(broker: &str, arguments: &[(&str, Argument)]) -> QueueDeclaration {
        QueueDeclaration::of_plan(&plan(arguments), version(broker), Some("orders.dead"))
    }

    fn words(declaration: &QueueDeclaration) -> Vec<String> {
        let mut words: Vec<_> = arguments_in_words(&declaration.arguments).collect();
        words.sort();
        words
    }

    fn inequivalent(argument: &str, current: &str) -> String {
        format!(
            "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'orders' in vhost '/': \
             received none but current is {current}"
        )
    }

    #[test]
    fn no_limit_unless_asked_for() {
        let quorum = "x-queue-type = quorum";
        assert_eq!(words(&declared("3.10.8", &[])), [quorum]);
        let unlimited = ["x-delivery-limit = -1", quorum];
        assert_eq!(words(&declared("4.0.5", &[])), unlimited);
        assert_eq!(words(&declared("4.3.6", &[])), unlimited);
        let written = [(X_DELIVERY_LIMIT, Argument::Integer(-1))];
        assert_eq!(words(&declared("3.10.8", &written)), [quorum]);
        assert_eq!(words(&declared("4.3.6", &written)), unlimited);
    }

    #[test]
    fn a_limit_that_is_asked_for_drops_into_the_dead_letter_queue() {
        let five = (X_DELIVERY_LIMIT, Argument::Integer(5));
        for broker in ["3.10.8", "4.0.5", "4.3.6"] {
            assert_eq!(
                words(&declared(broker, std::slice::from_ref(&five))),
                [
                    "x-dead-letter-exchange = ",
                    "x-dead-letter-routing-key = orders.dead",
                    "x-dead-letter-strategy = at-least-once",
                    "x-delivery-limit = 5",
                    "x-overflow = reject-publish",
                    "x-queue-type = quorum",
                ]
            );
        }
        let own = (X_DEAD_LETTER_EXCHANGE, text("elsewhere"));
        let declaration = declared("4.3.6", &[five.clone(), own]);
        assert_eq!(declaration.drops_go_to, None);
        // A queue that drops its oldest message must not come to refuse the newest.
        let bounded = ("x-max-length", Argument::Integer(10));
        let declaration = declared("4.3.6", &[five, bounded]);
        assert_eq!(declaration.drops_go_to.as_deref(), Some("orders.dead"));
        assert!(!declaration.has(X_OVERFLOW), "{declaration:?}");
    }

    #[test]
    fn a_queue_with_another_limit_is_declared_as_it_is() {
        let declaration = declared("4.3.6", &[]);
        let none = declaration.as_it_is(&inequivalent(X_DELIVERY_LIMIT, "none"));
        let none = none.expect("the limit is no reason not to consume");
        assert_eq!(none.delivery_limit(), None);
        let five = inequivalent(X_DELIVERY_LIMIT, "the value '5' of type 'long'");
        let five = declaration.as_it_is(&five).expect("nor is another");
        assert_eq!(five.delivery_limit(), Some(5));
        // The broker's answer was cut short, so the limit is unknown: first the queue is declared without one, then only
        // looked up.
        let cut = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'orders...";
        let without = declaration.as_it_is(cut).expect("it is tried without one");
        assert_eq!(without.delivery_limit(), None);
        assert!(without.as_it_is(cut).expect("then looked up").is_passive());
    }

    #[test]
    fn a_queue_without_what_hive_adds_is_declared_as_it_is() {
        let declaration = declared("4.3.6", &[(X_DELIVERY_LIMIT, Argument::Integer(5))]);
        let found = declaration.as_it_is(&inequivalent(X_DEAD_LETTER_EXCHANGE, "none"));
        let found = found.expect("it is declared without");
        assert_eq!(
            words(&found),
            ["x-delivery-limit = 5", "x-queue-type = quorum"]
        );
        // A difference that hive.toml does not mention is still a mismatch.
        let other = inequivalent(X_DEAD_LETTER_EXCHANGE, "the value 'x' of type 'longstr'");
        assert_eq!(found.as_it_is(&other), None);
    }

    #[test]
    fn any_other_difference_is_a_mismatch() {
        let declaration = declared("4.3.6", &[]);
        let classic = inequivalent(X_QUEUE_TYPE, "the value 'classic' of type 'longstr'");
        assert_eq!(declaration.as_it_is(&classic), None);
        let bounded = inequivalent("x-max-length", "the value '5' of type 'long'");
        assert_eq!(declaration.as_it_is(&bounded), None);
        assert_eq!(
            declaration.as_it_is("ACCESS_REFUSED - configure access"),
            None
        );
    }

    #[test]
    fn a_queue_that_is_not_declared_here_is_found_out() {
        let declaration = QueueDeclaration::dead_letter(version("4.3.6"), "orders");
        let classic = inequivalent(X_QUEUE_TYPE, "'classic'");
        let found = declaration.found(&classic).expect("it is a classic queue");
        assert_eq!(words(&found), ["x-queue-type = classic"]);
        let transient = inequivalent("durable", "'false'");
        assert!(
            !found
                .found(&transient)
                .expect("a transient one")
                .options
                .durable
        );
        let bounded = inequivalent("x-max-length", "the value '5' of type 'long'");
        let found = declaration.found(&bounded).expect("a bounded one");
        assert!(found.has("x-max-length"));
        assert_eq!(found.found(&bounded), None, "nothing new");
    }
}
