//! The life of a message: the component's view of it, its copies, and the component's publications.

use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use amq_protocol::frame::parsing::parse_content_header;
use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use hive_amqp::fuzzing::{
    self, EXCHANGE, REASON, RESERVED, ROUTING_KEY, STASHED, is_acted_on, is_brokers_own, is_holder,
};
use hive_amqp::{
    DeadLetterNote, DelayQueue, Original, Outgoing, PublishLimits, RetryNote, receive,
};
use hive_core::message::{Attempt, Envelope, Publication};
use hive_core::policy::{Failure, FailureClass};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::wire::{Choices, HEADER, content_header, frame, written};

const QUEUE: &str = "orders";

/// The smallest frame that AMQP lets anybody agree on.
const SMALLEST_FRAME: u32 = 4096;
/// Room for whatever is made here.
const LARGE_FRAME: u32 = 1 << 20;

/// Receives a message, and sends on everything that can come of it.
pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let attempt = Attempt::new(u32::from(choices.octet())).unwrap_or(Attempt::FIRST);
    let delivery = delivery(&mut choices);
    let (envelope, original) = receive(QUEUE.into(), delivery);
    check_envelope(&envelope);
    check_retry(&envelope, &original);
    check_dead_letter(&envelope, &original, attempt);
    check_publication(&envelope);
}

/// A delivery as lapin makes it from the frames of a broker.
fn delivery(choices: &mut Choices<'_>) -> Delivery {
    let body = choices.octet().to_string().into_bytes();
    let payload = screened(content_header(choices));
    let (_, header) = parse_content_header(&payload[..]).expect("the screen made it readable");
    let mut delivery = Delivery::mock(1, "shop".into(), "order.created".into(), false, body);
    delivery.properties = whole_dead_letter(header.properties);
    delivery
}

/// A content header as lapin gets it.
fn screened(mut payload: Vec<u8>) -> Vec<u8> {
    let screened = fuzzing::screen(HEADER, &mut payload, Vec::new(), &OnceLock::new());
    screened.anew.unwrap_or(payload)
}

/// A dead letter always says where the message was published to; only the host may mark a message as one.
fn whole_dead_letter(properties: BasicProperties) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    if headers.contains_key(REASON) {
        for name in [EXCHANGE, ROUTING_KEY] {
            headers.insert(name.into(), AMQPValue::LongString("first".into()));
        }
        return properties.with_headers(headers);
    }
    properties
}

fn limits(frame_max: u32) -> PublishLimits {
    PublishLimits {
        frame_max,
        user: Some("guest".into()),
    }
}

fn check_envelope(envelope: &Envelope) {
    for (name, _) in &envelope.message.properties.headers {
        assert!(!name.starts_with(STASHED), "{name} is shown");
    }
}

fn check_retry(envelope: &Envelope, original: &Original) {
    // No message of a stream is retried.
    if envelope.stream_offset.is_some() {
        return;
    }
    let delay_queue = DelayQueue {
        name: "orders.retry.10s".to_owned(),
        delay: Duration::from_secs(10),
        is_shared: false,
    };
    let error = "no ".repeat(envelope.attempt.get().min(1000) as usize);
    let copy = |frame_max| {
        Outgoing::retry_copy(
            original,
            envelope.message.body.clone(),
            &delay_queue,
            RetryNote {
                consumer: "orders",
                attempt: envelope.attempt.next(),
                limit: 15,
                class: Some(FailureClass::Error),
                error: &error,
                time: UNIX_EPOCH,
                // As jitter leaves it.
                wait: Duration::from_secs(9),
                trace: None,
            },
            &limits(frame_max),
        )
    };
    if let Ok(small) = copy(SMALLEST_FRAME) {
        check_wire(&small, SMALLEST_FRAME);
    }
    let copy = copy(LARGE_FRAME).expect("there is room for it");
    check_wire(&copy, LARGE_FRAME);
    let expiration = copy.properties.expiration().as_ref();
    assert_eq!(
        expiration.map(ShortString::as_str),
        Some("9000"),
        "it ends when its wait does"
    );
    for (name, _) in &copy.headers {
        assert!(!is_acted_on(name.as_str()), "the broker acts on {name}");
    }

    let (again, original_again) = receive(QUEUE.into(), come_back(&copy, QUEUE));
    assert_eq!(again.attempt, envelope.attempt.next());
    assert_same(&again.message, &envelope.message);
    assert_same(&again.exchange, &envelope.exchange);
    assert_same(&again.routing_key, &envelope.routing_key);
    // Whether its mark was drawn or read off a copy is how a message came, and no part of it.
    let told =
        |original: &Original| format!("{original:?}").replace("is_drawn: true", "is_drawn: false");
    assert_eq!(told(&original_again), told(original));
    let body = &envelope.message.body;
    assert_eq!(original_again.identity(body), original.identity(body));
}

fn check_dead_letter(envelope: &Envelope, original: &Original, attempt: Attempt) {
    let failure = Failure::new(
        FailureClass::Error,
        "no ".repeat(attempt.get() as usize * 20),
    );
    let dead_letter = |frame_max| {
        let note = DeadLetterNote {
            consumer: "orders",
            attempt,
            failure: &failure,
            time: UNIX_EPOCH,
            trace: None,
        };
        let body = envelope.message.body.clone();
        Outgoing::dead_letter(original, body, "orders.dead", note, &limits(frame_max))
            .expect("a dead letter always fits")
    };
    check_wire(&dead_letter(SMALLEST_FRAME), SMALLEST_FRAME);
    let dead = dead_letter(LARGE_FRAME);
    check_wire(&dead, LARGE_FRAME);

    // A component that reads the dead-letter queue sees the message as it was, and the note.
    let (read, _) = receive("orders.dead".into(), come_back(&dead, "orders.dead"));
    assert_eq!(read.attempt, Attempt::FIRST);
    assert_same(&without_notes(&read), &without_notes(envelope));
    assert_same(&read.message.body, &envelope.message.body);
}

/// The properties without what a dead letter says of itself, and what the broker adds.
fn without_notes(envelope: &Envelope) -> impl std::fmt::Debug {
    let mut properties = envelope.message.properties.clone();
    properties
        .headers
        .retain(|(name, _)| !name.starts_with(RESERVED) && !is_brokers_own(name));
    properties
}

fn check_publication(envelope: &Envelope) {
    let mut publication = Publication {
        exchange: envelope.exchange.clone(),
        routing_key: envelope.routing_key.clone(),
        message: envelope.message.clone(),
        mandatory: true,
        delay: None,
    };
    // It may ask for something that cannot be published, and gets an error.
    if let Ok(outgoing) = Outgoing::publication(&mut publication, "m-0", &limits(LARGE_FRAME)) {
        check_wire(&outgoing, LARGE_FRAME);
    }
}

/// The published bytes have the computed length and the intended content.
fn check_wire(outgoing: &Outgoing, frame_max: u32) {
    let properties = outgoing.all_properties();
    let written = header_frame(&properties, 0);
    // Type, channel and size stand before the payload, one octet after it.
    let payload = &written[7..written.len() - 1];
    let sent = fuzzing::restored(HEADER, payload).unwrap_or_else(|| payload.to_vec());
    let length = sent.len() + written.len() - payload.len();
    // A header's content is counted with the header, and not where it is referred to.
    if !outgoing
        .headers
        .inner()
        .keys()
        .any(|name| is_holder(name.as_str()))
    {
        assert_eq!(length, outgoing.header_frame, "its size was told wrong");
    }
    assert!(length <= frame_max as usize, "it is too large");
    // A host that reads it sees the same.
    let seen = screened(sent);
    let (_, read) = parse_content_header(&seen[..]).expect("lapin reads what the screen makes");
    assert_same(&read.properties, &properties);
    check_head(outgoing);
}

/// The frames that go to the broker are those that lapin would write, with what stands for bytes as those bytes.
fn check_head(outgoing: &Outgoing) {
    let header = header_frame(&outgoing.all_properties(), outgoing.body.len() as u64);
    let payload = &header[7..header.len() - 1];
    let payload = fuzzing::restored(HEADER, payload).unwrap_or_else(|| payload.to_vec());
    let head = fuzzing::head(1, outgoing);
    assert!(head.ends_with(&frame(HEADER, 1, &payload)));
}

fn header_frame(properties: &BasicProperties, body_size: u64) -> Vec<u8> {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size,
        properties: properties.clone(),
    };
    written(&AMQPFrame::Header(1, header))
}

/// A copy as the broker hands it out again.
fn come_back(copy: &Outgoing, queue: &str) -> Delivery {
    let mut headers = copy.all_properties().headers().clone().unwrap_or_default();
    let mut death = FieldTable::default();
    death.insert("count".into(), AMQPValue::LongLongInt(1));
    let deaths = vec![AMQPValue::FieldTable(death)];
    headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
    for name in [
        "x-first-death-exchange",
        "x-first-death-queue",
        "x-first-death-reason",
    ] {
        headers.insert(name.into(), AMQPValue::LongString("expired".into()));
    }
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(1));
    let queue = ShortString::try_new(queue).expect("it is short");
    let mut delivery = Delivery::mock(1, "".into(), queue, true, copy.body.to_vec());
    delivery.properties = copy.properties.clone().with_headers(headers);
    delivery
}

/// Compares as text: a number that is none is not equal to itself.
#[track_caller]
fn assert_same<T: std::fmt::Debug>(left: &T, right: &T) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
}
