//! Never wants to see the message again.

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, body};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    Ok(Action::reject(format!("never: {}", body(&delivery))))
}
