//! Reads the broker's answer to a declaration of a queue that exists with another argument.
//!
//! The words are the same in RabbitMQ 3.10.8, 4.0.5 and 4.3.6; the tests have them as they came.

use hive_config::plan::Argument;

/// The argument that the broker names, and what the queue has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inequivalent<'a> {
    pub(super) argument: &'a str,
    pub(super) current: Current,
}

/// The queue's value of an argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Current {
    /// The queue was declared without it.
    Absent,
    /// The queue was declared with this value.
    Value(Argument),
    /// The broker cuts its words at 255 bytes, so a long name leaves no room for the value; or the
    /// value is of a kind that cannot be declared from its text.
    Unknown,
}

impl<'a> Inequivalent<'a> {
    /// From the broker's words, as in "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for
    /// queue 'orders' in vhost '/': received the value '-1' of type 'long' but current is none".
    pub(super) fn read(answer: &'a str) -> Option<Self> {
        let (_, rest) = answer.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once('\'')?;
        // The last of them, since a queue's name may have these words in it.
        let current = match rest.rsplit_once(" but current is ") {
            Some((_, current)) => Current::read(current),
            None => Current::Unknown,
        };
        Some(Self { argument, current })
    }
}

impl Current {
    fn read(text: &str) -> Self {
        if text == "none" {
            return Self::Absent;
        }
        let value = text
            .strip_prefix("the value '")
            .and_then(|rest| rest.strip_suffix('\''))
            .and_then(|rest| rest.rsplit_once("' of type '"));
        match value {
            Some((value, kind)) => argument(value, kind).map_or(Self::Unknown, Self::Value),
            None => {
                let value = text
                    .strip_prefix('\'')
                    .and_then(|rest| rest.strip_suffix('\''));
                value.map_or(Self::Unknown, |value| Self::Value(untyped(value)))
            }
        }
    }
}

/// The value as the broker prints it, with the broker's name of its type.
fn argument(value: &str, kind: &str) -> Option<Argument> {
    match kind {
        "long" | "signedint" | "short" | "byte" | "unsignedbyte" | "unsignedshort"
        | "unsignedint" | "timestamp" => value.parse().ok().map(Argument::Integer),
        "longstr" => Some(Argument::Text(value.to_owned())),
        "bool" => value.parse().ok().map(Argument::Boolean),
        _ => None,
    }
}

/// If both sides have a value, the broker prints neither type.
fn untyped(value: &str) -> Argument {
    if let Ok(number) = value.parse() {
        return Argument::Integer(number);
    }
    match value.parse() {
        Ok(boolean) => Argument::Boolean(boolean),
        Err(_) => Argument::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(&str, Current)> {
        Inequivalent::read(text).map(|read| (read.argument, read.current))
    }

    #[test]
    fn a_queue_without_the_argument() {
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'orders' in \
                    vhost '/': received the value '-1' of type 'long' but current is none";
        assert_eq!(read(text), Some(("x-delivery-limit", Current::Absent)));
    }

    #[test]
    fn a_queue_with_another_value() {
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'orders' in \
                    vhost '/': received none but current is the value '5' of type 'long'";
        let five = Current::Value(Argument::Integer(5));
        assert_eq!(read(text), Some(("x-delivery-limit", five)));
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'o' in vhost '/': \
                    received none but current is the value 'drop-head' of type 'longstr'";
        let drop = Current::Value(Argument::Text("drop-head".to_owned()));
        assert_eq!(read(text), Some(("x-overflow", drop)));
    }

    #[test]
    fn both_sides_with_a_value() {
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q2' in vhost \
                    '/': received '-1' but current is '5'";
        let five = Current::Value(Argument::Integer(5));
        assert_eq!(read(text), Some(("x-delivery-limit", five)));
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'c1' in vhost '/': \
                    received 'quorum' but current is 'classic'";
        let classic = Current::Value(Argument::Text("classic".to_owned()));
        assert_eq!(read(text), Some(("x-queue-type", classic)));
        let text = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 't1' in vhost '/': \
                    received 'true' but current is 'false'";
        let no = Current::Value(Argument::Boolean(false));
        assert_eq!(read(text), Some(("durable", no)));
    }

    #[test]
    fn a_name_that_speaks_the_brokers_words() {
        let text = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'a but current is \
                    none' in vhost '/': received none but current is the value '5' of type 'long'";
        let five = Current::Value(Argument::Integer(5));
        assert_eq!(read(text), Some(("x-delivery-limit", five)));
        let cut = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'a but current is \
                   none' in vh...";
        assert_eq!(read(cut), Some(("x-delivery-limit", Current::Unknown)));
    }

    #[test]
    fn words_that_are_cut() {
        for cut in [
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'qqqqqqqqqqqqqqqqqq...",
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': \
             received the value '-1' of type 'long' but curr...",
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': \
             received none but current is the value '12...",
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': \
             received none but current is no...",
        ] {
            assert_eq!(
                read(cut),
                Some(("x-delivery-limit", Current::Unknown)),
                "{cut}"
            );
        }
        assert_eq!(
            read("PRECONDITION_FAILED - inequivalent arg 'x-deliv"),
            None
        );
    }

    #[test]
    fn another_failure() {
        assert_eq!(
            read("PRECONDITION_FAILED - unknown exchange type 'x-mystery'"),
            None
        );
    }
}
