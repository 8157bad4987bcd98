//! Takes the longer the lower the header `number` is, so that neighbours overtake one another wherever
//! nothing keeps them in order; then tells of `key number attempt` in the queue `out`. Fails at the first
//! so many attempts as the header `fails` says.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{number, sleep, text, to};

/// Milliseconds that the slowest takes.
const SLOWEST: i64 = 7;

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let key = text(&delivery, "key").unwrap_or_else(|| "none".to_owned());
    let place = number(&delivery, "number").unwrap_or_default();
    println!("began {key} {place} at attempt {}", delivery.attempt);
    let pause = SLOWEST - place.rem_euclid(SLOWEST + 1);
    sleep(Duration::from_millis(pause.unsigned_abs()));
    println!("ended {key} {place}");
    if i64::from(delivery.attempt) <= number(&delivery, "fails").unwrap_or_default() {
        return Err(format!("{key} {place} fails"));
    }
    let seen = format!("{key} {place} {}", delivery.attempt);
    Ok(Action::publish([to("", "out", seen.as_bytes())]))
}
