//! Publishes a header that no broker takes, which one the body says: a double that is not finite, or the
//! routing keys of `CC` as text; after `delay-ms` where that header is there.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, number, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let publication = to("", "out", delivery.body());
    let publication = match &*body(&delivery) {
        "nan" => publication.header("half", f64::NAN),
        "inf" => publication.header("half", f64::INFINITY),
        _ => publication.header("CC", "out"),
    };
    let delay = number(&delivery, "delay-ms");
    Ok(Action::publish([match delay {
        Some(delay) => publication.delay(Duration::from_millis(delay.unsigned_abs())),
        None => publication,
    }]))
}
