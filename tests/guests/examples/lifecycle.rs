//! Tells of its beginning and its end; `start = "refuse"` in its configuration keeps it from starting.

use hive_guest::{Action, Delivery, StopReason};
use hive_test_guests::{announce, announce_end};

#[hive_guest::consumer(start = start, stop = stop)]
fn handle(delivery: Delivery) -> Action {
    announce(&delivery);
    Action::Ack
}

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn start() -> Result<(), String> {
    if hive_guest::config::get("start").as_deref() == Some("refuse") {
        return Err("told to refuse".into());
    }
    println!("begins");
    Ok(())
}

fn stop(reason: StopReason) {
    announce_end(reason);
}
