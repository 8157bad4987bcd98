//! Answers with an error.

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, body};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    Err(format!("cannot take {}", body(&delivery)))
}
