//! Is inside a call of its host that does not return for a day.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::announce;

const DAY: Duration = Duration::from_secs(86_400);

#[hive_guest::consumer]
#[expect(
    clippy::disallowed_methods,
    reason = "the sleep is the host's, on wasm"
)]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    std::thread::sleep(DAY);
    Ok(Action::ack())
}
