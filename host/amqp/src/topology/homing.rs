//! Whether a queue that one host at a time consumes moves back to its host when that returns. Pure.

use super::declaration::QueueDeclaration;
use crate::wire::frame::BrokerVersion;

/// Why a queue of this kind stays with the host that has taken over; `None` if it moves back, or nothing is known
/// against it.
pub(crate) fn stays_away(kind: Option<&str>, broker: Option<BrokerVersion>) -> Option<String> {
    match (kind, broker) {
        (Some("classic"), _) => {
            Some("the single active consumer of a classic queue keeps it until it goes".to_owned())
        }
        (_, Some(broker)) if broker < BrokerVersion::ACTIVE_BY_PRIORITY => Some(format!(
            "the single active consumer of RabbitMQ {broker} keeps its queue until it goes"
        )),
        _ => None,
    }
}

/// What the hosts of a consumer do about its queue that was `found`, in a line.
pub(super) fn line(found: Option<&QueueDeclaration>, broker: BrokerVersion) -> String {
    let then = match stays_away(found.and_then(QueueDeclaration::kind), Some(broker)) {
        None => "and the queue moves back to its host when that returns".to_owned(),
        Some(why) => format!("and the queue does not move back by itself: {why}"),
    };
    format!("one host at a time consumes; the next takes over when it goes, {then}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_queue_of_a_new_broker_alone_moves_back() {
        let stays = |kind, broker| stays_away(kind, BrokerVersion::parse(broker)).is_some();
        for (kind, broker, expected) in [
            (Some("quorum"), "4.0.5", false),
            (Some("quorum"), "4.3.6", false),
            (Some("quorum"), "3.13.7", true),
            (Some("classic"), "4.3.6", true),
            (None, "4.3.6", false),
            (None, "3.10.8", true),
        ] {
            assert_eq!(stays(kind, broker), expected, "{kind:?} {broker}");
        }
    }
}
