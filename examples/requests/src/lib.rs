//! Quotes orders: asks the service behind the queue `rpc.prices` what an article costs.

use std::time::Duration;

use hive_guest::requests::{self, Failure};
use hive_guest::{Action, Delivery, Publication};
use serde::{Deserialize, Serialize};

/// How long a price is waited for. The call as a whole may take longer: `timeout` in hive.toml.
const PATIENCE: Duration = Duration::from_secs(5);

/// An order, as a shop sends it.
#[derive(Debug, Deserialize)]
struct Order {
    order: String,
    article: String,
    quantity: u64,
}

/// The question to the prices.
#[derive(Debug, Serialize)]
struct Question<'a> {
    article: &'a str,
}

/// Their answer; an article that they do not know has no price.
#[derive(Debug, Deserialize)]
struct Price {
    cents: Option<u64>,
}

/// What the order costs.
#[derive(Debug, Serialize)]
struct Quote {
    order: String,
    total_cents: u64,
}

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let order: Order = match delivery.json() {
        Ok(order) => order,
        // It will be as malformed next time.
        Err(error) => return Ok(Action::reject(error)),
    };
    let question = Question {
        article: &order.article,
    };
    let question = Publication::to_queue("rpc.prices").json(&question)?;
    let reply = match requests::request_within(question, PATIENCE) {
        Ok(reply) => reply,
        // Asking for a price changes nothing, so it may be asked for again.
        Err(error) if may_pass(error.failure) => return Ok(Action::retry(error)),
        Err(error) => return Err(error.to_string()),
    };
    // The host of the prices replies so when they could not answer (`reply_on_failure`).
    if reply.properties.type_.as_deref() == Some("hive.failure") {
        return Err(format!("the prices failed: {}", reply.text()?));
    }
    let Some(cents) = reply.json::<Price>()?.cents else {
        let reason = format!("there is no article {:?}", order.article);
        return Ok(Action::reject(reason));
    };
    let quote = Quote {
        total_cents: cents * order.quantity,
        order: order.order,
    };
    Ok(Publication::to_queue("orders.quoted").json(&quote)?.into())
}

/// Whether the next attempt may go better although nobody changes anything.
fn may_pass(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::TimedOut | Failure::Disconnected | Failure::Refused
    )
}

#[cfg(test)]
mod tests {
    use hive_guest::requests::Error;
    use hive_guest::testing::{DeliveryBuilder, answer_requests};

    use super::*;

    fn quoted() -> Action {
        let order = r#"{"order":"o-1","article":"tea","quantity":3}"#;
        handle(DeliveryBuilder::new().text(order).build()).expect("it answers this")
    }

    #[test]
    fn an_order_costs_the_price_of_each_article() {
        answer_requests(|question| {
            assert_eq!(question.message.text(), Ok(r#"{"article":"tea"}"#));
            Ok(Publication::to_queue("").text(r#"{"cents":450}"#).message)
        });
        let action = quoted();
        let [quote] = action.publications() else {
            panic!("expected one publication, got {action:?}");
        };
        assert_eq!(
            quote.message.text(),
            Ok(r#"{"order":"o-1","total_cents":1350}"#)
        );
    }

    #[test]
    fn a_price_that_comes_late_is_asked_for_again() {
        answer_requests(|_| Err(Error::new(Failure::TimedOut, "no reply came in time")));
        assert!(quoted().as_retry().is_some());
    }
}
