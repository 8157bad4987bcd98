//! A version that fails at every second message, and hands the others on to the queue `out`.

use std::sync::atomic::{AtomicU32, Ordering};

use hive_guest::{Action, Delivery};
use hive_test_guests::answer_as;

static SEEN: AtomicU32 = AtomicU32::new(0);

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    match SEEN.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Err("it is every second one".into()),
        _ => Ok(answer_as("half", &delivery)),
    }
}
