//! Publishes to the queue `out`, with the body as the nested value of a header `CC`.

use hive_guest::{Action, Delivery, FieldValue};
use hive_test_guests::{body, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let copies = FieldValue::Nested(body(&delivery));
    Ok(to("", "out", b"hello").header("CC", copies).into())
}
