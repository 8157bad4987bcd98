//! Acknowledges.

use hive_guest::{Action, Delivery};

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    Ok(Action::ack())
}
