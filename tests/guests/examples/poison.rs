//! Panics over a body that begins with `trap`, never comes to an end over one that begins with `hang`,
//! and publishes any other to the queue `out`.

use hive_guest::{Action, Delivery};
use hive_test_guests::{announce, unchanged};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    announce(&delivery);
    assert!(!delivery.body().starts_with(b"trap"), "asked to");
    while std::hint::black_box(delivery.body()).starts_with(b"hang") {}
    Ok(Action::publish([unchanged(&delivery, "", "out")]))
}
