//! Counts its deliveries, and tells the queue `out`; the body `trap` makes it panic.

use std::sync::atomic::{AtomicU32, Ordering};

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to};

static SEEN: AtomicU32 = AtomicU32::new(0);

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    assert_ne!(delivery.body(), b"trap", "asked to");
    let count = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
    let text = format!("{count} {}", body(&delivery));
    Ok(Action::publish([to("", "out", text.as_bytes())]))
}
