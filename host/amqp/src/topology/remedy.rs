//! What an operator can do about a declaration that the broker refuses. Pure.

use lapin::protocol::AMQPError;

use super::declaration::{Origin, QueueDeclaration};
use super::inequivalent::Inequivalent;
use crate::message::delay::{SHARED, is_shared};

/// For an entity that is not ours to declare. Nothing is wrong with the entity itself.
const PERMISSION: &str = "give the user of the connection the right to configure it, and to write to and read \
                          from what its arguments name (rabbitmqctl set_permissions)";

/// For an entity of shared delay queues that somebody else declared in another way.
const NOT_SHARED: &str = "it belongs to the delay queues that consumers share: delete it, and Hive declares it, or set \
                          `queues = \"own\"` in `retry`";

/// The remedy for a queue that the broker refuses to declare.
pub(super) fn queue_remedy(tried: &QueueDeclaration, answer: Option<&AMQPError>) -> String {
    let name = &tried.name;
    if answer.is_some_and(|answer| answer.get_id() == 403) {
        return PERMISSION.to_owned();
    }
    if is_shared(name) {
        return NOT_SHARED.to_owned();
    }
    let would_be = answer.and_then(|answer| tried.as_it_is(answer.get_message().as_str()));
    if would_be.is_some_and(|queue| queue.delivery_limit().is_some_and(|limit| limit < 0)) {
        return "it was declared with x-delivery-limit = -1, with which RabbitMQ before 4.0 drops a message \
                the first time that it comes back: move its messages to another queue and delete it, and \
                Hive declares it without; or upgrade the broker"
            .to_owned();
    }
    let lacks =
        |answer: &AMQPError| tried.lacks_single_active_consumer(answer.get_message().as_str());
    if answer.is_some_and(lacks) {
        return single_remedy(name);
    }
    match tried.origin {
        Origin::Plan => planned_remedy("queue", name, answer),
        Origin::DeadLetter => format!(
            "declare it under [queues.{name:?}] as it is, or name another queue as `retry.dead_letter`"
        ),
        Origin::Delay => {
            "messages wait in it for their retry: change `retry.delays`, so that another queue \
                          is used, or declare it in hive.toml as it is"
                .to_owned()
        }
    }
}

/// The remedy for a queue without a single active consumer, of which one host at a time is to consume.
fn single_remedy(name: &str) -> String {
    format!(
        "arguments of a queue never change: move the messages of {name:?} to another queue and delete it, and Hive \
         declares it with x-single-active-consumer if it has a table [queues.{name:?}]; or remove `placement = \
         \"single\"`, so that every host consumes"
    )
}

/// The remedy for an exchange that the broker refuses to declare.
pub(super) fn exchange_remedy(name: &str, answer: Option<&AMQPError>) -> String {
    match answer.is_some_and(|answer| answer.get_id() == 403) {
        true => PERMISSION.to_owned(),
        false if is_shared(name) || name == SHARED => NOT_SHARED.to_owned(),
        false => planned_remedy("exchange", name, answer),
    }
}

/// For an entity that has a table in hive.toml: a `queue` or an `exchange`.
fn planned_remedy(what: &str, name: &str, answer: Option<&AMQPError>) -> String {
    let table = format!("[{what}s.{name:?}]");
    let loses = match what {
        "queue" => "messages",
        _ => "bindings",
    };
    match answer.map(|answer| (answer.get_id(), answer.get_message().as_str())) {
        Some((406, text)) if Inequivalent::read(text).is_some() => format!(
            "change {table} to match the existing {what}, remove the table, or set `passive = true` in it; \
             deleting the {what} would lose its {loses}"
        ),
        Some((404, _)) => format!(
            "create it at the broker, or remove `passive = true` from {table}, so that Hive declares it"
        ),
        Some((405, _)) => {
            "it belongs to another connection: stop that program, or use another queue".to_owned()
        }
        _ => format!("change {table}"),
    }
}

/// The remedy for a queue that a consumer needs and hive.toml does not declare.
pub(super) fn missing_remedy(queue: &str) -> String {
    format!("declare it under [queues.{queue:?}], or create it at the broker")
}

/// The remedy for a binding to `exchange` of an entity in one of the `tables`.
pub(super) fn bindings_remedy(tables: &str, name: &str, exchange: &str) -> String {
    if exchange == SHARED {
        return format!(
            "give the user of the connection the right to write to {name:?} and to read from {SHARED:?} \
             (rabbitmqctl set_permissions), or set `queues = \"own\"` in `retry`"
        );
    }
    format!("check the bindings of [{tables}.{name:?}]")
}

/// The remedy for a queue that cannot be consumed from.
pub(super) fn consume_remedy(queue: &str) -> String {
    format!("look at queue {queue:?} in the broker's log (rabbitmq-queues, rabbitmq-diagnostics)")
}

/// The remedy for an entity over which the broker ends the connection.
pub(super) fn fatal_remedy(remedy: &str) -> String {
    let remedy = match remedy.is_empty() {
        true => "see the broker's log",
        false => remedy,
    };
    format!("the broker ends the connection over it, so it is left out: {remedy}")
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

    use super::*;

    fn told(kind: AMQPSoftError, text: &str) -> String {
        let answer = AMQPError::new(AMQPErrorKind::Soft(kind), text.into());
        exchange_remedy("orders", Some(&answer))
    }

    #[test]
    fn each_answer_has_its_remedy() {
        let differs = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'orders' in vhost '/': \
                       received 'topic' but current is 'direct'";
        let remedy = told(AMQPSoftError::PRECONDITIONFAILED, differs);
        for part in [
            "match the existing exchange",
            "remove the table",
            "passive = true",
            "lose",
        ] {
            assert!(remedy.contains(part), "{part}: {remedy}");
        }
        let invalid =
            "PRECONDITION_FAILED - invalid arg 'alternate-exchange' for exchange 'orders'";
        let remedy = told(AMQPSoftError::PRECONDITIONFAILED, invalid);
        assert_eq!(remedy, r#"change [exchanges."orders"]"#);
        let remedy = told(AMQPSoftError::NOTFOUND, "NOT_FOUND - no exchange 'orders'");
        assert!(remedy.starts_with("create it at the broker"), "{remedy}");
        let remedy = told(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED");
        assert!(remedy.contains("set_permissions"), "{remedy}");
    }
}
