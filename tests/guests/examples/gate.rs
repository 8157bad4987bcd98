//! Waits in each delivery until there is a file `/gate/open`; tells of its beginning and its end. Keeps
//! as many MiB of memory as `ballast` in its configuration says.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use hive_guest::{Action, Delivery, config};
use hive_test_guests::{announce_end, body, sleep};

static BALLAST: OnceLock<Vec<u8>> = OnceLock::new();

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
#[hive_guest::consumer(start = start, stop = announce_end)]
fn handle(delivery: Delivery) -> Action {
    let beginning: String = body(&delivery).chars().take(100).collect();
    println!("started {beginning}");
    while !Path::new("/gate/open").exists() {
        sleep(Duration::from_millis(5));
    }
    Action::Ack
}

#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn start() -> Result<(), String> {
    println!("begins");
    let mib = config::get("ballast").map_or(Ok(0), |mib| mib.parse::<usize>());
    let mib = mib.map_err(|error| error.to_string())?;
    // Other than zero, so that every page is there.
    BALLAST.get_or_init(|| vec![1; mib << 20]);
    Ok(())
}
