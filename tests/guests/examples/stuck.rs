//! Is inside a call of its host that does not return for a day.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, sleep};

const DAY: Duration = Duration::from_secs(86_400);

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    sleep(DAY);
    Ok(Action::ack())
}
