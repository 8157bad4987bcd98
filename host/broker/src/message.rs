//! A message on its way through exchanges and queues.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use bytes::Bytes;

use crate::refusal::Refusal;
use crate::time::Time;
use crate::wire::{Field, Properties, kind_of, text};

/// The longest time to live that RabbitMQ takes: a hundred years.
const LONGEST_TTL: u64 = 3_153_600_000_000;

/// A message with what the broker knows about its way. Queues share it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// The exchange that it was published to last.
    pub(crate) exchange: Arc<str>,
    /// The key that it was published with, then those of its CC and BCC headers.
    pub(crate) routing_keys: Vec<Arc<str>>,
    /// How many of the routing keys, from the end, consumers must not see (`BCC`).
    pub(crate) hidden_keys: usize,
    pub(crate) properties: Properties,
    pub(crate) body: Bytes,
    /// Milliseconds of its own `expiration`.
    pub(crate) ttl: Option<u64>,
    pub(crate) priority: u8,
    /// The latest first.
    pub(crate) deaths: Vec<Death>,
}

/// One queue's record in `x-death`: where a message died, why and how often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Death {
    pub(crate) queue: Arc<str>,
    pub(crate) reason: Reason,
    pub(crate) count: u64,
    pub(crate) first: Time,
    pub(crate) exchange: Arc<str>,
    pub(crate) routing_keys: Vec<Arc<str>>,
    pub(crate) original_ttl: Option<u64>,
}

/// Why a queue gave a message up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Rejected,
    Expired,
    MaxLength,
    DeliveryLimit,
}

impl Reason {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

impl Message {
    /// A message as a client published it.
    pub(crate) fn published(
        exchange: Arc<str>,
        routing_key: &str,
        properties: Properties,
        body: Bytes,
    ) -> Result<Self, Refusal> {
        let ttl = match properties.text(Field::Expiration) {
            None => None,
            Some(text) => Some(expiration(&text)?),
        };
        let mut routing_keys = vec![Arc::from(routing_key)];
        routing_keys.extend(further_keys(&properties, "CC")?);
        let hidden = further_keys(&properties, "BCC")?;
        let hidden_keys = hidden.len();
        routing_keys.extend(hidden);
        let properties = if hidden_keys == 0 {
            properties
        } else {
            properties.without_header("BCC")
        };
        Ok(Self {
            exchange,
            routing_keys,
            hidden_keys,
            ttl,
            priority: properties.priority().unwrap_or(0),
            properties,
            body,
            deaths: Vec::new(),
        })
    }

    /// The key that a consumer sees.
    pub(crate) fn routing_key(&self) -> &str {
        self.routing_keys.first().map_or("", |key| key)
    }

    /// The message as a queue's dead-letter exchange gets it: with this death recorded, and without the
    /// time to live that has done its work.
    pub(crate) fn died(
        &self,
        queue: &Arc<str>,
        reason: Reason,
        now: Time,
        exchange: &Arc<str>,
        routing_key: Option<&Arc<str>>,
    ) -> Self {
        let mut deaths = self.deaths.clone();
        let earlier = deaths
            .iter()
            .position(|death| death.queue == *queue && death.reason == reason);
        let latest = match earlier {
            Some(place) => {
                let mut death = deaths.remove(place);
                death.count += 1;
                death
            }
            None => Death {
                queue: queue.clone(),
                reason,
                count: 1,
                first: now,
                exchange: self.exchange.clone(),
                routing_keys: self.seen_keys().to_vec(),
                original_ttl: self.ttl,
            },
        };
        deaths.insert(0, latest);
        let mut set = vec![(
            "x-death",
            AMQPValue::FieldArray(FieldArray::from(
                deaths.iter().map(Death::table).collect::<Vec<_>>(),
            )),
        )];
        let place: [&str; 3] = [reason.word(), queue, &self.exchange];
        let mut record = |names: [&'static str; 3]| {
            set.extend(names.into_iter().zip(place.map(long)));
        };
        if self.deaths.is_empty() {
            record([
                "x-first-death-reason",
                "x-first-death-queue",
                "x-first-death-exchange",
            ]);
        }
        record([
            "x-last-death-reason",
            "x-last-death-queue",
            "x-last-death-exchange",
        ]);
        let (routing_keys, hidden_keys) = match routing_key {
            Some(key) => (vec![key.clone()], 0),
            None => (self.routing_keys.clone(), self.hidden_keys),
        };
        Self {
            exchange: exchange.clone(),
            routing_keys,
            hidden_keys,
            properties: self
                .properties
                .with_text(Field::Expiration, None)
                .with_headers(&set),
            body: self.body.clone(),
            ttl: None,
            priority: self.priority,
            deaths,
        }
    }

    fn seen_keys(&self) -> &[Arc<str>] {
        &self.routing_keys[..self.routing_keys.len() - self.hidden_keys]
    }

    /// Whether the message would come back to `queue` by itself, without a client that rejected it on the
    /// way: such a circle never ends, so the message is dropped.
    pub(crate) fn circles_to(&self, queue: &str) -> bool {
        let Some(place) = self.deaths.iter().position(|death| &*death.queue == queue) else {
            return false;
        };
        let since = &self.deaths[..=place];
        since.iter().all(|death| death.reason != Reason::Rejected)
    }
}

impl Death {
    /// The entry of `x-death`.
    fn table(&self) -> AMQPValue {
        let mut table = FieldTable::default();
        table.insert("count".into(), AMQPValue::LongLongInt(self.count as i64));
        table.insert("reason".into(), long(self.reason.word()));
        table.insert("queue".into(), long(&self.queue));
        table.insert("time".into(), AMQPValue::Timestamp(self.first.seconds()));
        table.insert("exchange".into(), long(&self.exchange));
        let keys: Vec<AMQPValue> = self.routing_keys.iter().map(|key| long(key)).collect();
        table.insert("routing-keys".into(), AMQPValue::FieldArray(keys.into()));
        if let Some(ttl) = self.original_ttl {
            table.insert("original-expiration".into(), long(&ttl.to_string()));
        }
        AMQPValue::FieldTable(table)
    }
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Reads `expiration`: milliseconds, as a text.
fn expiration(text: &str) -> Result<u64, Refusal> {
    let digits = text.len()
        - text
            .trim_start_matches(|sign: char| sign.is_ascii_digit())
            .len();
    let fault = match text[..digits].parse::<u64>() {
        Ok(_) if digits < text.len() => {
            format!("{{leftover_string,{:?}}}", &text[digits..])
        }
        Ok(millis) if millis <= LONGEST_TTL => return Ok(millis),
        Ok(millis) => format!("{{value_too_big,{millis}}}"),
        Err(_) => match text.parse::<i64>() {
            Ok(negative) => format!("{{value_negative,{negative}}}"),
            Err(_) => "no_integer".to_owned(),
        },
    };
    Err(Refusal::precondition_failed(format!(
        "invalid expiration '{text}': {fault}"
    )))
}

/// The keys in a `CC` or `BCC` header.
fn further_keys(properties: &Properties, header: &str) -> Result<Vec<Arc<str>>, Refusal> {
    let invalid = |value: &AMQPValue| {
        Refusal::precondition_failed(format!(
            "invalid message: {{unacceptable_type_in_header,{header:?},{}}}",
            kind_of(value)
        ))
    };
    match properties.header(header) {
        None => Ok(Vec::new()),
        Some(AMQPValue::FieldArray(keys)) => {
            let keys = keys.as_slice().iter();
            keys.map(|key| text(key).map(Arc::from).ok_or_else(|| invalid(key)))
                .collect()
        }
        Some(other) => Err(invalid(&other)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use amq_protocol::frame::WriteContext;
    use amq_protocol::protocol::BasicProperties;
    use amq_protocol::protocol::basic::gen_properties;

    use super::*;

    /// Properties as a client writes them.
    pub(crate) fn written(properties: &BasicProperties) -> Properties {
        let written = gen_properties(properties)(WriteContext::from(Vec::new())).unwrap();
        Properties::read(written.write.into()).unwrap()
    }

    pub(crate) fn message(key: &str, properties: &BasicProperties) -> Message {
        Message::published("x".into(), key, written(properties), Bytes::from("body")).unwrap()
    }

    fn fault(text: &str) -> String {
        expiration(text).unwrap_err().explanation
    }

    #[test]
    fn an_expiration_is_a_number_or_named() {
        assert_eq!(expiration("0"), Ok(0));
        assert_eq!(expiration("30000"), Ok(30_000));
        assert_eq!(fault("soon"), "invalid expiration 'soon': no_integer");
        assert_eq!(fault("-5"), "invalid expiration '-5': {value_negative,-5}");
        assert_eq!(
            fault("5s"),
            "invalid expiration '5s': {leftover_string,\"s\"}"
        );
        assert_eq!(
            fault("99999999999999"),
            "invalid expiration '99999999999999': {value_too_big,99999999999999}"
        );
    }

    #[test]
    fn cc_and_bcc_are_further_keys_and_bcc_is_taken_out() {
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::FieldArray(vec![long("c")].into()));
        headers.insert("BCC".into(), AMQPValue::FieldArray(vec![long("b")].into()));
        let message = message("a", &BasicProperties::default().with_headers(headers));
        let keys: Vec<&str> = message.routing_keys.iter().map(|key| &**key).collect();
        assert_eq!(keys, ["a", "c", "b"]);
        assert!(message.properties.header("CC").is_some());
        assert!(message.properties.header("BCC").is_none());
        let seen: Vec<&str> = message.seen_keys().iter().map(|key| &**key).collect();
        assert_eq!(seen, ["a", "c"]);
    }

    #[test]
    fn deaths_are_counted_by_queue_and_reason_with_the_latest_first() {
        let properties = BasicProperties::default().with_expiration("70".into());
        let first = message("k", &properties);
        let (q, dlx) = (Arc::from("q"), Arc::from("dlx"));
        let died = first.died(&q, Reason::Expired, Time::from_millis(5000), &dlx, None);
        assert_eq!(died.ttl, None);
        assert_eq!(died.properties.text(Field::Expiration), None);
        let again = died.died(&q, Reason::Rejected, Time::from_millis(9000), &dlx, None);
        let thrice = again.died(&q, Reason::Expired, Time::from_millis(9900), &dlx, None);
        let counts: Vec<(Reason, u64, u64)> = thrice
            .deaths
            .iter()
            .map(|death| (death.reason, death.count, death.first.millis()))
            .collect();
        assert_eq!(
            counts,
            [(Reason::Expired, 2, 5000), (Reason::Rejected, 1, 9000)]
        );
        assert_eq!(thrice.deaths[0].original_ttl, Some(70));
        let header = |name| text(&thrice.properties.header(name).unwrap()).unwrap();
        assert_eq!(header("x-first-death-reason"), "expired");
        assert_eq!(header("x-last-death-exchange"), "dlx");
    }

    #[test]
    fn only_a_circle_without_a_rejection_is_one() {
        let (a, b, dlx) = (Arc::from("a"), Arc::from("b"), Arc::from("dlx"));
        let now = Time::from_millis(1);
        let message = message("k", &BasicProperties::default());
        let expired = message.died(&a, Reason::Expired, now, &dlx, None);
        assert!(expired.circles_to("a") && !expired.circles_to("b"));
        let rejected = expired.died(&b, Reason::Rejected, now, &dlx, None);
        assert!(!rejected.circles_to("a") && !rejected.circles_to("b"));
    }
}
