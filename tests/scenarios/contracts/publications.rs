//! `schema.publications`: what a component may publish.

use anyhow::Result;
use hive_tests::{HiveToml, Message};
use serde_json::json;

use super::schema;
use crate::{assert_settled, consuming};

/// The component publishes the body to the queue that the header `routing-key` names.
fn publishing(publications: &str) -> HiveToml {
    let keys = format!("schema.publications = {{ {publications} }}\nretry = \"none\"");
    HiveToml::new()
        .queue("orders", "")
        .queue("invoices", "")
        .queue("audit", "")
        .component("publish", "")
        .consumer("orders", "publish", &keys)
}

fn to(queue: &str, body: &str) -> Message {
    Message::new(body).text_header("routing-key", queue)
}

#[tokio::test]
async fn a_publication_that_does_not_match_fails_its_delivery_and_nothing_is_published()
-> Result<()> {
    let invoice = schema(&json!({"required": ["total"]}));
    let toml = publishing(&format!("':inv*' = {invoice:?}"));
    let (vhost, mut host) = consuming("publications", toml).await?;
    let good = r#"{"total": 7}"#;
    vhost.publish("", "orders", to("invoices", good)).await?;
    assert_eq!(vhost.take_one("invoices").await?.text(), good);
    // Another routing key has no schema.
    vhost.publish("", "orders", to("audit", "{}")).await?;
    assert_eq!(vhost.take_one("audit").await?.text(), "{}");

    let both = to("audit", "{}").text_header("second-routing-key", "invoices");
    vhost.publish("", "orders", both).await?;
    let dead = vhost.take_one("orders.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    let expected = r#"publication 2 of 2, to exchange "" with routing key "invoices", does not match its schema: the whole: "total" is a required property (rule /required)"#;
    assert!(error.contains(expected), "{error}");
    assert_settled(&vhost, &mut host, "orders").await?;
    for queue in ["invoices", "audit"] {
        assert_eq!(vhost.ready(queue).await?, 0, "nothing of it is in {queue}");
    }
    Ok(())
}
