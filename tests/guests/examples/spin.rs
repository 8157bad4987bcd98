//! Never comes to an end, and never calls its host.

use hive_guest::{Action, Delivery};
use hive_test_guests::announce;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    let mut turns: u64 = 0;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
