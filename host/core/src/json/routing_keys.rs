//! Further routing keys of a publication, which stand in its headers.

use crate::message::{FieldValue, Publication};

/// Headers with further routing keys, to which the broker sends a message too (RabbitMQ, "Sender-selected
/// Distribution").
const ROUTING_KEY_HEADERS: [&str; 2] = ["CC", "BCC"];

/// Each header of a publication with further routing keys, and these; `None` if it is not an array of texts, which the
/// broker refuses.
pub fn further_routing_keys(
    publication: &Publication,
) -> impl Iterator<Item = (&str, Option<Vec<String>>)> {
    let headers = publication.message.properties.headers.iter();
    let headers = headers.filter(|(name, _)| ROUTING_KEY_HEADERS.contains(&name.as_str()));
    headers.map(|(name, value)| {
        let keys = match value {
            FieldValue::Nested(json) => serde_json::from_str(json).ok(),
            _ => None,
        };
        (name.as_str(), keys)
    })
}
