//! Tells the queue of its configuration's `out` (by default `out`) the offset and the body of each message
//! of a stream. A body that begins with `fail`, `reject`, `retry` or `trap` ends so instead, and one like
//! `slow 500` takes so many milliseconds; so does one like `nap 20`, of which nothing is told.

use std::time::Duration;

use hive_guest::{Action, Delivery, config};
use hive_test_guests::{announce, body, sleep, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    let offset = delivery.stream_offset.ok_or("it has no offset")?;
    let body = body(&delivery);
    let mut words = body.split(' ');
    match words.next() {
        Some("fail") => return Err("asked to fail".to_owned()),
        Some("reject") => return Ok(Action::reject("asked to reject")),
        Some("retry") => return Ok(Action::retry("asked to retry")),
        Some("trap") => panic!("asked to trap"),
        Some(slow @ ("slow" | "nap")) => {
            let pause = words.next().and_then(|pause| pause.parse().ok());
            sleep(Duration::from_millis(pause.unwrap_or_default()));
            if slow == "nap" {
                return Ok(Action::Ack);
            }
        }
        _ => {}
    }
    let out = config::get("out").unwrap_or_else(|| "out".to_owned());
    let text = format!("{offset} {body}");
    Ok(Action::publish([to("", &out, text.as_bytes())]))
}
