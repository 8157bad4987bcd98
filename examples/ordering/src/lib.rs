//! Follows parcels.
//!
//! Events of parcels arrive in JSON; the component tells each of them on, in words. Customs take two
//! tries to answer, and whatever happens to the parcel after customs is told after them all the same.

use hive_guest::{Action, Delivery, Publication};
use serde::{Deserialize, Serialize};

/// Where what is told goes: a queue, over the default exchange.
const TOLD: &str = "parcels.told";

/// Tries until customs answer.
const CUSTOMS_TAKE: u32 = 3;

/// What arrives.
#[derive(Debug, Deserialize)]
struct Event {
    parcel: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Packed,
    Customs,
    Delivered,
}

/// What is published.
#[derive(Debug, Serialize)]
struct Told {
    parcel: String,
    text: &'static str,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let Event { parcel, what } = match delivery.json() {
        Ok(event) => event,
        Err(error) => return Ok(Action::reject(error)),
    };
    if what == What::Customs && delivery.attempt < CUSTOMS_TAKE {
        return Ok(Action::retry(format!("customs still look at {parcel}")));
    }
    let text = match what {
        What::Packed => "is packed",
        What::Customs => "went through customs",
        What::Delivered => "is delivered",
    };
    let told = Publication::to("", TOLD).json(&Told { parcel, text })?;
    Ok(told.into())
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;

    use super::*;

    fn answer(body: &str, attempt: u32) -> Action {
        let delivery = DeliveryBuilder::new().body(body).attempt(attempt).build();
        handle(delivery).unwrap()
    }

    #[test]
    fn customs_take_their_time_and_nothing_else_does() {
        let customs = r#"{ "parcel": "p-1", "what": "customs" }"#;
        assert!(answer(customs, 1).as_retry().is_some());
        assert!(answer(customs, CUSTOMS_TAKE).as_retry().is_none());
        let packed = r#"{ "parcel": "p-1", "what": "packed" }"#;
        assert!(answer(packed, 1).as_retry().is_none());
    }

    #[test]
    fn what_is_no_event_is_rejected() {
        let lost = r#"{ "parcel": "p-1", "what": "lost" }"#;
        assert!(answer(lost, 1).as_reject().is_some());
    }
}
