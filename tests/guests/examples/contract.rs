//! Does what the header `do` says: the guest of the contract test in Rust.

use std::time::Duration;

use hive_guest::requests::{self, Failure};
use hive_guest::{Action, Delivery, FieldValue, Publication};
use hive_test_guests::{body, number, text, unchanged};

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let delay = Duration::from_millis(number(&delivery, "delay-ms").map_or(0, i64::unsigned_abs));
    let what = text(&delivery, "do").ok_or("there is no header `do`")?;
    let to_out = |text: &str| Publication::to_queue("out").text(text);
    Ok(match what.as_str() {
        "ack" => Action::Ack,
        "echo" => unchanged(&delivery, "", "out").into(),
        "publish-none" => Action::publish([]),
        "publish-one" => to_out("only").into(),
        "publish-several" => Action::publish(["first", "second", "third"].map(to_out)),
        "publish-everything" => everything().into(),
        "publish-delayed" => to_out("late").delay(delay).into(),
        "publish-nowhere" => Publication::to_queue("nowhere").mandatory(false).into(),
        "reply" => match delivery.reply() {
            Some(reply) => reply.text(format!("to {}", body(&delivery))).into(),
            None => Action::reject("the message says no reply-to"),
        },
        "request" => to_out(&asked(&body(&delivery), delay)).into(),
        "json" => {
            let got: serde_json::Value = delivery.json()?;
            Publication::to_queue("out")
                .json(&serde_json::json!({ "got": got }))?
                .into()
        }
        "tell" => to_out(&told(&delivery)).into(),
        "retry" => Action::retry("not now"),
        "retry-after" => Action::retry_after("not now", delay),
        "reject" => Action::reject("never: ünïcode ✓"),
        "error" => return Err("plain words".into()),
        "exception" | "trap" => panic!("deep trouble over {}", body(&delivery)),
        _ => return Err(format!("nothing is called {what}")),
    })
}

fn everything() -> Publication {
    let mut publication = Publication::to("everything", "every.thing")
        .body(vec![0, 255, 128, 10])
        .header("void", FieldValue::Void)
        .header("yes", true)
        .header("no", false)
        .header("least", i64::MIN)
        .header("most", i64::MAX)
        .header("small", -5)
        .header("double", 0.5)
        .header("whole", 2.0)
        .header("text", "ünïcode ✓")
        .header("bytes", vec![0_u8, 255])
        .header("when", FieldValue::Timestamp(1_700_000_000))
        .header(
            "nested",
            FieldValue::Nested(r#"{"list":[1,"x",true]}"#.into()),
        )
        .header("list", FieldValue::Nested("[1,2]".into()));
    let properties = &mut publication.message.properties;
    properties.persistent = false;
    properties.content_type = Some("text/plain".into());
    properties.content_encoding = Some("identity".into());
    properties.priority = Some(7);
    properties.correlation_id = Some("correlation".into());
    properties.reply_to = Some("answers".into());
    properties.expiration_ms = Some(3_600_000);
    properties.message_id = Some("id-1".into());
    properties.timestamp = Some(1_700_000_000);
    properties.type_ = Some("kind".into());
    properties.user_id = Some("guest".into());
    properties.app_id = Some("contract".into());
    publication
}

fn asked(text: &str, timeout: Duration) -> String {
    let mut question = Publication::to_queue("answers").text(text);
    question.message.properties.type_ = Some("question".into());
    let reply = match timeout {
        Duration::ZERO => requests::request(question),
        timeout => requests::request_within(question, timeout),
    };
    match reply {
        Ok(reply) => {
            let text = reply.text().unwrap_or_default();
            let kind = reply.properties.type_.as_deref().unwrap_or_default();
            let number = reply
                .properties
                .header("number")
                .and_then(FieldValue::as_integer);
            format!("{text} {kind} {}", number.unwrap_or_default())
        }
        Err(error) => word(error.failure).to_owned(),
    }
}

fn word(failure: Failure) -> &'static str {
    match failure {
        Failure::NotAllowed => "not-allowed",
        Failure::Refused => "refused",
        Failure::Unroutable => "unroutable",
        Failure::TimedOut => "timed-out",
        Failure::Disconnected => "disconnected",
        Failure::TooLarge => "too-large",
    }
}

fn told(delivery: &Delivery) -> String {
    let Delivery {
        queue,
        exchange,
        routing_key,
        redelivered,
        attempt,
        ..
    } = delivery;
    format!("{queue}|{exchange}|{routing_key}|{redelivered}|{attempt}")
}
