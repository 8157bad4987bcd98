//! Conditions, texts and routes, as hive.toml has them.

use std::time::Duration;

use hive_core::message::{Attempt, Envelope, FieldValue, Message, Properties};
use hive_core::policy::Outcome;
use hive_routes::{
    Answer, Expression, Failure, Known, Publish, Route, Routes, Template, Unreached, View, Why,
};

fn delivery(body: &str) -> Envelope {
    let headers = [
        ("country", FieldValue::Text("DE".into())),
        ("size", FieldValue::Integer(3)),
        ("nested", FieldValue::Nested(r#"{"a": [1, 2]}"#.into())),
    ];
    Envelope {
        message: Message {
            properties: Properties {
                headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
                content_type: Some("application/json".into()),
                message_id: Some("m-1".into()),
                persistent: true,
                user_id: Some("shop".into()),
                ..Properties::default()
            },
            body: body.to_owned().into(),
        },
        queue: "orders".into(),
        exchange: "shop".into(),
        routing_key: "order.created".into(),
        redelivered: false,
        attempt: Attempt::FIRST,
        stream_offset: None,
    }
}

fn holds(condition: &str, body: &str) -> Result<bool, Failure> {
    let envelope = delivery(body);
    let condition =
        Expression::condition(condition).unwrap_or_else(|fault| panic!("{condition}: {fault}"));
    condition.holds(&View::of(&envelope))
}

const ORDER: &str = r#"{"total": 1200.5, "lines": [{"sku": "a", "count": 2}], "note": null}"#;

#[test]
fn a_condition_looks_at_every_part_of_a_delivery() {
    for condition in [
        r#"headers.country == "DE" && body.total > 1000"#,
        "size(body.lines) == 1",
        r#"body.lines.exists(line, line.sku == "a" && line.count >= 2)"#,
        r#"routing_key.startsWith("order.") && exchange == "shop" && queue == "orders""#,
        "attempt == 1 && !redelivered",
        r#"properties.content_type == "application/json" && properties.persistent"#,
        r#"has(properties.message_id) && !has(properties.correlation_id)"#,
        r#"headers["size"] == 3 && headers.nested.a[1] == 2"#,
        "body.note == null",
        r#""sku" in body.lines[0]"#,
    ] {
        assert_eq!(holds(condition, ORDER), Ok(true), "{condition}");
    }
    assert_eq!(holds("body.total > 2000", ORDER), Ok(false));
}

#[test]
fn what_a_message_does_not_have_makes_no_condition_hold() {
    for condition in [
        r#"headers.region == "EU""#,
        "body.customer.id == 1",
        "properties.priority > 3",
    ] {
        assert_eq!(holds(condition, ORDER), Ok(false), "{condition}");
    }
}

#[test]
fn a_body_that_is_no_json_and_a_wrong_type_are_failures_with_words() {
    let failure = holds("body.total > 1", "hello").unwrap_err();
    assert!(matches!(&failure.why, Why::Body(_)), "{failure}");
    assert_eq!(holds(r#"headers.country == "DE""#, "hello"), Ok(true));
    let failure = holds(r#"body.total.startsWith("1")"#, ORDER).unwrap_err();
    assert!(
        matches!(&failure.why, Why::Other(text) if text.contains("startsWith")),
        "{failure}"
    );
}

#[test]
fn what_can_be_known_beforehand_is_a_fault_with_its_place() {
    for (condition, says, column) in [
        ("headers.country = 1", "compared with `==`", Some(17)),
        ("headers.country ==", "too early", None),
        ("headers.country 1", "not an expression", None),
        (r#"hedaers.country == "DE""#, "did you mean", Some(1)),
        (r#"properties.contnt_type == "x""#, "contnt_type", None),
        (r#"attempt == "1""#, "compares a number with a text", None),
        ("size(body)", "is a number", None),
        (r#"routing_key && redelivered"#, "joins a text", None),
        ("siez(body) > 1", "siez", None),
        ("routing_key.part == 1", "looks for", None),
    ] {
        let fault = Expression::condition(condition).expect_err(condition);
        assert!(fault.message.contains(says), "{condition}: {fault}");
        if column.is_some() {
            assert_eq!(fault.column, column, "{condition}: {fault}");
        }
    }
    let fault = Expression::condition(&format!("{} == 1", "1 + ".repeat(2000))).unwrap_err();
    assert!(fault.message.contains("4096"), "{fault}");
}

#[test]
fn a_condition_that_depends_on_no_delivery_is_known() {
    let known = |condition: &str| Expression::condition(condition).unwrap().known();
    assert_eq!(known("true"), Some(Known::Always));
    assert_eq!(known("1 > 2"), Some(Known::Never));
    assert_eq!(known("attempt > 2"), None);
}

#[test]
fn what_takes_too_much_ends() {
    let many = format!("[{}]", vec!["1"; 1000].join(","));
    let text = format!("{:?}", "x".repeat(1 << 20));
    assert_eq!(holds("body.all(a, a == 1)", &many), Ok(true));
    assert_eq!(
        holds("body.all(a, body.exists(b, b > a)) || true", "[1]"),
        Ok(true)
    );
    for (condition, body) in [
        ("body.all(a, body.all(b, a == b))", &many),
        // An error beside `true` is none in CEL; this one is.
        ("body.all(a, body.all(b, a == b)) || true", &many),
        ("size(body.map(a, body.map(b, b))) > 0", &many),
        ("body.all(a, a in body && body == body)", &many),
        (
            "[1, 2, 3, 4, 5, 6, 7, 8, 9].all(a, size([body, body, body, body, body, body, body]) < 9)",
            &text,
        ),
        ("body.replace('x', body) == ''", &text),
        ("size(body.split('').join(body)) > 0", &text),
        (
            &format!("size([body]{}) > 0", ".map(x, x + x)".repeat(40)),
            &text,
        ),
        (
            &format!("size([[1, 2]]{}[0]) > 0", ".map(x, x + x)".repeat(40)),
            &text,
        ),
        (
            &format!("size({}) > 0", vec!["body"; 500].join(" + ")),
            &text,
        ),
    ] {
        let failure = holds(condition, body).expect_err(condition);
        assert_eq!(failure.why, Why::TooMuch, "{condition}: {failure}");
    }
}

#[test]
fn a_text_takes_values_in_double_braces() {
    let envelope = delivery(ORDER);
    let view = View::of(&envelope);
    let text = |source: &str| Template::compile(source).unwrap().text(&view).unwrap();
    assert_eq!(text("orders"), "orders");
    assert_eq!(
        text("orders.{{ headers.country.lowerAscii() }}"),
        "orders.de"
    );
    assert_eq!(
        text(r#"{"total": {{ body.total }}, "lines": {{body.lines.map(l, l.sku)}}}"#),
        r#"{"total": 1200.5, "lines": ["a"]}"#
    );
    assert_eq!(
        text(r#"{"note": {{ json(body.note) }}, "sku": {{ json(body.lines[0].sku + '"') }}}"#),
        r#"{"note": null, "sku": "a\""}"#
    );
    assert_eq!(text(r#"{{ {"a": {"b": "}}"}}.a.b }}"#), "}}");
    assert_eq!(Template::compile("orders").unwrap().fixed(), Some("orders"));
    assert_eq!(Template::compile("o.{{queue}}").unwrap().fixed(), None);
    let fault = Template::compile("äö {{ queu }}").unwrap_err();
    assert_eq!(fault.column, Some(7), "{fault}");
    let fault = Template::compile("a {{ queue").unwrap_err();
    assert!(fault.message.contains("without its"), "{fault}");
}

fn text(source: &str) -> Template {
    Template::compile(source).unwrap()
}

fn routes() -> Routes {
    let when = |source: &str| Some(Expression::condition(source).unwrap());
    Routes {
        routes: vec![
            Route {
                when: when("size(body.lines) == 0"),
                answer: Answer::Reject(text("an order of {{ headers.country }} without lines")),
            },
            Route {
                when: when("body.total > 1000"),
                answer: Answer::Publish(Box::new(Publish {
                    exchange: text("audit"),
                    routing_key: Some(text("{{ headers.country }}.large")),
                    body: None,
                    content_type: None,
                    headers: vec![("size".into(), text("{{ size(body.lines) }} lines"))],
                    delay: None,
                })),
            },
            Route {
                when: when("body.later"),
                answer: Answer::Retry(text("not yet"), Some(Duration::from_secs(5))),
            },
        ],
        otherwise: Answer::Ack,
    }
}

#[test]
fn the_first_route_that_holds_says_what_becomes_of_a_delivery() {
    let routes = routes();
    let Outcome::Handled(published) = routes.answer(&delivery(ORDER)) else {
        panic!("it is published");
    };
    let [publication] = &published[..] else {
        panic!("once: {published:?}");
    };
    assert_eq!(
        (&*publication.exchange, &*publication.routing_key),
        ("audit", "DE.large")
    );
    assert_eq!(publication.message.body, ORDER.as_bytes());
    let properties = &publication.message.properties;
    let size = properties.headers.iter().find(|(name, _)| name == "size");
    assert_eq!(
        size,
        Some(&("size".into(), FieldValue::Text("1 lines".into())))
    );
    assert_eq!(properties.user_id, None);
    assert_eq!(properties.message_id.as_deref(), Some("m-1"));
    assert_eq!(
        routes.answer(&delivery(r#"{"lines": []}"#)),
        Outcome::Rejected("an order of DE without lines".into())
    );
    let Outcome::RetryAsked(retry) = routes.answer(&delivery(r#"{"lines": [1], "later": true}"#))
    else {
        panic!("it is retried");
    };
    assert_eq!(retry.delay, Some(Duration::from_secs(5)));
    assert_eq!(
        routes.answer(&delivery(r#"{"lines": [1]}"#)),
        Outcome::Handled(Vec::new())
    );
    let Outcome::Rejected(reason) = routes.answer(&delivery("hello")) else {
        panic!("it is rejected");
    };
    assert!(
        reason.starts_with(r#"routes[0]: "size(body.lines) == 0": the body is not JSON"#),
        "{reason}"
    );
}

#[test]
fn routes_that_are_never_reached_are_told() {
    let route = |when: Option<&str>| Route {
        when: when.map(|when| Expression::condition(when).unwrap()),
        answer: Answer::Ack,
    };
    let routes = Routes {
        routes: vec![
            route(Some("1 > 2")),
            route(Some("attempt > 1")),
            route(Some("attempt  >  1")),
            route(None),
            route(Some("redelivered")),
        ],
        otherwise: Answer::Ack,
    };
    assert_eq!(
        routes.unreached(),
        [
            (0, Unreached::Never),
            (2, Unreached::Twin(1)),
            (4, Unreached::Behind(3))
        ]
    );
}
