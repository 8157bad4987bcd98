//! Books payments: what arrives as a payment leaves as a booking.
//!
//! Nothing here looks for repeats. The host does, by the key that hive.toml names, so the component
//! sees a payment once.

use hive_guest::{Action, Delivery, Publication};
use serde::{Deserialize, Serialize};

/// Where bookings go.
const BOOKED: &str = "payments.booked";

/// A payment, as a shop sends it: perhaps several times.
#[derive(Debug, Deserialize)]
struct Payment {
    shop: String,
    payment: u64,
    cents: u64,
}

/// A booking, as the accounts get it.
#[derive(Debug, Serialize)]
struct Booking {
    /// The shop and the payment's number there.
    reference: String,
    cents: u64,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let Payment {
        shop,
        payment,
        cents,
    } = match delivery.json() {
        Ok(payment) => payment,
        // It will be as malformed next time.
        Err(error) => return Ok(Action::reject(error)),
    };
    let booking = Booking {
        reference: format!("{shop}/{payment}"),
        cents,
    };
    // Without an id of its own it gets one that is made from its delivery's.
    Ok(Publication::to("", BOOKED).json(&booking)?.into())
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::DeliveryBuilder;

    use super::*;

    fn answer(body: &str) -> Action {
        let delivery = DeliveryBuilder::new().body(body.as_bytes()).build();
        handle(delivery).expect("it answers everything")
    }

    #[test]
    fn a_payment_is_booked_under_its_shop_and_number() {
        let action = answer(r#"{"shop":"lisbon","payment":7,"cents":1250}"#);
        let [publication] = action.publications() else {
            panic!("expected one publication, got {action:?}");
        };
        assert_eq!(publication.routing_key, BOOKED);
        let booked = String::from_utf8_lossy(&publication.message.body);
        assert_eq!(booked, r#"{"reference":"lisbon/7","cents":1250}"#);
    }

    #[test]
    fn what_is_no_payment_is_rejected() {
        assert!(
            answer(r#"{"shop":"lisbon","cents":1}"#)
                .as_reject()
                .is_some()
        );
        assert!(answer("").as_reject().is_some());
    }
}
