//! Entities in words, as mismatches name them. Pure.

use hive_config::plan::{BindingPlan, ExchangePlan};
use lapin::protocol::AMQPError;

use super::declaration::arguments_in_words;
use super::remedy::{consume_remedy, fatal_remedy};
use crate::session::fault::Mismatch;

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

/// The binding of a queue or an exchange in words.
pub(super) fn describe_binding(what: &str, name: &str, binding: &BindingPlan) -> String {
    format!(
        "the binding of {what} {name:?} to exchange {:?} with routing key {:?}",
        binding.exchange, binding.routing_key
    )
}

/// Whether an entity in words is this queue, or a binding of it.
pub(super) fn is_about_queue(entity: &str, queue: &str) -> bool {
    entity.contains(&format!("queue {queue:?}"))
}

/// The consuming from a queue, as the entity that a broken queue is met as.
pub(crate) fn consuming_from(queue: &str) -> String {
    format!("consuming from queue {queue:?}")
}

/// The fault of a queue over whose subscription the broker ended the connection.
pub(crate) fn cannot_be_consumed(queue: &str, answer: &AMQPError) -> Mismatch {
    let remedy = fatal_remedy(&consume_remedy(queue));
    Mismatch::new(consuming_from(queue), answer, remedy)
}
