//! Tests of the parent: a message goes through copies and comes out as it was.

use hive_core::policy::FailureClass;
use lapin::message::Delivery;
use proptest::prelude::*;

use super::*;
use crate::message::death::{read_death, without_deaths};
use crate::message::original::receive;
use crate::message::strategies::any_properties;

fn limits(frame_max: u32) -> PublishLimits {
    PublishLimits {
        frame_max,
        user: Some("guest".into()),
    }
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn delivery(properties: BasicProperties) -> Delivery {
    let mut delivery = Delivery::mock(
        1,
        "shop".into(),
        "order.created".into(),
        false,
        b"{}".to_vec(),
    );
    delivery.properties = properties;
    delivery
}

/// A copy after its way through a delay queue, as the broker delivers it.
fn come_back(outgoing: &Outgoing) -> Delivery {
    let mut headers = outgoing
        .all_properties()
        .headers()
        .clone()
        .unwrap_or_default();
    headers.insert(
        "x-death".into(),
        AMQPValue::FieldArray(vec![AMQPValue::Void].into()),
    );
    headers.insert("x-first-death-reason".into(), text("expired"));
    let mut delivery = Delivery::mock(1, "".into(), "orders".into(), false, outgoing.body.to_vec());
    delivery.properties = outgoing.properties.clone().with_headers(headers);
    delivery
}

fn delay_queue() -> DelayQueue {
    DelayQueue {
        name: "orders.retry.10s".to_owned(),
        delay: Duration::from_secs(10),
        is_shared: false,
    }
}

fn waits_for(attempt: Attempt, error: &str) -> RetryNote<'_> {
    RetryNote {
        consumer: "orders",
        attempt,
        limit: 15,
        class: Some(FailureClass::Error),
        error,
        time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_500),
        wait: Duration::from_secs(10),
        trace: None,
    }
}

fn everything() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_expiration("60000".into())
        .with_user_id("shop".into())
        .with_message_id("m-1".into())
        .with_headers(table(&[
            ("CC", AMQPValue::FieldArray(vec![text("audit")].into())),
            (
                "x-death",
                AMQPValue::FieldArray(vec![text("theirs")].into()),
            ),
            ("weird", AMQPValue::ShortInt(3)),
            ("latin1", AMQPValue::LongString(vec![0xe4].into())),
        ]))
}

/// The span of the first attempt goes with every copy, and is nothing that the message is known by.
#[test]
fn a_copy_names_the_first_span_and_no_other() {
    let headers = table(&[("traceparent", text("theirs"))]);
    let properties = BasicProperties::default().with_headers(headers);
    let (first, original) = receive("orders".into(), delivery(properties));
    assert_eq!(original.first_trace(), None);
    let mut original = original;
    let (body, limits) = (&first.message.body, limits(131_072));
    let identity = original.identity(body);
    for trace in ["first", "second"] {
        let note = RetryNote {
            trace: Some(trace),
            ..waits_for(first.attempt.next(), "no price")
        };
        let copy =
            Outgoing::retry_copy(&original, body.clone(), &delay_queue(), note, &limits).unwrap();
        let (seen, again) = receive("orders".into(), come_back(&copy));
        assert_eq!(seen.message, first.message);
        assert_eq!(again.first_trace(), Some("first"));
        assert_eq!(again.identity(body), identity);
        original = again;
    }
    // What a person sends again is of the same trace.
    let sent = Outgoing::republication(
        &original,
        body.clone(),
        &Death::default(),
        "orders",
        &limits,
    );
    let kept = sent.unwrap().headers.inner().get(TRACE).cloned();
    assert_eq!(kept, Some(text("first")));
}

/// Nothing of a message is left behind for the sake of a trace.
#[test]
fn a_span_is_the_first_to_be_left_out_of_a_full_frame() {
    let (first, original) = receive("orders".into(), delivery(everything()));
    let copy = |trace, limits: &PublishLimits| {
        let note = RetryNote {
            trace,
            ..waits_for(first.attempt.next(), "no price")
        };
        let body = first.message.body.clone();
        Outgoing::retry_copy(&original, body, &delay_queue(), note, limits).unwrap()
    };
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let without = copy(None, &limits(131_072));
    let full = u32::try_from(without.header_frame + ROOM_FOR_THE_BROKER).unwrap();
    assert_eq!(copy(Some(trace), &limits(full)).headers, without.headers);
    let roomy = copy(Some(trace), &limits(full + 200));
    assert!(roomy.headers.contains_key(TRACE));
}

#[test]
fn a_retry_copy_comes_back_as_the_original() {
    let (first, original) = receive("orders".into(), delivery(everything()));
    let copy = Outgoing::retry_copy(
        &original,
        first.message.body.clone(),
        &delay_queue(),
        waits_for(first.attempt.next(), "no price"),
        &limits(131_072),
    )
    .unwrap();

    assert!(copy.properties.expiration().is_none(), "it would end early");
    assert!(
        copy.properties.user_id().is_none(),
        "it would be checked against our user"
    );
    for name in ["x-death", "CC", "BCC"] {
        assert!(
            !copy.headers.contains_key(name),
            "the broker acts on {name}"
        );
    }

    let (second, again) = receive("orders".into(), come_back(&copy));
    assert_eq!(second.attempt.get(), 2);
    assert_eq!(second.exchange, "shop");
    assert_eq!(second.routing_key, "order.created");
    assert_eq!(second.message, first.message);
    assert_eq!(again, original);
    assert_eq!(again.identity(b"{}"), original.identity(b"{}"));
}

#[test]
fn a_retry_copy_says_why_it_waits_and_for_how_long() {
    let (first, original) = receive("orders".into(), delivery(everything()));
    let copy = |note| {
        let body = first.message.body.clone();
        let copy = Outgoing::retry_copy(&original, body, &delay_queue(), note, &limits(131_072));
        copy.unwrap()
    };
    let attempt = Attempt::new(3).unwrap();
    let failed = copy(waits_for(attempt, "no price"));
    let header = |name: &str| failed.headers.inner().get(name).cloned();
    assert_eq!(header(ATTEMPT), Some(AMQPValue::LongLongInt(3)));
    assert_eq!(header(RETRY_LIMIT), Some(AMQPValue::LongLongInt(15)));
    assert_eq!(header(RETRY_REASON), Some(text("error")));
    assert_eq!(header(RETRY_ERROR), Some(text("no price")));
    assert_eq!(header(RETRY_QUEUE), Some(text("orders")));
    assert_eq!(header(RETRY_CONSUMER), Some(text("orders")));
    let time = |seconds| Some(AMQPValue::Timestamp(seconds));
    assert_eq!(header(RETRY_TIME), time(1_700_000_000));
    // Half a second later than the full one, and never early.
    assert_eq!(header(RETRY_DUE), time(1_700_000_011));

    let kept = copy(RetryNote {
        class: None,
        ..waits_for(attempt, "the broker is in trouble")
    });
    assert_eq!(kept.headers.inner().get(RETRY_REASON), None);
}

/// A consumer of a dead-letter queue that fails on a letter.
#[test]
fn a_retry_copy_of_a_dead_letter_keeps_what_that_died_of() {
    let died = [
        (REASON, text("trap")),
        (ERROR, text("unreachable")),
        (EXCHANGE, text("shop")),
        (ROUTING_KEY, text("order.created")),
    ];
    let properties = BasicProperties::default().with_headers(table(&died));
    let (first, original) = receive("orders.dead".into(), delivery(properties));
    let note = waits_for(first.attempt.next(), "no mail server");
    let body = first.message.body.clone();
    let copy = Outgoing::retry_copy(&original, body, &delay_queue(), note, &limits(131_072));
    let copy = copy.unwrap();
    let header = |name: &str| copy.headers.inner().get(name).cloned();
    assert_eq!(header(RETRY_ERROR), Some(text("no mail server")));
    assert_eq!(header(ERROR), Some(text("unreachable")));
    let (again, _) = receive("orders.dead".into(), come_back(&copy));
    assert_eq!(again.message, first.message);
}

#[test]
fn a_dead_letter_after_a_retry_has_its_own_reason_alone() {
    let (first, original) = receive("orders".into(), delivery(everything()));
    let note = waits_for(first.attempt.next(), "no price");
    let body = first.message.body.clone();
    let copy = Outgoing::retry_copy(&original, body, &delay_queue(), note, &limits(131_072));
    let (second, again) = receive("orders".into(), come_back(&copy.unwrap()));
    let failure = Failure::new(FailureClass::Trap, "unreachable");
    let note = DeadLetterNote {
        consumer: "orders",
        attempt: second.attempt,
        failure: &failure,
        time: UNIX_EPOCH,
        trace: None,
    };
    let body = second.message.body;
    let dead = Outgoing::dead_letter(&again, body, "orders.dead", note, &limits(131_072));
    let headers = dead.unwrap().headers;
    assert_eq!(headers.inner().get(ERROR), Some(&text("unreachable")));
    let names = headers.inner().keys().map(|name| name.as_str());
    let retry: Vec<_> = names
        .filter(|name| name.starts_with("x-hive-retry-"))
        .collect();
    assert!(retry.is_empty(), "{retry:?}");
}

#[test]
fn a_user_id_travels_aside_where_nobody_knows_the_connections_user() {
    let properties = BasicProperties::default().with_user_id("guest".into());
    let (first, original) = receive("orders".into(), delivery(properties));
    let body = first.message.body.clone();
    let user_id = |user: Option<&str>| {
        let limits = PublishLimits {
            user: user.map(Into::into),
            ..limits(131_072)
        };
        let note = waits_for(first.attempt.next(), "no");
        let copy = Outgoing::retry_copy(&original, body.clone(), &delay_queue(), note, &limits);
        copy.unwrap().properties.user_id().clone()
    };
    assert_eq!(user_id(Some("guest")), Some("guest".into()));
    assert_eq!(user_id(None), None, "the broker would refuse it");
}

#[test]
fn a_dead_letter_says_why_and_is_a_message_like_any_other() {
    let (envelope, original) = receive("orders".into(), delivery(everything()));
    let failure = Failure::new(FailureClass::Trap, "unreachable");
    let note = DeadLetterNote {
        consumer: "orders",
        attempt: Attempt::new(3).unwrap(),
        failure: &failure,
        time: UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000),
        trace: None,
    };
    let body = envelope.message.body.clone();
    let dead =
        Outgoing::dead_letter(&original, body, "orders.dead", note, &limits(131_072)).unwrap();
    let header = |name: &str| dead.headers.inner().get(name).cloned();
    assert_eq!(header(REASON), Some(text("trap")));
    assert_eq!(header(ERROR), Some(text("unreachable")));
    assert_eq!(header(ATTEMPTS), Some(AMQPValue::LongLongInt(3)));
    assert_eq!(header(TIME), Some(AMQPValue::Timestamp(1_700_000_000)));
    assert_eq!(header(QUEUE), Some(text("orders")));
    assert_eq!(header(EXCHANGE), Some(text("shop")));
    assert_eq!(header(ROUTING_KEY), Some(text("order.created")));
    assert_eq!(header(CONSUMER), Some(text("orders")));
    assert_eq!(header(ATTEMPT), None);

    let mut read = come_back(&dead);
    read.routing_key = "orders.dead".into();
    let (envelope, _) = receive("orders.dead".into(), read);
    assert_eq!(envelope.attempt, Attempt::FIRST);
    let seen = &envelope.message.properties.headers;
    assert!(seen.iter().any(|(name, _)| name == REASON), "{seen:?}");
    assert!(
        !seen.iter().any(|(name, _)| name.starts_with(STASHED)),
        "{seen:?}"
    );
}

#[test]
fn a_long_error_is_cut_and_says_so() {
    assert_eq!(cut("short", 4096), "short");
    let long = "ä".repeat(4000);
    let kept = cut(&long, LONGEST_ERROR);
    assert!(kept.len() <= LONGEST_ERROR);
    assert!(kept.ends_with(CUT));
}

proptest! {
    #[test]
    fn every_attempt_sees_the_same_message(
        properties in any_properties(),
        number in prop_oneof![1..=u32::MAX, Just(u32::MAX)],
    ) {
        let (first, original) = receive("orders".into(), delivery(properties));
        let attempt = Attempt::new(number).expect("it counts from 1");
        let body = first.message.body.clone();
        let copy = Outgoing::retry_copy(
            &original,
            body.clone(),
            &delay_queue(),
            waits_for(attempt.next(), "no price"),
            &limits(131_072),
        )
        .expect("there is room for it");
        let (next, again) = receive("orders".into(), come_back(&copy));
        prop_assert_eq!(next.attempt.get(), number.saturating_add(1));
        prop_assert_eq!(&next.message, &first.message);
        prop_assert_eq!(&again, &original);
        prop_assert_eq!(again.identity(&body), original.identity(&body));
    }

    #[test]
    fn a_dead_letter_keeps_all_that_the_broker_does_not_act_on(properties in any_properties()) {
        let (envelope, original) = receive("orders".into(), delivery(properties));
        let failure = Failure::new(FailureClass::Error, "no");
        let note = DeadLetterNote {
            consumer: "orders",
            attempt: envelope.attempt,
            failure: &failure,
            time: UNIX_EPOCH,
            trace: None,
        };
        let body = envelope.message.body.clone();
        let dead = Outgoing::dead_letter(&original, body, "orders.dead", note, &limits(131_072));
        let dead = dead.expect("a dead letter always fits");
        let (read, _) = receive("orders.dead".into(), come_back(&dead));
        for (name, value) in &envelope.message.properties.headers {
            // The broker dead-lettered it once more, in this test, and says so in place of them.
            if !is_acted_on(name) {
                let kept = read.message.properties.headers.iter().find(|(other, _)| other == name);
                prop_assert_eq!(kept.map(|(_, value)| value), Some(value));
            }
        }
        prop_assert_eq!(&read.exchange, &envelope.exchange);
        prop_assert_eq!(&read.routing_key, &envelope.routing_key);
        let without_headers = |message: &hive_core::message::Message| hive_core::message::Properties {
            headers: Vec::new(),
            ..message.properties.clone()
        };
        prop_assert_eq!(without_headers(&read.message), without_headers(&envelope.message));
    }

    #[test]
    fn what_is_republished_is_the_message_that_died(properties in any_properties()) {
        let (first, original) = receive("orders".into(), delivery(properties));
        let failure = Failure::new(FailureClass::Error, "no");
        let note = DeadLetterNote {
            consumer: "orders",
            attempt: Attempt::new(7).expect("it counts from 1"),
            failure: &failure,
            time: UNIX_EPOCH,
            trace: None,
        };
        let body = first.message.body.clone();
        let limits = limits(131_072);
        let dead = Outgoing::dead_letter(&original, body.clone(), "orders.dead", note, &limits);
        // The broker wrote on it too.
        let mut found = come_back(&dead.expect("a dead letter always fits"));
        let death = read_death(&found.properties, "orders.dead");
        prop_assert_eq!(death.reason(), Some("error"));
        prop_assert_eq!(death.queue.as_deref(), Some("orders"));
        found.properties = without_deaths(found.properties);
        let (_, letter) = receive("orders.dead".into(), found);
        let again = Outgoing::republication(&letter, body.clone(), &death, "orders", &limits);
        let again = again.expect("there is room for it");
        prop_assert_eq!(again.routing_key.as_str(), "orders");
        prop_assert_eq!(again.properties.expiration(), original.properties.expiration());
        for name in again.headers.inner().keys() {
            prop_assert!(!is_acted_on(name.as_str()), "the broker acts on {}", name);
        }
        let mut arrived = Delivery::mock(1, "".into(), "orders".into(), false, body.to_vec());
        arrived.properties = again.all_properties();
        let (envelope, back) = receive("orders".into(), arrived);
        prop_assert_eq!(envelope.attempt, Attempt::FIRST);
        prop_assert_eq!(envelope, first);
        prop_assert_eq!(back, original);
    }

    /// What the host says of a failure never costs the message its retry, nor a header that it came with.
    #[test]
    fn a_retry_copy_fits_where_its_attempt_does(
        error in 0usize..10_000,
        length in 5_000usize..6_500,
    ) {
        let header = text(&"x".repeat(length));
        let properties = BasicProperties::default().with_headers(table(&[("large", header)]));
        let (first, original) = receive("orders".into(), delivery(properties));
        let limits = limits(8192);
        let mut bare = Copy::of(&original, &limits);
        bare.set_number(ATTEMPT, 2);
        bare.set_text(RETRY_QUEUE, "orders");
        let has_room = bare.excess(&limits) == 0;
        let error = "e".repeat(error);
        let note = waits_for(first.attempt.next(), &error);
        let body = first.message.body.clone();
        let copy = Outgoing::retry_copy(&original, body, &delay_queue(), note, &limits);
        prop_assert_eq!(copy.is_ok(), has_room, "{:?}", copy);
        if let Ok(copy) = copy {
            let (second, again) = receive("orders".into(), come_back(&copy));
            prop_assert_eq!(second.attempt.get(), 2);
            prop_assert_eq!(again, original);
        }
    }

    #[test]
    fn a_dead_letter_always_fits_in_a_frame(
        error in 0usize..10_000,
        headers in proptest::collection::btree_map("[a-z]{1,20}", 0usize..3_000, 0..4),
        deaths in 0usize..2_000,
    ) {
        let mut entries: Vec<_> = headers
            .iter()
            .map(|(name, length)| (name.as_str(), text(&"x".repeat(*length))))
            .collect();
        entries.push(("x-death", text(&"d".repeat(deaths))));
        let properties = BasicProperties::default().with_headers(table(&entries));
        let (envelope, original) = receive("orders".into(), delivery(properties));
        let failure = Failure::new(FailureClass::Error, "e".repeat(error));
        let note = DeadLetterNote {
            consumer: "orders",
            attempt: Attempt::FIRST,
            failure: &failure,
            time: UNIX_EPOCH,
            trace: None,
        };
        let dead = Outgoing::dead_letter(
            &original,
            envelope.message.body,
            "orders.dead",
            note,
            &limits(8192),
        );
        prop_assert!(dead.is_ok(), "{dead:?}");
    }
}
