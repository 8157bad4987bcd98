//! Counts deliveries by their body in the bucket `counters`, and tells the queue `out`.

use hive_guest::keyvalue::Bucket;
use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let counted = Bucket::open("counters")
        .and_then(|counters| counters.increment(&body(&delivery), 1))
        .map_err(|error| error.to_string())?;
    let text = format!("{counted} {}", body(&delivery));
    Ok(to("", "out", text.as_bytes()).into())
}
