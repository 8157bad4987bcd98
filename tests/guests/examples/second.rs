//! The second of two versions: hands every message on to the queue `out`, and says which one it is.

use hive_guest::{Action, Delivery};
use hive_test_guests::answer_as;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Action {
    answer_as("second", &delivery)
}
