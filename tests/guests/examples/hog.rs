//! Takes memory without end.

use hive_guest::{Action, Delivery};
use hive_test_guests::announce;

const MEBIBYTE: usize = 1 << 20;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1; MEBIBYTE]));
    }
}
