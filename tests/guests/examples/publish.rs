//! Publishes the body to where the headers `exchange` and `routing-key` say, and once more where there is
//! a `second-routing-key`; `mandatory` unless that header says no, and after `delay-ms` where it is there.

use std::time::Duration;

use hive_guest::{Action, Delivery};
use hive_test_guests::{flag, number, text, to};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let exchange = text(&delivery, "exchange").unwrap_or_default();
    let mandatory = flag(&delivery, "mandatory").unwrap_or(true);
    let keys = ["routing-key", "second-routing-key"];
    let keys = keys.into_iter().filter_map(|name| text(&delivery, name));
    let mut keys: Vec<String> = keys.collect();
    if keys.is_empty() {
        keys.push("out".to_owned());
    }
    let delay =
        number(&delivery, "delay-ms").map(|delay| Duration::from_millis(delay.unsigned_abs()));
    let publications = keys.iter().map(|key| {
        let publication = to(&exchange, key, delivery.body()).mandatory(mandatory);
        match delay {
            Some(delay) => publication.delay(delay),
            None => publication,
        }
    });
    Ok(Action::publish(publications))
}
