//! `[consumers.NAME.dedup]` and `publish_dedup`: by what a message is known again.

use hive_core::message_key::{Key, KeyFault};

use crate::keys::DedupMeant;
use crate::meaning::Context;
use crate::plan::DedupPlan;
use crate::redact;
use crate::written::{Node, Value};
use hive_core::codes::Code;

const FORMS: &str = "write \"message-id\", \"header:NAME\", \"json:/pointer\", \"body\", or several \
     json pointers as [\"json:/a\", \"json:/b\"]";

/// The plan of one of the two tables, if it is there.
pub(super) fn plan(context: &mut Context<'_>, table: Option<&Node>) -> Option<DedupPlan> {
    let at = DedupPlan::key.at(table)?;
    let period = match DedupPlan::period.at(table) {
        None => DedupPlan::period.default(),
        // Anything that is no duration is the word.
        Some(period) => period.as_duration(),
    };
    let key = key(context, at)?;
    DedupPlan::of_table(table, DedupMeant { key, period })
}

fn key(context: &mut Context<'_>, at: &Node) -> Option<Key> {
    let Value::List(parts) = &at.value else {
        return one(context, at);
    };
    if parts.is_empty() {
        context
            .faults
            .error(Code::EmptyValue, at, "must not be empty", FORMS);
    }
    let mut pointers = Vec::new();
    for part in parts {
        match one(context, part) {
            Some(Key::Pointers(pointer)) => pointers.extend(pointer),
            Some(other) => {
                let message = format!("cannot be one of several: {other}");
                let remedy = "name json pointers alone in an array, or one key as a string";
                context.faults.error(Code::Conflict, part, message, remedy);
            }
            None => {}
        }
    }
    (!pointers.is_empty()).then_some(Key::Pointers(pointers))
}

fn one(context: &mut Context<'_>, at: &Node) -> Option<Key> {
    let text = at.as_text()?;
    let (message, remedy) = match Key::named(text) {
        Ok(Key::RoutingKey) => (
            "is shared by messages that do not repeat one another: \"routing-key\"".to_owned(),
            FORMS,
        ),
        Ok(key) => return Some(key),
        Err(KeyFault::Unknown) => (format!("names no key: {}", redact::quote(text)), FORMS),
        Err(KeyFault::NoHeader) => (
            "names no header".to_owned(),
            "write its name behind the colon, as in \"header:order-id\"",
        ),
        Err(KeyFault::NoPointer) => (
            format!("is not a JSON pointer: {}", redact::quote(text)),
            "begin it with a slash, as in \"json:/order/id\"; `~0` is a `~` and `~1` a `/` in a name",
        ),
    };
    context.faults.error(Code::BadForm, at, message, remedy);
    None
}
