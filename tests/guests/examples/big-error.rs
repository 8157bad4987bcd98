//! Answers with an error of a mebibyte.

use hive_guest::{Action, Delivery};

const MEBIBYTE: usize = 1 << 20;

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    Err(format!("big: {}", "x".repeat(MEBIBYTE)))
}
