//! Takes as long as a database, and hands on the length of the body to the queue `out`.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{sleep, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    sleep(Duration::from_millis(300));
    let length = delivery.body().len().to_string();
    Ok(Action::publish([to("", "out", length.as_bytes())]))
}
