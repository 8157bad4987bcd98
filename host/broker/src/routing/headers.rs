//! Matches a message's headers with the arguments of a binding to a headers exchange.

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::refusal::Refusal;
use crate::wire::{described, integer, kind_of, text};

/// Whether the headers are what the binding asks for.
pub(super) fn matches(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let mode = arguments.inner().get("x-match").and_then(text);
    let (any, with_x) = match mode.as_deref() {
        Some("any") => (true, false),
        Some("any-with-x") => (true, true),
        Some("all-with-x") => (false, true),
        _ => (false, false),
    };
    let is_asked = |name: &str| {
        if with_x {
            name != "x-match"
        } else {
            !name.starts_with("x-")
        }
    };
    let mut asked = arguments
        .inner()
        .iter()
        .filter(|(name, _)| is_asked(name.as_str()));
    let has = |(name, wanted): (&_, &AMQPValue)| {
        let given = headers.inner().get(name);
        given.is_some_and(|given| *wanted == AMQPValue::Void || is_same(wanted, given))
    };
    if any { asked.any(has) } else { asked.all(has) }
}

/// RabbitMQ compares values without their types, so a long 1 is a short 1.
fn is_same(wanted: &AMQPValue, given: &AMQPValue) -> bool {
    match (integer(wanted), integer(given)) {
        (Some(wanted), Some(given)) => wanted == given,
        _ => match (text(wanted), text(given)) {
            (Some(wanted), Some(given)) => wanted == given,
            _ => wanted == given,
        },
    }
}

/// Checks `x-match` of a binding.
pub(super) fn check(arguments: &FieldTable) -> Result<(), Refusal> {
    let Some(value) = arguments.inner().get("x-match") else {
        return Ok(());
    };
    match text(value).as_deref() {
        Some("all" | "any" | "all-with-x" | "any-with-x") => Ok(()),
        Some(other) => Err(Refusal::precondition_failed(format!(
            "Invalid x-match field value <<\"{other}\">>; expected all, any, all-with-x, or any-with-x"
        ))),
        None => Err(Refusal::precondition_failed(format!(
            "Invalid x-match field type {} (value {}); expected longstr",
            kind_of(value),
            described(value)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn word(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn all_any_and_their_forms_with_x() {
        let headers = table(&[
            ("a", 1_i32.into()),
            ("b", word("two")),
            ("x-c", true.into()),
        ]);
        for (mode, asked, expected) in [
            ("all", vec![("a", 1_i64.into()), ("b", word("two"))], true),
            (
                "all",
                vec![("a", 1_i64.into()), ("b", word("three"))],
                false,
            ),
            ("all", vec![("x-c", false.into())], true),
            ("all-with-x", vec![("x-c", false.into())], false),
            ("any", vec![("a", 9_i32.into()), ("b", word("two"))], true),
            ("any", vec![("a", 9_i32.into())], false),
            ("any", vec![], false),
            ("any", vec![("x-c", true.into())], false),
            ("any-with-x", vec![("x-c", true.into())], true),
            ("all", vec![("a", AMQPValue::Void)], true),
            ("all", vec![("d", AMQPValue::Void)], false),
            ("all", vec![], true),
        ] {
            let mut arguments = table(&asked);
            arguments.insert("x-match".into(), word(mode));
            assert_eq!(matches(&arguments, &headers), expected, "{mode} {asked:?}");
        }
    }

    #[test]
    fn another_x_match_is_refused() {
        assert!(check(&table(&[("x-match", word("some"))])).is_err());
        assert!(check(&table(&[("x-match", true.into())])).is_err());
        assert!(check(&table(&[("x-match", word("any-with-x"))])).is_ok());
    }
}
