//! Tells the queue `out` what its configuration says of `greeting`.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    let greeting = hive_guest::config::get("greeting").ok_or("no greeting")?;
    Ok(to("", "out", greeting.as_bytes()).into())
}
