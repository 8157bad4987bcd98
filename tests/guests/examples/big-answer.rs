//! Publishes more than a host takes from a component in one answer.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

const MEBIBYTE: usize = 1 << 20;

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    let publications = (0..20).map(|_| to("", "out", &[0; MEBIBYTE]));
    Ok(Action::publish(publications))
}
