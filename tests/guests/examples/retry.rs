//! Asks to see the delivery again, after `delay-ms` where that header is there.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, number};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    Ok(match number(&delivery, "delay-ms") {
        Some(delay) => Action::retry_after("not yet", Duration::from_millis(delay.unsigned_abs())),
        None => Action::retry("not yet"),
    })
}
