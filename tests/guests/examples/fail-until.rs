//! Fails until the attempt that the header `until` names, then tells of it in the queue `out`.

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, number, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let attempt = i64::from(delivery.attempt);
    let text = format!("attempt {attempt} of {}", body(&delivery));
    if number(&delivery, "until").is_some_and(|until| attempt < until) {
        return Err(text);
    }
    Ok(Action::publish([to("", "out", text.as_bytes())]))
}
