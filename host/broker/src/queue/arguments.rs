//! The arguments of a queue: which there are, what each may be, and RabbitMQ's words where one is wrong.

use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::refusal::Refusal;
use crate::wire::{boolean, described, integer, kind_of, text};

/// RabbitMQ's limit for quorum queues that name none.
const DEFAULT_DELIVERY_LIMIT: u64 = 20;

const LONGEST_TTL: i64 = 3_153_600_000_000;

/// The type of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum QueueKind {
    #[default]
    Classic,
    Quorum,
    Stream,
}

impl QueueKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// The arguments that a queue of this kind knows; the others are refused.
    const fn known(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &[
                "x-expires",
                "x-message-ttl",
                "x-dead-letter-exchange",
                "x-dead-letter-routing-key",
                "x-max-length",
                "x-max-length-bytes",
                "x-max-priority",
                "x-overflow",
                "x-queue-mode",
                "x-queue-version",
                "x-single-active-consumer",
                "x-queue-type",
                "x-queue-master-locator",
                "x-queue-leader-locator",
            ],
            Self::Quorum => &[
                "x-dead-letter-exchange",
                "x-dead-letter-routing-key",
                "x-dead-letter-strategy",
                "x-expires",
                "x-max-length",
                "x-max-length-bytes",
                "x-max-in-memory-length",
                "x-max-in-memory-bytes",
                "x-overflow",
                "x-single-active-consumer",
                "x-queue-type",
                "x-quorum-initial-group-size",
                "x-member-placement-tag",
                "x-delivery-limit",
                "x-message-ttl",
                "x-queue-leader-locator",
                "x-consumer-disconnected-timeout",
                "x-consumer-timeout",
                "x-delayed-retry-type",
                "x-delayed-retry-min",
                "x-delayed-retry-max",
            ],
            Self::Stream => &[
                "x-max-length-bytes",
                "x-queue-type",
                "x-max-age",
                "x-stream-max-segment-size-bytes",
                "x-stream-filter-size-bytes",
                "x-initial-cluster-size",
                "x-queue-leader-locator",
            ],
        }
    }
}

/// How a full queue behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
    RejectPublishDlx,
}

/// The arguments of a queue, and what a policy adds to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arguments {
    pub(crate) kind: QueueKind,
    pub(crate) message_ttl: Option<u64>,
    pub(crate) expires: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter_exchange: Option<Arc<str>>,
    pub(crate) dead_letter_key: Option<Arc<str>>,
    /// A message that cannot be dead-lettered stays and is tried again.
    pub(crate) at_least_once: bool,
    /// `None`: no limit.
    pub(crate) delivery_limit: Option<u64>,
    pub(crate) single_active: bool,
    pub(crate) max_priority: Option<u8>,
    pub(crate) max_age: Option<Duration>,
}

/// The answer to a feature that RabbitMQ 4.3 denies unless its operator permits it.
fn denied(feature: &str) -> Refusal {
    Refusal::new(
        541,
        format!(
            "Feature `{feature}` is deprecated.\nBy default, this feature is not permitted anymore.\nThe feature \
             will be removed from a future major RabbitMQ version, regardless of the configuration; actual \
             version to be determined.\nTo continue using this feature when it is not permitted by default, set the \
             following parameter in your configuration:\n    \"deprecated_features.permit.{feature} = true\""
        ),
    )
}

/// The names of all arguments that some kind of queue knows.
fn known_to_any() -> impl Iterator<Item = &'static str> {
    [QueueKind::Classic, QueueKind::Quorum, QueueKind::Stream]
        .into_iter()
        .flat_map(|kind| kind.known().iter().copied())
}

impl Arguments {
    /// Reads a queue's arguments. `queue` is what error texts call it: `queue 'q' in vhost '/'`.
    pub(crate) fn read(queue: &str, table: &FieldTable) -> Result<Self, Refusal> {
        assert_dead_letter_exchange(queue, table)?;
        let reader = Reader { queue, table };
        let kind = reader.kind()?;
        let mut arguments = Self {
            kind,
            ..Self::default()
        };
        arguments.expires = reader.checked(kind, "x-expires", |value| {
            let millis = expiry(value)?;
            if millis == 0 {
                return Err("{value_zero,0}".to_owned());
            }
            Ok(millis)
        })?;
        arguments.message_ttl = reader.checked(kind, "x-message-ttl", expiry)?;
        arguments.dead_letter_exchange = reader.checked(kind, "x-dead-letter-exchange", name)?;
        arguments.dead_letter_key = reader.checked(kind, "x-dead-letter-routing-key", |value| {
            let key = name(value)?;
            if table.contains_key("x-dead-letter-exchange") {
                Ok(key)
            } else {
                Err("routing_key_but_no_dlx_defined".to_owned())
            }
        })?;
        let strategy = reader.checked(kind, "x-dead-letter-strategy", |value| {
            word(
                value,
                &["at-most-once", "at-least-once"],
                "invalid_dlx_strategy",
            )
        })?;
        arguments.max_length = reader.checked(kind, "x-max-length", not_negative)?;
        arguments.max_bytes = reader.checked(kind, "x-max-length-bytes", not_negative)?;
        arguments.max_priority = reader.checked(kind, "x-max-priority", |value| {
            let most = not_negative(value)?;
            u8::try_from(most).map_err(|_| format!("{{max_value_exceeded,{most}}}"))
        })?;
        let overflow = reader.checked(kind, "x-overflow", |value| {
            let words = ["drop-head", "reject-publish", "reject-publish-dlx"];
            word(value, &words, "invalid_overflow")
        })?;
        arguments.overflow = overflow_of(overflow.as_deref());
        arguments.at_least_once = is_at_least_once(strategy.as_deref(), arguments.overflow);
        let single = reader.checked(kind, "x-single-active-consumer", |value| {
            boolean(value).ok_or_else(|| unacceptable(value))
        })?;
        arguments.single_active = single.unwrap_or(false);
        arguments.max_age = reader.checked(kind, "x-max-age", |value| {
            let text = text(value).ok_or_else(|| unacceptable(value))?;
            age(&text).ok_or_else(|| "invalid_max_age".to_owned())
        })?;
        let limit = reader.checked(kind, "x-delivery-limit", whole)?;
        if kind == QueueKind::Quorum {
            arguments.delivery_limit = delivery_limit(limit);
        }
        for key in known_to_any() {
            if !kind.known().contains(&key) && table.contains_key(key) {
                return Err(Refusal::precondition_failed(format!(
                    "invalid arg '{key}' for {queue} of queue type rabbit_{}_queue",
                    kind.word()
                )));
            }
        }
        if table.contains_key("x-queue-master-locator") {
            return Err(denied("queue_master_locator"));
        }
        Ok(arguments)
    }

    /// The same with the definition of a policy: the smaller of two limits holds, and for the rest the
    /// queue's own argument.
    #[must_use]
    pub(crate) fn with_policy(
        mut self,
        policy: &serde_json::Map<String, serde_json::Value>,
    ) -> Self {
        let number = |key| policy.get(key).and_then(serde_json::Value::as_u64);
        let text = |key| policy.get(key).and_then(serde_json::Value::as_str);
        self.message_ttl = least(self.message_ttl, number("message-ttl"));
        self.expires = least(self.expires, number("expires"));
        self.max_length = least(self.max_length, number("max-length"));
        self.max_bytes = least(self.max_bytes, number("max-length-bytes"));
        if self.dead_letter_exchange.is_none() {
            self.dead_letter_exchange = text("dead-letter-exchange").map(Arc::from);
        }
        if self.dead_letter_key.is_none() {
            self.dead_letter_key = text("dead-letter-routing-key").map(Arc::from);
        }
        if self.overflow == Overflow::DropHead {
            self.overflow = overflow_of(text("overflow"));
        }
        self.at_least_once |= is_at_least_once(text("dead-letter-strategy"), self.overflow);
        if let (QueueKind::Quorum, Some(limit)) = (
            self.kind,
            policy
                .get("delivery-limit")
                .and_then(serde_json::Value::as_i64),
        ) {
            self.delivery_limit = delivery_limit(Some(limit));
        }
        if self.max_age.is_none() {
            self.max_age = text("max-age").and_then(age);
        }
        self
    }
}

/// RabbitMQ looks at this one first, for the permissions on the exchange, and has words of its own.
fn assert_dead_letter_exchange(queue: &str, table: &FieldTable) -> Result<(), Refusal> {
    let key = "x-dead-letter-exchange";
    match table.inner().get(key) {
        Some(value) if text(value).is_none() => Err(Refusal::precondition_failed(format!(
            "invalid type '{}' for arg '{key}' in {queue}",
            kind_of(value)
        ))),
        _ => Ok(()),
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn overflow_of(word: Option<&str>) -> Overflow {
    match word {
        Some("reject-publish") => Overflow::RejectPublish,
        Some("reject-publish-dlx") => Overflow::RejectPublishDlx,
        _ => Overflow::DropHead,
    }
}

/// RabbitMQ falls back to at-most-once where a full queue drops messages.
fn is_at_least_once(strategy: Option<&str>, overflow: Overflow) -> bool {
    strategy == Some("at-least-once") && overflow == Overflow::RejectPublish
}

fn delivery_limit(limit: Option<i64>) -> Option<u64> {
    match limit {
        None => Some(DEFAULT_DELIVERY_LIMIT),
        Some(limit) => u64::try_from(limit).ok(),
    }
}

struct Reader<'a> {
    queue: &'a str,
    table: &'a FieldTable,
}

impl Reader<'_> {
    fn kind(&self) -> Result<QueueKind, Refusal> {
        let kind = self.value("x-queue-type", |value| {
            let word = text(value).ok_or_else(|| unacceptable(value))?;
            match word.as_str() {
                "classic" => Ok(QueueKind::Classic),
                "quorum" => Ok(QueueKind::Quorum),
                "stream" => Ok(QueueKind::Stream),
                other => Err(format!("\"unsupported queue type '{other}'\"")),
            }
        })?;
        Ok(kind.unwrap_or_default())
    }

    /// The value of an argument, where the kind knows it.
    fn checked<T>(
        &self,
        kind: QueueKind,
        key: &str,
        read: impl FnOnce(&AMQPValue) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        if kind.known().contains(&key) {
            self.value(key, read)
        } else {
            Ok(None)
        }
    }

    fn value<T>(
        &self,
        key: &str,
        read: impl FnOnce(&AMQPValue) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.table.inner().get(key) else {
            return Ok(None);
        };
        read(value).map(Some).map_err(|fault| {
            Refusal::precondition_failed(format!("invalid arg '{key}' for {}: {fault}", self.queue))
        })
    }
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", kind_of(value))
}

fn whole(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", kind_of(value)))
}

fn not_negative(value: &AMQPValue) -> Result<u64, String> {
    let number = whole(value)?;
    u64::try_from(number).map_err(|_| format!("{{value_negative,{number}}}"))
}

fn expiry(value: &AMQPValue) -> Result<u64, String> {
    let number = whole(value)?;
    if number > LONGEST_TTL {
        return Err(format!("{{value_too_big,{number}}}"));
    }
    u64::try_from(number).map_err(|_| format!("{{value_negative,{number}}}"))
}

fn name(value: &AMQPValue) -> Result<Arc<str>, String> {
    text(value)
        .map(Arc::from)
        .ok_or_else(|| unacceptable(value))
}

fn word(value: &AMQPValue, known: &[&str], fault: &str) -> Result<String, String> {
    let word = text(value).ok_or_else(|| unacceptable(value))?;
    if known.contains(&word.as_str()) {
        Ok(word)
    } else {
        Err(fault.to_owned())
    }
}

/// Reads an age such as `7D`.
pub(super) fn age(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|sign: char| sign.is_ascii_alphabetic());
    let count: u64 = digits.parse().ok()?;
    let seconds = match &text[digits.len()..] {
        "Y" => 365 * 86_400,
        "M" => 30 * 86_400,
        "D" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let whole = count.checked_mul(seconds)?;
    (whole > 0).then(|| Duration::from_secs(whole))
}

/// Refuses a declaration whose arguments are not those of the queue that is there.
pub(crate) fn assert_equivalent(
    queue: &str,
    kind: QueueKind,
    current: &FieldTable,
    received: &FieldTable,
) -> Result<(), Refusal> {
    for key in kind.known() {
        let (current, received) = (current.inner().get(*key), received.inner().get(*key));
        if is_equivalent(current, received) {
            continue;
        }
        // Two values are named bare, one against none with its type: so RabbitMQ does.
        let (received, current) = match (received, current) {
            (Some(received), Some(current)) => (
                format!("'{}'", described(received)),
                format!("'{}'", described(current)),
            ),
            (received, current) => (with_type(received), with_type(current)),
        };
        return Err(Refusal::precondition_failed(format!(
            "inequivalent arg '{key}' for {queue}: received {received} but current is {current}"
        )));
    }
    Ok(())
}

fn is_equivalent(current: Option<&AMQPValue>, received: Option<&AMQPValue>) -> bool {
    match (current, received) {
        (Some(current), Some(received)) => match (integer(current), integer(received)) {
            (Some(current), Some(received)) => current == received,
            _ => current == received,
        },
        (current, received) => current.is_none() && received.is_none(),
    }
}

fn with_type(value: Option<&AMQPValue>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| {
            format!(
                "the value '{}' of type '{}'",
                described(value),
                kind_of(value)
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    fn word(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn fault(entries: &[(&str, AMQPValue)]) -> String {
        Arguments::read("queue 'q' in vhost '/'", &table(entries))
            .unwrap_err()
            .explanation
    }

    #[test]
    fn what_is_wrong_is_said_in_rabbitmqs_words() {
        for (entries, expected) in [
            (
                vec![("x-message-ttl", AMQPValue::LongInt(-1))],
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}",
            ),
            (
                vec![("x-message-ttl", word("1"))],
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': \"expected integer, got longstr\"",
            ),
            (
                vec![("x-expires", AMQPValue::LongInt(0))],
                "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}",
            ),
            (
                vec![("x-queue-type", word("fast"))],
                "invalid arg 'x-queue-type' for queue 'q' in vhost '/': \"unsupported queue type 'fast'\"",
            ),
            (
                vec![("x-dead-letter-routing-key", word("k"))],
                "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': routing_key_but_no_dlx_defined",
            ),
            (
                vec![("x-delivery-limit", AMQPValue::LongInt(3))],
                "invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type rabbit_classic_queue",
            ),
        ] {
            assert_eq!(fault(&entries), expected);
        }
    }

    #[test]
    fn a_quorum_queue_has_a_limit_unless_it_is_taken_away() {
        let limit = |value: Option<i64>| {
            let mut entries = vec![("x-queue-type", word("quorum"))];
            entries.extend(value.map(|value| ("x-delivery-limit", AMQPValue::LongLongInt(value))));
            Arguments::read("q", &table(&entries))
                .unwrap()
                .delivery_limit
        };
        assert_eq!(limit(None), Some(20));
        assert_eq!(limit(Some(3)), Some(3));
        assert_eq!(limit(Some(-1)), None);
        assert_eq!(
            Arguments::read("q", &table(&[])).unwrap().delivery_limit,
            None
        );
    }

    #[test]
    fn a_policy_lowers_limits_and_fills_what_is_not_set() {
        let own = Arguments::read("q", &table(&[("x-max-length", AMQPValue::LongInt(5))])).unwrap();
        let policy = serde_json::json!({
            "max-length": 9, "message-ttl": 700, "dead-letter-exchange": "dlx", "overflow": "reject-publish",
        });
        let merged = own.with_policy(policy.as_object().unwrap());
        assert_eq!(
            (merged.max_length, merged.message_ttl),
            (Some(5), Some(700))
        );
        assert_eq!(merged.dead_letter_exchange.as_deref(), Some("dlx"));
        assert_eq!(merged.overflow, Overflow::RejectPublish);
    }

    #[test]
    fn other_arguments_are_named_as_rabbitmq_names_them() {
        let text = |current: &[(&str, AMQPValue)], received: &[(&str, AMQPValue)]| {
            assert_equivalent(
                "queue 'q' in vhost '/'",
                QueueKind::Classic,
                &table(current),
                &table(received),
            )
            .unwrap_err()
            .explanation
        };
        let five = [("x-message-ttl", AMQPValue::LongInt(5))];
        assert_eq!(
            text(&five, &[("x-message-ttl", AMQPValue::LongInt(6))]),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '6' but current is '5'"
        );
        assert_eq!(
            text(&[], &five),
            "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': \
             received the value '5' of type 'signedint' but current is none"
        );
        let same = [("x-message-ttl", AMQPValue::LongLongInt(5))];
        assert!(assert_equivalent("q", QueueKind::Classic, &table(&five), &table(&same)).is_ok());
    }

    #[test]
    fn ages_have_units() {
        assert_eq!(age("7D"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(age("90s"), Some(Duration::from_secs(90)));
        for wrong in ["", "7", "D", "0s", "7 D", "7d"] {
            assert_eq!(age(wrong), None, "{wrong}");
        }
    }
}
