//! Greets: a name in JSON comes in, a greeting goes out.

use hive_guest::{Action, Delivery, Publication};
use serde::Deserialize;

/// What a message says.
#[derive(Deserialize)]
struct Guest {
    name: String,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Action {
    let guest: Guest = match delivery.json() {
        Ok(guest) => guest,
        // It will be as malformed next time, so a retry would only waste one.
        Err(error) => return Action::reject(error),
    };
    let greeting = format!("hello {}", guest.name);
    Publication::to_queue("{{name}}.out").text(greeting).into()
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;

    use super::*;

    fn answer(body: &str) -> Action {
        handle(DeliveryBuilder::new().text(body).build())
    }

    #[test]
    fn whoever_is_named_is_greeted() {
        let action = answer(r#"{"name": "Ada"}"#);
        let [greeting] = action.publications() else {
            panic!("one greeting, and not {action:?}");
        };
        assert_eq!(greeting.routing_key, "{{name}}.out");
        assert!(greeting.message.text().unwrap().ends_with("Ada"));
    }

    #[test]
    fn a_message_without_a_name_is_rejected() {
        let action = answer("{}");
        assert!(action.as_reject().unwrap().contains("name"), "{action:?}");
    }
}
