//! Messages, deliveries, publications and actions as JSON: one form wherever a file, a pipe or a person
//! holds one. docs/message-format.md describes it.
//!
//! Names are those of `wit/consumer.wit`. A delivery and a publication are a message with more keys
//! beside its own, in one flat object.
//!
//! There are no derives here: what is read was written by hand as often as not, and is answered with the
//! name of the key that is wrong and the one that was meant.

mod action;
mod fields;
mod header;
mod lines;
mod message;
mod routing_keys;

pub use self::action::{read_action, write_action};
pub use self::fields::Malformed;
pub use self::lines::{Misplaced, read_deliveries};
pub use self::message::{
    read_delivery, read_message, read_publication, write_delivery, write_message, write_publication,
};
pub use self::routing_keys::further_routing_keys;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes as text (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes from their text.
pub fn from_base64(text: &str) -> Result<Vec<u8>, Malformed> {
    STANDARD
        .decode(text)
        .map_err(|error| Malformed(format!("is not base64: {error}")))
}

#[cfg(test)]
mod tests;
