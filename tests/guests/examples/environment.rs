//! Tells the queue `out` every variable, argument and clock that it sees, one a line.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[expect(
    clippy::disallowed_methods,
    reason = "the clock is the host's, on wasm"
)]
#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    let mut lines: Vec<String> = std::env::vars()
        .map(|(name, value)| format!("variable {name}={value}"))
        .collect();
    lines.extend(std::env::args().map(|argument| format!("argument {argument}")));
    let before = Instant::now();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|error| error.to_string())?;
    lines.push(format!("seconds {}", since.as_secs()));
    lines.push(format!("passed {}", before.elapsed() < since));
    // Every map begins with a number that nobody knows.
    let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    lines.push(format!("random {}", random() != random()));
    Ok(to("", "out", lines.join("\n").as_bytes()).into())
}
