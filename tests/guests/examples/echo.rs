//! Publishes what it gets to the queue `out`, with every property and header.

use hive_guest::{Action, Delivery};
use hive_test_guests::unchanged;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    Ok(Action::publish([unchanged(&delivery, "", "out")]))
}
