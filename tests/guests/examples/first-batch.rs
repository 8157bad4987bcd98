//! The first of two versions that take batches: hands every message on to the queue `out`, and says which
//! one it is.

use hive_guest::{Action, Delivery};
use hive_test_guests::answer_as;

#[hive_guest::batch_consumer]
fn handle(deliveries: Vec<Delivery>) -> Vec<Action> {
    let answer = |delivery| answer_as("first", delivery);
    deliveries.iter().map(answer).collect()
}
