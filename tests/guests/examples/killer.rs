//! Tells that it began, does what the body asks for, and hands the message on to the queue `out`:
//! `eat` takes memory without end, `wait MILLISECONDS` sleeps, anything else is done at once.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, sleep, unchanged};

const MEBIBYTE: usize = 1 << 20;

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let body = body(&delivery);
    println!("began {body}");
    if body == "eat" {
        let mut taken: Vec<Vec<u8>> = Vec::new();
        loop {
            taken.push(std::hint::black_box(vec![1; MEBIBYTE]));
        }
    }
    if let Some(pause) = body.strip_prefix("wait ") {
        let pause = pause.parse().map_err(|_| "that is no number")?;
        sleep(Duration::from_millis(pause));
    }
    Ok(Action::publish([unchanged(&delivery, "", "out")]))
}
