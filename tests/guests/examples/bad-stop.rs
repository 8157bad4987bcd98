//! Fails each delivery, and does in `stop` what `stop` in its configuration says: `trap`, or `spin`.

use hive_guest::{Action, Delivery, StopReason};

#[hive_guest::consumer(start = start, stop = stop)]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    Err("on to the stop".to_owned())
}

fn start() -> Result<(), String> {
    Ok(())
}

fn stop(_reason: StopReason) {
    match hive_guest::config::get("stop").as_deref() {
        Some("trap") => panic!("boom in stop"),
        _ => loop {
            std::hint::spin_loop();
        },
    }
}
