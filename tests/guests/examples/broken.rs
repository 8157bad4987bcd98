//! Fails while there is a file `broken` in `/data`; then tells of each delivery in the queue `out`.

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, body, unchanged};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    match std::fs::exists("/data/broken") {
        Ok(false) => Ok(Action::publish([unchanged(&delivery, "", "out")])),
        there => Err(format!("broken at {}: {there:?}", body(&delivery))),
    }
}
