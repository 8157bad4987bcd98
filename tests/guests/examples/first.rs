//! The first of two versions: hands every message on to the queue `out`, and says which one it is.

use hive_guest::{Action, Delivery, StopReason};
use hive_test_guests::{announce_end, answer_as};

#[hive_guest::consumer(start = start, stop = stop)]
fn handle(delivery: Delivery) -> Action {
    answer_as("first", &delivery)
}

fn start() -> Result<(), String> {
    Ok(())
}

fn stop(reason: StopReason) {
    announce_end(reason);
}
