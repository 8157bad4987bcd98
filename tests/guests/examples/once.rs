//! Sleeps for as many milliseconds as the header `sleep-ms` says, fails where the header `fail` says so, and
//! then tells the queue `out`: `RUN BODY`, where RUN is what its configuration calls `run`.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, flag, number, sleep, to};

#[hive_guest::consumer]
#[expect(clippy::print_stdout, reason = "what a guest prints is its log")]
fn handle(delivery: Delivery) -> Result<Action, String> {
    println!("started {}", body(&delivery));
    if let Some(pause) = number(&delivery, "sleep-ms") {
        sleep(Duration::from_millis(pause.unsigned_abs()));
    }
    if flag(&delivery, "fail").unwrap_or(false) {
        return Err("asked to".to_owned());
    }
    let run = hive_guest::config::get("run").unwrap_or_default();
    let text = format!("{run} {}", body(&delivery));
    Ok(to("", "out", text.as_bytes()).into())
}
