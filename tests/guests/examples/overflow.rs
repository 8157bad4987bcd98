//! Calls itself until its stack is full.

use hive_guest::{Action, Delivery};
use hive_test_guests::announce;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    Err(deeper(delivery.attempt.into()).to_string())
}

/// Its frames are small on the stack that Rust keeps in memory, which is thus not the first to end.
fn deeper(level: u64) -> u64 {
    if level == u64::MAX {
        return level;
    }
    let below = deeper(level + 1);
    below.rotate_left(u32::from(level.to_le_bytes()[0])) ^ level
}
