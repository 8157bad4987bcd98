//! The contract as each language's guest keeps it: the same table for all of them.

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Language, Message, Vhost};
use lapin::ExchangeKind;
use lapin::types::{AMQPValue, ByteArray, FieldArray, FieldTable};
use serde_json::{Value, json};

use crate::assert_settled;

/// The queue whose failures are dead at once, and the one whose failures wait.
const QUEUE: &str = "letters";
const PATIENT: &str = "patient";

/// How a delivery fails that the guest is asked to fail.
struct Failure {
    reason: &'static str,
    says: Vec<String>,
}

/// What is a language's own: how it tells an exception, and what ends an instance.
struct Speech {
    language: Language,
    exception: Failure,
    trap: Failure,
}

/// A guest of the language at work.
struct Guest {
    vhost: Vhost,
    host: HostProcess,
}

#[tokio::test]
async fn contract_rust() -> Result<()> {
    let language = Language::RUST;
    let place = format!("contract.rs:{}", language.line_with("deep trouble"));
    let panics = || Failure {
        reason: "trap",
        says: vec!["deep trouble over \"a body\"".into(), place.clone()],
    };
    keeps_the_contract(Speech {
        language,
        exception: panics(),
        trap: panics(),
    })
    .await
}

#[tokio::test]
async fn contract_javascript() -> Result<()> {
    keeps_the_contract(of_javascript(Language::JAVASCRIPT, "contract.js")).await
}

#[tokio::test]
async fn contract_typescript() -> Result<()> {
    keeps_the_contract(of_javascript(Language::TYPESCRIPT, "contract.ts")).await
}

fn of_javascript(language: Language, file: &str) -> Speech {
    let thrown = language.line_with("throw new RangeError");
    let cause = language.line_with("new Error(delivery.text())");
    Speech {
        language,
        exception: Failure {
            reason: "error",
            says: vec![
                "RangeError: deep trouble".into(),
                format!("{file}:{thrown}:"),
                "caused by Error: \"a body\"".into(),
                format!("{file}:{cause}:"),
            ],
        },
        trap: memory_is_out(),
    }
}

#[tokio::test]
async fn contract_python() -> Result<()> {
    let language = Language::PYTHON;
    let place = |text| {
        let line = language.line_with(text);
        format!("File \"contract.py\", line {line}, in deep")
    };
    keeps_the_contract(Speech {
        language,
        exception: Failure {
            reason: "error",
            says: vec![
                "ValueError: deep trouble".into(),
                place("deep trouble"),
                "caused by KeyError: '\"a body\"'".into(),
                place("raise KeyError"),
            ],
        },
        trap: memory_is_out(),
    })
    .await
}

#[tokio::test]
async fn contract_c() -> Result<()> {
    let language = Language::C;
    let ensured = language.line_with("HIVE_ENSURE");
    let trapped = language.line_with("boom();");
    keeps_the_contract(Speech {
        language,
        exception: Failure {
            reason: "error",
            says: vec![
                format!("contract.c:{ensured}: "),
                "delivery->message.body.size == 0".into(),
            ],
        },
        trap: Failure {
            reason: "trap",
            says: vec![format!("boom < hive_handle (contract.c:{trapped})")],
        },
    })
    .await
}

#[tokio::test]
async fn contract_go() -> Result<()> {
    let language = Language::GO;
    let place = language.line_with("deep trouble");
    keeps_the_contract(Speech {
        language,
        exception: Failure {
            reason: "error",
            says: vec![
                "panic: deep trouble over \"a body\"".into(),
                format!("at main.deep (contract.go:{place})"),
            ],
        },
        trap: Failure {
            reason: "trap",
            says: vec!["exited with a failure".into()],
        },
    })
    .await
}

fn memory_is_out() -> Failure {
    Failure {
        reason: "limit",
        says: vec!["its limit is 67108864 bytes".into()],
    }
}

/// The table.
async fn keeps_the_contract(speech: Speech) -> Result<()> {
    let mut guest = Guest::of(speech.language).await?;

    for nothing in ["ack", "publish-none", "publish-nowhere"] {
        guest.told(QUEUE, nothing).await?;
    }
    guest.echoes_every_message().await?;
    guest
        .publishes("publish-several", &["first", "second", "third"])
        .await?;
    guest.publishes("publish-one", &["only"]).await?;
    guest.publishes("publish-delayed", &["late"]).await?;
    let told = format!("{QUEUE}||{QUEUE}|false|1");
    guest.publishes("tell", &[&told]).await?;
    guest.replies().await?;
    guest.reads_and_writes_json().await?;
    guest.publishes_every_property_and_header().await?;

    guest
        .fails("reject", "rejected", &["never: ünïcode ✓"])
        .await?;
    guest.fails("error", "error", &["plain words"]).await?;
    for (what, failure) in [("exception", speech.exception), ("trap", speech.trap)] {
        let says: Vec<&str> = failure.says.iter().map(String::as_str).collect();
        guest.fails(what, failure.reason, &says).await?;
    }
    guest
        .fails("no such thing", "error", &["nothing is called"])
        .await?;
    guest.retries().await?;

    guest.leaves_nothing().await
}

impl Guest {
    async fn of(language: Language) -> Result<Self> {
        let toml = HiveToml::new()
            .queue(QUEUE, "")
            .queue(PATIENT, "")
            .queue("out", "")
            .component_at("guest", &language.guest(), "timeout = \"20s\"")
            .consumer(QUEUE, "guest", "retry = { limit = 0 }")
            .consumer(PATIENT, "guest", "retry = { limit = 1, delays = [\"1h\"] }");
        let vhost = Broker::shared().await?.vhost(language.name).await?;
        vhost
            .declare_exchange("everything", ExchangeKind::Topic)
            .await?;
        let host = HostProcess::run(&vhost, &toml).await?;
        vhost.bind("out", "everything", "every.*").await?;
        Ok(Self { vhost, host })
    }

    async fn told(&self, queue: &str, what: &str) -> Result<()> {
        self.send(queue, Message::new("\"a body\""), what).await
    }

    async fn send(&self, queue: &str, message: Message, what: &str) -> Result<()> {
        let message = message.text_header("do", what).header("delay-ms", 100_i64);
        self.vhost.publish("", queue, message).await
    }

    async fn publishes(&self, what: &str, bodies: &[&str]) -> Result<()> {
        self.told(QUEUE, what).await?;
        let published = self.vhost.take("out", bodies.len()).await;
        let published = published.with_context(|| format!("it was told to {what}"))?;
        let published: Vec<String> = published.iter().map(Message::text).collect();
        assert_eq!(published, bodies, "it was told to {what}");
        Ok(())
    }

    async fn echoes_every_message(&self) -> Result<()> {
        let bytes: Vec<u8> = (0..=255).collect();
        let bodies = [
            Vec::new(),
            "ünïcode ✓ 🦀".into(),
            b"42".to_vec(),
            bytes.clone(),
            bytes.repeat(4096),
        ];
        for body in bodies {
            let size = body.len();
            let sent = everything(body);
            self.send(QUEUE, sent.clone(), "echo").await?;
            let came = self.vhost.take_one("out").await?;
            let sent = sent.text_header("do", "echo").header("delay-ms", 100_i64);
            assert!(came.body == sent.body, "a body of {size} bytes is another");
            assert_same(&came, &sent);
        }
        Ok(())
    }

    async fn publishes_every_property_and_header(&self) -> Result<()> {
        self.told(QUEUE, "publish-everything").await?;
        let came = self.vhost.take_one("out").await?;
        assert_eq!(came.exchange, "everything");
        assert_eq!(came.routing_key, "every.thing");
        assert_ne!(*came.properties.delivery_mode(), Some(2), "not persistent");
        let expected = everything(vec![0, 255, 128, 10]);
        assert_eq!(came.body, expected.body);
        assert_same(&came, &expected);
        Ok(())
    }

    async fn replies(&self) -> Result<()> {
        let question = Message::new("a question").with(|properties| {
            properties
                .with_reply_to("out".into())
                .with_correlation_id("call-7".into())
        });
        self.send(QUEUE, question, "reply").await?;
        let reply = self.vhost.take_one("out").await?;
        assert_eq!(reply.text(), "to a question");
        let id = reply.properties.correlation_id().as_ref();
        assert_eq!(id.map(ToString::to_string).as_deref(), Some("call-7"));
        self.fails("reply", "rejected", &["reply-to"]).await
    }

    async fn reads_and_writes_json(&self) -> Result<()> {
        let value = json!({"ünïcode": ["✓", 1, 0.5, null, true]});
        let message = Message::new(value.to_string());
        self.send(QUEUE, message, "json").await?;
        let came = self.vhost.take_one("out").await?;
        let got: Value = serde_json::from_slice(&came.body)?;
        assert_eq!(got, json!({ "got": value }));
        let kind = came.properties.content_type().as_ref();
        assert_eq!(
            kind.map(ToString::to_string).as_deref(),
            Some("application/json")
        );
        Ok(())
    }

    async fn fails(&self, what: &str, reason: &str, says: &[&str]) -> Result<()> {
        self.told(QUEUE, what).await?;
        let dead = self.vhost.take_one("letters.dead").await;
        let dead = dead.with_context(|| format!("it was told to {what}"))?;
        let error = dead.text_of("x-hive-error").unwrap_or_default();
        assert_eq!(
            dead.text_of("x-hive-reason").as_deref(),
            Some(reason),
            "{what}: {error}"
        );
        for part in says {
            ensure!(error.contains(part), "{what}: no {part:?} in {error:?}");
        }
        // The log has the same words.
        let first = says.first().context("a failure says something")?;
        let settled = self.host.wait_for_event_naming("delivery.settled", first);
        settled.await?;
        Ok(())
    }

    async fn retries(&self) -> Result<()> {
        self.told(PATIENT, "retry").await?;
        self.vhost.wait_ready("patient.retry.1h", 1).await?;
        // Its own delay brings it back, and the second attempt is the last.
        self.told(PATIENT, "retry-after").await?;
        let dead = self.vhost.take_one("patient.dead").await?;
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("retry"));
        assert_eq!(dead.text_of("x-hive-error").as_deref(), Some("not now"));
        assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
        assert_eq!(
            self.vhost.ready("patient.retry.1h").await?,
            1,
            "one waits for an hour"
        );
        Ok(())
    }

    async fn leaves_nothing(&mut self) -> Result<()> {
        assert_settled(&self.vhost, &mut self.host, QUEUE).await?;
        for queue in ["out", "letters.dead", PATIENT, "patient.dead"] {
            assert_eq!(
                self.vhost.ready(queue).await?,
                0,
                "too much came to `{queue}`"
            );
        }
        Ok(())
    }
}

/// Every property and every kind of header: what a guest echoes, and what it makes by itself.
fn everything(body: Vec<u8>) -> Message {
    let mut mixed = FieldArray::default();
    mixed.push(AMQPValue::LongLongInt(1));
    mixed.push(AMQPValue::LongString("x".into()));
    mixed.push(AMQPValue::Boolean(true));
    let mut nested = FieldTable::default();
    nested.insert("list".into(), AMQPValue::FieldArray(mixed));
    let mut list = FieldArray::default();
    list.push(AMQPValue::LongLongInt(1));
    list.push(AMQPValue::LongLongInt(2));
    let bytes: ByteArray = vec![0, 255].into();
    Message::new(body)
        .with(|properties| {
            properties
                .with_delivery_mode(1)
                .with_content_type("text/plain".into())
                .with_content_encoding("identity".into())
                .with_priority(7)
                .with_correlation_id("correlation".into())
                .with_reply_to("answers".into())
                .with_expiration("3600000".into())
                .with_message_id("id-1".into())
                .with_timestamp(1_700_000_000)
                .with_type("kind".into())
                .with_user_id("guest".into())
                .with_app_id("contract".into())
        })
        .header("void", AMQPValue::Void)
        .header("yes", true)
        .header("no", false)
        .header("least", i64::MIN)
        .header("most", i64::MAX)
        .header("small", -5_i64)
        .header("double", 0.5_f64)
        .header("whole", 2.0_f64)
        .text_header("text", "ünïcode ✓")
        .header("bytes", AMQPValue::ByteArray(bytes))
        .header("when", AMQPValue::Timestamp(1_700_000_000))
        .header("nested", AMQPValue::FieldTable(nested))
        .header("list", AMQPValue::FieldArray(list))
}

/// The same properties and headers, but for what the host adds.
#[track_caller]
fn assert_same(came: &Message, expected: &Message) {
    assert_eq!(came.own_headers(), expected.own_headers());
    let without_headers = |message: &Message| {
        message
            .properties
            .clone()
            .with_headers(FieldTable::default())
            // AMQP has two ways to say "not persistent".
            .with_delivery_mode(message.properties.delivery_mode().unwrap_or(1))
    };
    assert_eq!(without_headers(came), without_headers(expected));
}
