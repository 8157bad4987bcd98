//! Calls itself until its stack is full.

use hive_guest::{Action, Delivery};
use hive_test_guests::announce;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    Err(deeper(&[0; 256]).to_string())
}

fn deeper(above: &[u64; 256]) -> u64 {
    let mut frame = *above;
    frame[0] = frame[0].wrapping_add(1);
    let frame = std::hint::black_box(frame);
    deeper(&frame).wrapping_add(frame[0])
}
