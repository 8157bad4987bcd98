//! The input for the component: from a file, from standard input, from the flags.

use hive_amqp::LARGEST_BODY;
use hive_core::message::Envelope;

use super::Invoke;
use crate::cli::message_file::LARGEST_MESSAGES;
use crate::cli::say::fault;
use crate::cli::{Exit, message_file};

/// The deliveries to call the component with: at least one.
pub(super) fn deliveries(arguments: &Invoke) -> Result<Vec<Envelope>, Exit> {
    let Invoke {
        message,
        body,
        said,
        ..
    } = arguments;
    if body.is_some() || said.are_there() {
        let (_, bytes) = message_file::read(body.as_deref(), "the body", LARGEST_BODY)?;
        let delivery = said.delivery(bytes).map_err(|fault| {
            fault!("{fault}");
            Exit::Misused
        })?;
        return Ok(vec![delivery]);
    }
    let (name, text) =
        message_file::read(message.as_deref(), "a message as JSON", LARGEST_MESSAGES)?;
    message_file::deliveries(&name, &text)
}
