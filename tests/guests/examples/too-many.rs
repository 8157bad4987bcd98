//! Answers with one publication more than a host takes.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    Ok(Action::publish((0..1001).map(|_| to("", "out", b""))))
}
