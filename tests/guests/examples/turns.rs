//! Prints when it begins with a delivery and when it has ended, in microseconds since 1970, so that a scenario sees
//! which of several hosts were at work together. Takes as many milliseconds as the header `pause` says, or two.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, number, sleep};

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let pause = u64::try_from(number(&delivery, "pause").unwrap_or(2)).unwrap_or_default();
    println!("begins {} {}", now()?, body(&delivery));
    sleep(Duration::from_millis(pause));
    println!("ended {} {}", now()?, body(&delivery));
    Ok(Action::Ack)
}

fn now() -> Result<u128, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since.map_err(|error| error.to_string())?.as_micros())
}
