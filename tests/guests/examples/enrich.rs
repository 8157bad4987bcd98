//! Reads a JSON object, adds `seen` to it, and publishes it to the queue `bench.out`; what it is configured
//! to `retry` fails at its first attempt. For the bench: the same work as its other contenders do.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;
use serde_json::Value;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    if delivery.attempt == 1 && hive_guest::config::get("work").as_deref() == Some("retry") {
        return Err("not yet".to_owned());
    }
    let mut order: Value =
        serde_json::from_slice(delivery.body()).map_err(|error| error.to_string())?;
    order["seen"] = Value::Bool(true);
    let body = serde_json::to_vec(&order).map_err(|error| error.to_string())?;
    Ok(to("", "bench.out", &body).into())
}
