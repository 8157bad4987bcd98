//! Which deliveries someone watches: the conditions of `hive-host tail`.

use std::borrow::Cow;
use std::time::Duration;

use hive_config::units;

use super::report::Settled;
use crate::conditions::{Comparison, Field, of_message};

/// Every field, with what it means.
pub const FIELDS: &[Field] = &[
    ("class", "the class of the failure"),
    (
        "outcome",
        "acked, retried, dead_lettered, requeued, duplicate, skipped, stopped, lost",
    ),
    ("action", "ack, publish, retry, reject, failed"),
    ("error", "the error text; = means ~ here"),
    ("log", "a line that the component printed; = means ~ here"),
    ("slower", "the call took longer than this, as in 100ms"),
    ("attempt", "of the delivery"),
    ("consumer", "of the delivery"),
    ("component", "of the delivery"),
    ("generation", "of the delivery"),
    ("queue", "of the delivery"),
    ("exchange", "of the delivery"),
    ("routing-key", "of the delivery"),
    ("message-id", "the property"),
    ("correlation-id", "the property"),
    ("type", "the property"),
    ("app-id", "the property"),
    ("content-type", "the property"),
    ("header:NAME", "a header of the message"),
    ("body", "the body, if it is text; = means ~ here"),
];

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text(Comparison),
    Slower(Duration),
}

/// Which deliveries are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this consumer; of all without.
    pub consumer: Option<String>,
    /// Those that failed alone.
    pub failed: bool,
    /// All of these hold.
    pub conditions: Vec<Condition>,
}

impl Condition {
    /// Parses a condition such as `class=error`, `error~refused` or `slower=100ms`.
    ///
    /// # Errors
    ///
    /// In words: no operator, an unknown field, a value of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        let comparison = Comparison::parse(text, FIELDS)?;
        if comparison.field() != "slower" {
            return Ok(Self(Kind::Text(comparison)));
        }
        let value = comparison.bound()?;
        let limit = units::duration(value)
            .ok_or_else(|| format!("`{value}` is not a length of time; write 100ms or 2s"))?;
        Ok(Self(Kind::Slower(limit)))
    }

    fn holds(&self, settled: &Settled<'_>) -> bool {
        match &self.0 {
            Kind::Slower(limit) => settled.called().is_some_and(|called| called.took > *limit),
            Kind::Text(comparison) if comparison.field() == "log" => log_holds(comparison, settled),
            Kind::Text(comparison) => {
                comparison.holds(of_delivery(comparison.field(), settled).as_deref())
            }
        }
    }
}

impl Filter {
    /// Whether it asks what is in a message: its body or a header.
    pub fn asks_content(&self) -> bool {
        let mut kinds = self.conditions.iter().map(|Condition(kind)| kind);
        kinds.any(|kind| matches!(kind, Kind::Text(comparison) if comparison.asks_content()))
    }

    pub(super) fn passes(&self, settled: &Settled<'_>) -> bool {
        let consumer = self.consumer.as_deref();
        consumer.is_none_or(|consumer| consumer == settled.consumer)
            && (!self.failed || settled.exit.failure().is_some())
            && self.conditions.iter().all(|one| one.holds(settled))
    }
}

/// Of several lines, one is enough.
fn log_holds(comparison: &Comparison, settled: &Settled<'_>) -> bool {
    let Some(heard) = settled.notes.trail().and_then(|trail| trail.heard.as_ref()) else {
        return comparison.holds(None);
    };
    let lines = heard.lines().lines;
    let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    comparison.holds(Some(&text.join("\n")))
}

fn of_delivery<'a>(field: &str, settled: &'a Settled<'_>) -> Option<Cow<'a, str>> {
    let envelope = settled.envelope;
    let text = match field {
        "class" => settled.exit.failure()?.0.class,
        "error" => settled.exit.failure()?.0.error,
        "outcome" => settled.outcome(),
        "action" => settled.action()?,
        "attempt" => return Some(envelope.attempt.to_string().into()),
        "consumer" => settled.consumer,
        "component" => settled.component?,
        "generation" => {
            return Some(
                settled
                    .called()?
                    .version
                    .as_ref()?
                    .generation
                    .to_string()
                    .into(),
            );
        }
        "queue" => &envelope.queue,
        "exchange" => &envelope.exchange,
        "routing-key" => &envelope.routing_key,
        _ => return of_message(field, &envelope.message),
    };
    Some(Cow::Borrowed(text))
}
