//! Panics.

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, body};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    panic!("boom over {}", body(&delivery));
}
