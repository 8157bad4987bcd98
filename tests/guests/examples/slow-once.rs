//! Sleeps for as many milliseconds as the body says when it sees a delivery for the first time, and not
//! when it is handed out again; then tells of it in the queue `out`.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, body, sleep, unchanged};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    let pause = body(&delivery)
        .parse()
        .map_err(|_| "the body is not a number")?;
    if !delivery.redelivered {
        sleep(Duration::from_millis(pause));
    }
    Ok(Action::publish([unchanged(&delivery, "", "out")]))
}
