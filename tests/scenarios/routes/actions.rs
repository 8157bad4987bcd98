//! Each action of a route, and what becomes of a message that an expression cannot be evaluated for.

use anyhow::Result;
use hive_tests::{HiveToml, Message, Vhost, eventually};

use crate::{assert_settled, consuming};

/// A consumer of `orders` with these routes, and the queue `out`.
fn orders(routes: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .routes("orders", routes, keys)
}

const ORDER: &str = r#"{"id": 7, "total": 1200.5, "country": "DE", "lines": [{"sku": "a\"b"}]}"#;

#[tokio::test]
async fn a_message_is_published_as_it_came() -> Result<()> {
    let audit = r#"{ when = 'headers.country == "DE" && body.total > 1000', publish = { exchange = "audit", routing_key = "de.large" } }"#;
    let toml = orders(audit, r#"otherwise = "ack""#)
        .exchange("audit", r#"type = "topic""#)
        .queue(
            "large",
            r#"bindings = [{ exchange = "audit", routing_key = "*.large" }]"#,
        );
    let (vhost, mut host) = consuming("publish", toml).await?;
    let order = Message::new(ORDER)
        .with(|properties| {
            properties
                .with_message_id("m-1".into())
                .with_correlation_id("c-1".into())
                .with_content_type("application/json".into())
        })
        .text_header("country", "DE")
        .header("size", 3_i64);
    let small = Message::new(r#"{"total": 3}"#).text_header("country", "DE");
    vhost.publish_all("", "orders", [small, order]).await?;
    let published = vhost.take_one("large").await?;
    assert_eq!(published.exchange, "audit");
    assert_eq!(published.routing_key, "de.large");
    assert_eq!(published.text(), ORDER);
    assert_eq!(published.id(), "m-1");
    let correlation_id = published.properties.correlation_id().as_ref();
    assert_eq!(
        correlation_id.map(ToString::to_string).as_deref(),
        Some("c-1")
    );
    assert_eq!(published.text_of("country").as_deref(), Some("DE"));
    assert_eq!(published.number_of("size"), Some(3));
    assert_settled(&vhost, &mut host, "orders").await?;
    assert_eq!(vhost.ready("large").await?, 0, "the small one is not there");
    assert_eq!(vhost.ready("orders.dead").await?, 0, "nothing failed");
    Ok(())
}

#[tokio::test]
async fn a_message_is_published_with_another_body_and_other_headers() -> Result<()> {
    let rename = r#"{ publish = {
        exchange = "", routing_key = "{{ has(headers.to) ? headers.to : 'out' }}",
        body = '{"order": {{ body.id }}, "skus": {{ json(body.lines.map(line, line.sku)) }}}',
        content_type = "application/json",
        headers = { country = "{{ body.country.lowerAscii() }}", from = "{{ queue }}/{{ attempt }}" },
    } }"#;
    let (vhost, mut host) = consuming("rename", orders(rename, "")).await?;
    let order = Message::new(ORDER).text_header("country", "unknown");
    vhost.publish("", "orders", order).await?;
    let published = vhost.take_one("out").await?;
    assert_eq!(published.text(), r#"{"order": 7, "skus": ["a\"b"]}"#);
    assert_eq!(published.text_of("country").as_deref(), Some("de"));
    assert_eq!(published.text_of("from").as_deref(), Some("orders/1"));
    let content_type = published.properties.content_type().as_ref();
    assert_eq!(
        content_type.map(ToString::to_string).as_deref(),
        Some("application/json")
    );
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn a_publication_may_be_delayed() -> Result<()> {
    let later = r#"{ publish = { exchange = "", routing_key = "out", delay = "1h" } }"#;
    let (vhost, mut host) = consuming("delay", orders(later, "")).await?;
    vhost.publish("", "orders", Message::new(ORDER)).await?;
    assert_delayed(&vhost).await?;
    host.stop().await?;
    assert_eq!(vhost.ready("out").await?, 0, "it is published at once");
    assert_eq!(vhost.ready("orders.dead").await?, 0, "nothing failed");
    Ok(())
}

/// Waits until the message is in a queue of delayed publications.
async fn assert_delayed(vhost: &Vhost) -> Result<()> {
    let delayed = async || {
        let mut waiting = 0;
        for queue in vhost.queues()? {
            if queue.starts_with("hive.delay.") {
                waiting += vhost.ready(&queue).await?;
            }
        }
        Ok(waiting)
    };
    eventually("the publication waits", delayed, |count| *count == 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_rejected_message_is_dead_at_once_with_the_reason() -> Result<()> {
    let empty =
        r#"{ when = 'size(body.lines) == 0', reject = "order {{ body.id }} without lines" }"#;
    let (vhost, mut host) = consuming("reject", orders(empty, r#"otherwise = "ack""#)).await?;
    let bodies = [r#"{"id": 1, "lines": []}"#, ORDER];
    vhost
        .publish_all("", "orders", bodies.map(Message::new))
        .await?;
    let dead = vhost.take_one("orders.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("rejected"));
    assert_eq!(
        dead.text_of("x-hive-error").as_deref(),
        Some("order 1 without lines")
    );
    assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
    assert_settled(&vhost, &mut host, "orders").await?;
    assert_eq!(vhost.ready("orders.dead").await?, 0, "one was acknowledged");
    Ok(())
}

#[tokio::test]
async fn a_retry_spends_attempts_until_the_message_is_dead() -> Result<()> {
    let routes = r#"
        { when = "attempt > 2 && !has(body.never)", publish = { exchange = "", routing_key = "out" } },
        { when = "body.never", retry = { reason = "never {{ body.id }}", delay = "20ms" } },
        { retry = "later" }"#;
    let keys = r#"retry = { limit = 2, delays = ["20ms"] }"#;
    let (vhost, mut host) = consuming("retry", orders(routes, keys)).await?;
    let bodies = [r#"{"id": 1}"#, r#"{"id": 2, "never": true}"#];
    vhost
        .publish_all("", "orders", bodies.map(Message::new))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), bodies[0]);
    let dead = vhost.take_one("orders.dead").await?;
    assert_eq!(dead.text(), bodies[1]);
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("retry"));
    assert_eq!(dead.text_of("x-hive-error").as_deref(), Some("never 2"));
    assert_eq!(dead.number_of("x-hive-attempts"), Some(3));
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn the_first_route_that_holds_is_taken_and_otherwise_is_for_the_rest() -> Result<()> {
    let routes = r#"
        { when = 'headers.kind == "heartbeat"', ack = true },
        { when = 'headers.kind.startsWith("h")', publish = { exchange = "", routing_key = "out" } }"#;
    for (otherwise, reason) in [
        ("", "rejected"),
        (r#"otherwise = "reject""#, "rejected"),
        (r#"otherwise = "retry""#, "retry"),
    ] {
        let keys = format!("{otherwise}\nretry = {{ limit = 0 }}");
        let (vhost, mut host) = consuming("otherwise", orders(routes, &keys)).await?;
        let kinds = ["heartbeat", "hello", "other"];
        let messages = kinds.map(|kind| Message::new(kind).text_header("kind", kind));
        let nothing = Message::new("without a header");
        vhost.publish_all("", "orders", messages).await?;
        vhost.publish("", "orders", nothing).await?;
        assert_eq!(vhost.take_one("out").await?.text(), "hello");
        for dead in vhost.take("orders.dead", 2).await? {
            assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some(reason));
            let error = dead.text_of("x-hive-error");
            assert_eq!(error.as_deref(), Some("no route holds"));
        }
        assert_settled(&vhost, &mut host, "orders").await?;
        assert_eq!(vhost.ready("out").await?, 0, "only one is published");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_expression_cannot_be_evaluated_for_is_dead_at_once_with_its_place() -> Result<()> {
    let routes = r#"
        { when = 'headers.kind == "list" && body.all(a, body.all(b, body.all(c, a + b > c)))', ack = true },
        { when = "body.total > 1000", publish = { exchange = "", routing_key = "{{ body.to }}" } }"#;
    let (vhost, mut host) = consuming("faults", orders(routes, "")).await?;
    let many = format!("[{}]", vec!["1"; 500].join(","));
    for (kind, body, says) in [
        (
            "text",
            "not JSON",
            r#"routes[1]: "body.total > 1000": the body is not JSON"#,
        ),
        (
            "order",
            r#"{"total": "many"}"#,
            r#"routes[1]: "body.total > 1000": found no matching overload"#,
        ),
        (
            "order",
            r#"{"total": 2000}"#,
            r#"routes[1]: "body.to": the message has no "to""#,
        ),
        ("list", &many, "too much work for this message"),
    ] {
        let message = Message::new(body).text_header("kind", kind);
        vhost.publish("", "orders", message).await?;
        let dead = vhost.take_one("orders.dead").await?;
        let error = dead.text_of("x-hive-error").unwrap_or_default();
        assert!(error.contains(says), "{says}: {error}");
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("rejected"));
        assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
    }
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn a_publication_that_the_broker_does_not_take_fails_the_delivery() -> Result<()> {
    let routes =
        r#"{ publish = { exchange = "{{ headers.exchange }}", routing_key = "nowhere" } }"#;
    let (vhost, mut host) = consuming("refused", orders(routes, "retry = { limit = 0 }")).await?;
    for exchange in ["", "not.there"] {
        let message = Message::new("x").text_header("exchange", exchange);
        vhost.publish("", "orders", message).await?;
        let dead = vhost.take_one("orders.dead").await?;
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    }
    assert_settled(&vhost, &mut host, "orders").await
}
