//! Prints to both of its outputs.

use hive_guest::{Action, Delivery};
use hive_test_guests::body;

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a guest prints is its log"
)]
#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    println!("out says {}", body(&delivery));
    eprintln!("err says {}", body(&delivery));
    Ok(Action::ack())
}
