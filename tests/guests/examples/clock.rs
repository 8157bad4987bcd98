//! Tells the queue `out` the time of day, in seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_err(|error| error.to_string())?.as_secs();
    Ok(to("", "out", seconds.to_string().as_bytes()).into())
}
