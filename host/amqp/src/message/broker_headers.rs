//! The headers that a broker writes on a message by itself: the one list of them.
//!
//! Some say how often one queue handed the message out, or where in a stream it is. They are true of one
//! delivery and false of every other, so no component sees them as headers and nothing carries them on: what
//! is of use in them is a field of the delivery. The others record how a message was dead-lettered. They stay
//! with a message for as long as the broker moves it; what the host publishes never carries them under
//! their own names.

use lapin::BasicProperties;

use super::headers::integer;

/// Written by quorum queues. Before RabbitMQ 4.3: how often a delivery came back without an
/// acknowledgement. Since 4.3: how often one failed (`basic.reject`, a lost channel).
pub(crate) const DELIVERY_COUNT: &str = "x-delivery-count";
/// Written by quorum queues since RabbitMQ 4.3: how often the message was handed out before.
const ACQUIRED_COUNT: &str = "x-acquired-count";
/// Written by streams.
pub(crate) const STREAM_OFFSET: &str = "x-stream-offset";

/// Headers that are true of one delivery only.
const OF_A_DELIVERY: [&str; 3] = [DELIVERY_COUNT, ACQUIRED_COUNT, STREAM_OFFSET];

/// The record of dead-lettering (RabbitMQ documentation, "Dead Letter Exchanges"): one entry for each queue
/// and reason, the latest first.
pub(crate) const DEATHS: &str = "x-death";
/// The prefixes of the other two records; `exchange`, `queue` and `reason` follow.
pub(crate) const FIRST_DEATH: &str = "x-first-death-";
/// See [`FIRST_DEATH`]. Written since RabbitMQ 3.13.
pub(crate) const LAST_DEATH: &str = "x-last-death-";
/// The fields that are recorded of the first and of the last dead-lettering.
pub(crate) const RECORDED: [&str; 3] = ["exchange", "queue", "reason"];

/// Whether a header of this name is true of one delivery alone.
pub(crate) fn is_of_a_delivery(name: &str) -> bool {
    OF_A_DELIVERY.contains(&name)
}

/// Whether the broker writes a header of this name when it dead-letters a message.
pub(crate) fn is_death(name: &str) -> bool {
    let recorded = name
        .strip_prefix(FIRST_DEATH)
        .or_else(|| name.strip_prefix(LAST_DEATH));
    name == DEATHS || recorded.is_some_and(|what| RECORDED.contains(&what))
}

/// Whether the broker writes headers of this name at all.
pub fn is_brokers_own(name: &str) -> bool {
    is_of_a_delivery(name) || is_death(name)
}

/// How often a quorum queue got a message back before this delivery, as far as it counts that.
pub(crate) fn delivery_count(properties: &BasicProperties) -> Option<u64> {
    number(properties, DELIVERY_COUNT)
}

/// The offset of a delivery in its stream.
pub(crate) fn stream_offset(properties: &BasicProperties) -> Option<u64> {
    number(properties, STREAM_OFFSET)
}

fn number(properties: &BasicProperties, name: &str) -> Option<u64> {
    let value = properties.headers().as_ref()?.inner().get(name)?;
    u64::try_from(integer(value)?).ok()
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    #[test]
    fn the_list_knows_what_every_version_writes() {
        for name in ["x-delivery-count", "x-acquired-count", "x-stream-offset"] {
            assert!(is_of_a_delivery(name) && is_brokers_own(name), "{name}");
        }
        for name in [
            "x-death",
            "x-first-death-queue",
            "x-last-death-exchange",
            "x-last-death-reason",
        ] {
            assert!(is_death(name) && is_brokers_own(name), "{name}");
        }
        for name in ["CC", "x-first-death-", "x-last-death-colour", "x-deaths"] {
            assert!(!is_brokers_own(name), "{name}");
        }
    }

    #[test]
    fn a_count_is_read_from_an_integer_of_any_width() {
        let counted = |value| {
            let mut headers = FieldTable::default();
            headers.insert(DELIVERY_COUNT.into(), value);
            delivery_count(&BasicProperties::default().with_headers(headers))
        };
        assert_eq!(counted(AMQPValue::LongInt(3)), Some(3));
        assert_eq!(counted(AMQPValue::LongLongInt(-3)), None);
        assert_eq!(counted(AMQPValue::Void), None);
        assert_eq!(delivery_count(&BasicProperties::default()), None);
    }
}
