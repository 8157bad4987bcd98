//! Publishes headers that are larger than a frame of AMQP.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let mut publication = to("", "out", delivery.body());
    for number in 0..200 {
        publication = publication.header(format!("header-{number}"), "x".repeat(1024));
    }
    Ok(Action::publish([publication]))
}
