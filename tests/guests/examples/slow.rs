//! Sleeps for as many milliseconds as the body says, then tells of it in the queue `out`: by the message as it
//! is, or by another with its body alone where the header `anew` says yes.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, flag, sleep, to, unchanged};

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    println!("started {}", body(&delivery));
    let pause = body(&delivery)
        .parse()
        .map_err(|_| "the body is not a number")?;
    sleep(Duration::from_millis(pause));
    let publication = match flag(&delivery, "anew") {
        Some(true) => to("", "out", delivery.body()),
        _ => unchanged(&delivery, "", "out"),
    };
    Ok(Action::publish([publication]))
}
