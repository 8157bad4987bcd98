//! Prints lines without end.

use hive_guest::{Action, Delivery};

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    let mut line: u64 = 0;
    loop {
        println!("flood {line}");
        line = line.wrapping_add(1);
    }
}
