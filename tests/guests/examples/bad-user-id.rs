//! Publishes in the name of a user that the host's connection is not.

use hive_guest::{Action, Delivery};
use hive_test_guests::to;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let mut publication = to("", "out", delivery.body());
    publication.message.properties.user_id = Some("somebody-else".to_owned());
    Ok(Action::publish([publication]))
}
