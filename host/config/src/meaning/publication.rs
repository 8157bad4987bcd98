//! What AMQP and the host ask of every publication that hive.toml describes.

use hive_core::codes::Code;
use hive_core::message::RESERVED;

use super::Context;
use crate::read::LONGEST_NAME;
use crate::written::Node;

/// Reports a text that is longer than a short string of AMQP 0-9-1 (specification, 4.2.5.3).
pub(super) fn short(context: &mut Context<'_>, at: &Node, text: &str) {
    if text.len() > LONGEST_NAME {
        let message = format!("is too long: {} bytes", text.len());
        let remedy = "shorten it to at most 255 bytes";
        context.faults.error(Code::OutOfRange, at, message, remedy);
    }
}

/// Reports the name of a header that has no room, that is the host's own, or by which the broker would route.
pub(super) fn header_name(context: &mut Context<'_>, at: &Node, name: &str) {
    let is_acted_on = ["CC", "BCC"].contains(&name);
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with(RESERVED) || is_acted_on {
        let message = "is not a name that a header of a message may have here";
        let remedy = "write 1 to 255 bytes, neither \"CC\" nor \"BCC\", and nothing that begins with \
                      \"x-hive-\"";
        context.faults.error(Code::BadName, at, message, remedy);
    }
}
