//! Prices orders.
//!
//! An order in JSON arrives; the component prices each line from its configuration and publishes
//! `order.priced`. While a price is not known yet the order is retried; an order that can never be
//! priced is rejected, with each fault named.

mod order;
mod prices;

use hive_guest::{Action, Delivery, Publication};

use order::{Line, Order, PricedLine, PricedOrder};

/// Where priced orders go, with the country of the customer as the last word of the routing key.
const EXCHANGE: &str = "orders";
const PRICED: &str = "order.priced";

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let order: Order = match delivery.json() {
        Ok(order) => order,
        // It will be as malformed next time, so a retry would only waste one.
        Err(error) => return Ok(Action::reject(error)),
    };
    let faults = order.faults();
    if !faults.is_empty() {
        return Ok(Action::reject(faults.join("; ")));
    }
    let priced = match price(&order)? {
        Priced::Known(priced) => priced,
        Priced::NotYet(sku) => {
            return Ok(Action::retry(format!("there is no price of {sku:?} yet")));
        }
    };
    let routing_key = format!("{PRICED}.{}", order.country.to_lowercase());
    let publication = Publication::to(EXCHANGE, routing_key).json(&priced)?;
    Ok(publication.into())
}

/// An order with its prices, as far as they are known.
enum Priced {
    Known(PricedOrder),
    NotYet(String),
}

fn price(order: &Order) -> Result<Priced, String> {
    let mut lines = Vec::with_capacity(order.lines.len());
    let mut total_cents: u64 = 0;
    for Line { sku, quantity } in &order.lines {
        let Some(each) = prices::cents(sku)? else {
            return Ok(Priced::NotYet(sku.clone()));
        };
        let out_of_range = || format!("the amount of {sku:?} is out of range");
        let cents = each
            .checked_mul((*quantity).into())
            .ok_or_else(out_of_range)?;
        total_cents = total_cents.checked_add(cents).ok_or_else(out_of_range)?;
        lines.push(PricedLine {
            sku: sku.clone(),
            quantity: *quantity,
            cents,
        });
    }
    Ok(Priced::Known(PricedOrder {
        id: order.id.clone(),
        country: order.country.clone(),
        currency: prices::currency()?,
        lines,
        total_cents,
    }))
}

#[cfg(test)]
mod tests {
    use hive_guest::testing::{DeliveryBuilder, set_config};
    use serde_json::{Value, json};

    use super::*;

    fn answer(order: Value) -> Result<Action, String> {
        set_config([
            ("currency", "EUR"),
            ("price.tea", "450"),
            ("price.cup", "1200"),
        ]);
        handle(
            DeliveryBuilder::new()
                .queue("orders.created")
                .json(&order)
                .build(),
        )
    }

    #[test]
    fn an_order_is_priced_in_whole_cents() {
        let action = answer(json!({
            "id": "o-1", "country": "PT",
            "lines": [{ "sku": "tea", "quantity": 3 }, { "sku": "cup", "quantity": 1 }],
        }))
        .unwrap();
        let [publication] = action.publications() else {
            panic!("expected one publication, got {action:?}");
        };
        assert_eq!(publication.exchange, "orders");
        assert_eq!(publication.routing_key, "order.priced.pt");
        assert!(publication.mandatory && publication.message.properties.persistent);
        assert_eq!(
            publication.message.json::<Value>().unwrap(),
            json!({
                "id": "o-1", "country": "PT", "currency": "EUR", "total_cents": 2550,
                "lines": [
                    { "sku": "tea", "quantity": 3, "cents": 1350 },
                    { "sku": "cup", "quantity": 1, "cents": 1200 },
                ],
            })
        );
    }

    #[test]
    fn the_samples_come_to_what_their_names_say() {
        set_config([
            ("currency", "EUR"),
            ("price.tea", "450"),
            ("price.cup", "1200"),
            ("price.kettle", "3990"),
        ]);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
        let mut seen = 0;
        for sample in std::fs::read_dir(folder).unwrap() {
            let path = sample.unwrap().path();
            let body = std::fs::read(&path).unwrap();
            let action = handle(DeliveryBuilder::new().body(body).build()).unwrap();
            let outcome = match action {
                Action::Publish(_) => "priced",
                Action::Retry(_) => "retried",
                Action::Reject(_) => "rejected",
                Action::Ack => "acked",
            };
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with(outcome), "{name} was {outcome}");
            seen += 1;
        }
        assert!(seen >= 3, "the samples are gone");
    }

    #[test]
    fn an_unknown_price_is_waited_for() {
        let order =
            json!({ "id": "o-2", "country": "PT", "lines": [{ "sku": "pot", "quantity": 1 }] });
        let action = answer(order).unwrap();
        let retry = action.as_retry().expect("a retry");
        assert!(retry.reason.contains("pot"));
        assert_eq!(
            retry.delay_ms, None,
            "how long is the retry policy's to say"
        );
    }

    #[test]
    fn every_fault_of_an_order_is_named() {
        let order =
            json!({ "id": "", "country": "Portugal", "lines": [{ "sku": "tea", "quantity": 0 }] });
        let action = answer(order).unwrap();
        let reason = action.as_reject().expect("a rejection");
        for field in ["id", "country", "lines[0].quantity"] {
            assert!(reason.contains(field), "{field} is missing in {reason:?}");
        }
    }

    #[test]
    fn every_field_that_is_missing_is_named() {
        let action = answer(json!({})).unwrap();
        let reason = action.as_reject().expect("a rejection");
        for field in ["id", "country", "lines"] {
            assert!(reason.contains(field), "{field} is missing in {reason:?}");
        }
    }

    #[test]
    fn what_is_no_order_is_rejected_with_the_place() {
        let order =
            json!({ "id": "o-3", "country": "PT", "lines": [{ "sku": "tea", "quantity": "two" }] });
        let action = answer(order).unwrap();
        let reason = action.as_reject().expect("a rejection");
        assert!(
            reason.contains("two") && reason.contains("line 1"),
            "{reason}"
        );
    }

    #[test]
    fn an_amount_that_is_no_money_is_an_error() {
        set_config([("currency", "EUR"), ("price.moon", "18446744073709551615")]);
        let order =
            json!({ "id": "o-4", "country": "PT", "lines": [{ "sku": "moon", "quantity": 2 }] });
        let error = handle(DeliveryBuilder::new().json(&order).build()).unwrap_err();
        assert!(error.contains("moon"));
    }

    #[test]
    fn a_price_that_is_no_number_is_an_error() {
        set_config([("currency", "EUR"), ("price.tea", "cheap")]);
        let order =
            json!({ "id": "o-5", "country": "PT", "lines": [{ "sku": "tea", "quantity": 1 }] });
        let error = handle(DeliveryBuilder::new().json(&order).build()).unwrap_err();
        assert!(error.contains("price.tea") && error.contains("cheap"));
    }
}
