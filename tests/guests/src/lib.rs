//! What several guests say alike. The guests themselves are the examples, one behaviour a file.

pub mod web;

use std::time::Duration;

use hive_guest::{Action, Delivery, Publication, StopReason};

/// Prints which attempt this is, so that a scenario can count in the host's log how often a guest ran.
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
pub fn announce(delivery: &Delivery) {
    println!("attempt {} of {}", delivery.attempt, body(delivery));
}

/// Sleeps in a call of the host.
#[expect(
    clippy::disallowed_methods,
    reason = "the sleep is the host's, on wasm"
)]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// The body as text.
pub fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.body()).into_owned()
}

/// The header of this name, if it is text.
pub fn text(delivery: &Delivery, header: &str) -> Option<String> {
    Some(delivery.header(header)?.as_text()?.to_owned())
}

/// The header of this name, if it is an integer, or the digits of one.
pub fn number(delivery: &Delivery, header: &str) -> Option<i64> {
    let value = delivery.header(header)?;
    value.as_integer().or_else(|| value.as_text()?.parse().ok())
}

/// The header of this name, if it is a truth value.
pub fn flag(delivery: &Delivery, header: &str) -> Option<bool> {
    delivery.header(header)?.as_boolean()
}

/// A publication of these bytes.
pub fn to(exchange: &str, routing_key: &str, body: &[u8]) -> Publication {
    Publication::to(exchange, routing_key).body(body)
}

/// A publication of the message as it came, with every property and header.
pub fn unchanged(delivery: &Delivery, exchange: &str, routing_key: &str) -> Publication {
    let mut publication = Publication::to(exchange, routing_key);
    publication.message = delivery.message.clone();
    publication
}

/// Hands the message on to the queue `out`, as `NAME BODY`.
pub fn answer_as(name: &str, delivery: &Delivery) -> Action {
    let text = format!("{name} {}", body(delivery));
    Action::publish([to("", "out", text.as_bytes())])
}

/// Prints why this instance ends.
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
pub fn announce_end(reason: StopReason) {
    println!("ends because of {reason:?}");
}
