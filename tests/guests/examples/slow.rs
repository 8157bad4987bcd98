//! Sleeps for as many milliseconds as the body says, then tells of it in the queue `out`.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, sleep, unchanged};

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    println!("started {}", body(&delivery));
    let pause = body(&delivery)
        .parse()
        .map_err(|_| "the body is not a number")?;
    sleep(Duration::from_millis(pause));
    Ok(Action::publish([unchanged(&delivery, "", "out")]))
}
