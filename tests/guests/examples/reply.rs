//! Answers a call with `pong to` what it asked.

use hive_guest::{Action, Delivery};
use hive_test_guests::body;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let answer = format!("pong to {}", body(&delivery));
    let reply = delivery
        .reply()
        .ok_or("nobody waits for an answer")?
        .text(answer);
    Ok(Action::publish([reply]))
}
