//! Watchers get what passes their filter and fits, and what does not fit is counted.

use std::sync::Arc;
use std::time::Duration;

use hive_core::message::{Attempt, Envelope, FieldValue, Message, Properties, Publication};
use hive_core::version::Version;
use hive_telemetry::{Exit, Failed, Heard, Printed};

use super::*;

fn envelope(id: &str) -> Envelope {
    Envelope {
        message: Message {
            properties: Properties {
                message_id: Some(id.to_owned()),
                headers: vec![("tenant".to_owned(), FieldValue::Text("acme".to_owned()))],
                ..Properties::default()
            },
            body: b"tea".as_slice().into(),
        },
        queue: "orders.created".into(),
        exchange: "orders".to_owned(),
        routing_key: "order.created".to_owned(),
        redelivered: false,
        attempt: Attempt::FIRST,
        stream_offset: None,
    }
}

fn trail() -> Trail {
    let heard = Arc::new(Heard::default());
    heard.note(Printed::Stdout, "priced at 13.00 EUR");
    let mut trail = Trail::default();
    trail.heard = Some(heard);
    trail.called = Some(Called {
        took: Duration::from_millis(20),
        version: Some(Version {
            generation: 3,
            sha256: "abc".into(),
            since: std::time::SystemTime::UNIX_EPOCH,
        }),
        batch: None,
    });
    trail.publishes(&[Publication {
        exchange: "orders".to_owned(),
        routing_key: "order.priced".to_owned(),
        message: Message::default(),
        mandatory: true,
        delay: None,
    }]);
    trail
}

fn settle(tail: &Tail, id: &str, exit: &Exit<'_>) {
    settle_noted(tail, id, exit, &Notes::Taken(Box::new(trail())));
}

fn settle_noted(tail: &Tail, id: &str, exit: &Exit<'_>, notes: &Notes) {
    tail.report(&Settled {
        consumer: "orders",
        component: Some("pricing"),
        delivery: &id,
        envelope: &envelope(id),
        exit,
        acknowledged: true,
        kept: false,
        took: Duration::from_millis(30),
        notes,
    });
}

const ACKED: Exit<'_> = Exit::Acked { publications: 1 };

fn failed(class: &'static str) -> Exit<'static> {
    Exit::Retried {
        failure: Failed {
            class,
            code: "HIVE-0401",
            error: "refused by them\nat main",
        },
        delay: Duration::from_secs(5),
    }
}

fn filter(conditions: &[&str]) -> Filter {
    let conditions = conditions.iter().map(|text| Condition::parse(text));
    Filter {
        conditions: conditions
            .collect::<Result<_, _>>()
            .expect("they are conditions"),
        ..Filter::default()
    }
}

async fn ids(watch: &mut Watch) -> Vec<String> {
    let sample = watch.next(100).await;
    sample
        .reports
        .iter()
        .map(|one| one.delivery.clone())
        .collect()
}

#[tokio::test]
async fn who_watches_gets_what_is_settled_from_then_on() {
    let tail = Tail::default();
    assert!(!tail.is_watched() && matches!(tail.notes(), Notes::None));
    settle(&tail, "before", &ACKED);
    let mut watch = tail.watch(Filter::default(), true).expect("there is room");
    assert!(tail.is_watched() && tail.notes().trail().is_some());
    settle(&tail, "o-1", &ACKED);
    let sample = watch.next(100).await;
    let [one] = &sample.reports[..] else {
        panic!("one was settled: {sample:?}");
    };
    assert_eq!((&*one.consumer, &*one.delivery), ("orders", "o-1"));
    assert_eq!((one.outcome, one.action), ("acked", Some("publish")));
    let target = ("orders".to_owned(), "order.priced".to_owned());
    assert_eq!((one.count, &one.publications), (1, &vec![target]));
    assert_eq!(one.call, Some(Duration::from_millis(20)));
    assert_eq!(
        one.version.as_ref().map(|version| version.generation),
        Some(3)
    );
    assert_eq!(one.log.lines[0].1, "priced at 13.00 EUR");
    let message = one.message.as_ref().expect("it is asked for");
    assert_eq!(message.envelope, envelope("o-1"));
    drop(watch);
    assert!(!tail.is_watched());
}

#[tokio::test]
async fn each_watcher_gets_what_passes_its_filter() {
    let tail = Tail::default();
    let only_failed = Filter {
        failed: true,
        ..Filter::default()
    };
    let others = Filter {
        consumer: Some("others".to_owned()),
        ..Filter::default()
    };
    let mut filters: Vec<_> = [
        (&["action=failed", "error=refused"][..], "bad"),
        (&["action=retry"], "later"),
        (&["action=publish", "outcome=acked"], "good"),
        (&["class!=error", "class!=retry"], "good"),
        (
            &["message-id=good", "header:tenant=acme", "body=tea"],
            "good",
        ),
        (&["message-id=bad", "log~13.00", "generation=3"], "bad"),
        (
            &["message-id=bad", "slower=19ms", "component=pricing"],
            "bad",
        ),
        (
            &["message-id=bad", "queue=orders.created", "attempt=1"],
            "bad",
        ),
        (
            &["message-id=bad", "exchange=orders", "routing-key~order."],
            "bad",
        ),
    ]
    .map(|(conditions, expected)| (filter(conditions), vec![expected.to_owned()]))
    .into();
    filters.push((only_failed, vec!["bad".to_owned(), "later".to_owned()]));
    let mut watches: Vec<_> = filters
        .into_iter()
        .map(|(filter, expected)| {
            let watch = tail.watch(filter.clone(), false).expect("there is room");
            (watch, filter, expected)
        })
        .collect();
    let mut none = tail.watch(others, false).expect("there is room");
    let mut slower = tail
        .watch(filter(&["slower=20ms"]), false)
        .expect("there is room");
    settle(&tail, "good", &ACKED);
    settle(&tail, "bad", &failed("error"));
    settle(&tail, "later", &failed("retry"));
    for (watch, filter, expected) in &mut watches {
        assert_eq!(ids(watch).await, *expected, "{filter:?}");
    }
    for watch in [&mut none, &mut slower] {
        let nothing = tokio::time::timeout(Duration::ZERO, watch.next(1)).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }
}

#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let tail = Tail::default();
    let mut watch = tail
        .watch(filter(&["action=publish"]), true)
        .expect("there is room");
    for number in 0..ROOM_WITH_MESSAGES + 120 {
        settle(&tail, &number.to_string(), &ACKED);
    }
    settle(&tail, "not asked for", &failed("error"));
    let sample = watch.next(ROOM).await;
    assert_eq!(
        (sample.reports.len(), sample.left_out),
        (ROOM_WITH_MESSAGES, 120)
    );
    assert!(sample.reports.iter().any(|one| one.delivery == "0"));
    settle(&tail, "next", &ACKED);
    let sample = watch.next(ROOM).await;
    assert_eq!((sample.reports.len(), sample.left_out), (1, 0));
}

/// What comes while nobody has room carries nothing, and is counted for all who take any delivery.
#[tokio::test]
async fn what_nobody_has_room_for_costs_nothing_and_is_counted() {
    let tail = Tail::default();
    let mut watches = [0, 1].map(|_| tail.watch(Filter::default(), false).expect("there is room"));
    for number in 0..=ROOM {
        settle(&tail, &number.to_string(), &ACKED);
    }
    assert!(matches!(tail.notes(), Notes::Unwanted));
    for _ in 0..30 {
        settle_noted(&tail, "unwanted", &ACKED, &tail.notes());
    }
    let before = tail.notes();
    let sample = watches[0].next(50).await;
    assert_eq!((sample.reports.len(), sample.left_out), (50, 31));
    assert!(tail.notes().trail().is_some(), "one has room again");
    settle_noted(&tail, "came before", &ACKED, &before);
    settle(&tail, "next", &ACKED);
    let sample = watches[0].next(ROOM).await;
    let last = sample.reports.last().map(|one| &*one.delivery);
    assert_eq!((last, sample.left_out), (Some("next"), 1));
    let sample = watches[1].next(ROOM).await;
    assert_eq!((sample.reports.len(), sample.left_out), (ROOM, 33));
    let [one, other] = watches;
    drop((one, other));
    assert!(!tail.is_watched() && !tail.is_wanted());
}

/// Who asks for certain deliveries has to see each, room or not.
#[tokio::test]
async fn who_asks_for_certain_deliveries_is_counted_those_alone() {
    let tail = Tail::default();
    let mut any = tail.watch(Filter::default(), false).expect("there is room");
    let mut retried = tail
        .watch(filter(&["action=retry"]), false)
        .expect("there is room");
    for number in 0..ROOM + 10 {
        settle(&tail, &number.to_string(), &ACKED);
    }
    assert!(tail.notes().trail().is_some());
    settle_noted(&tail, "later", &failed("retry"), &Notes::Unwanted);
    assert_eq!(any.next(ROOM).await.left_out, 11);
    let sample = retried.next(ROOM).await;
    assert_eq!((sample.reports.len(), sample.left_out), (1, 0));
}

/// Readers and those who settle meet at each moment, and no reader waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_reader_that_makes_room_hears_of_the_next() {
    let tail = Tail::default();
    let mut watch = tail.watch(Filter::default(), true).expect("there is room");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let settling: Vec<_> = (0..2)
        .map(|_| {
            let (tail, stop) = (tail.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut settled = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    settle_noted(&tail, "o", &ACKED, &tail.notes());
                    settled += 1;
                }
                settled
            })
        })
        .collect();
    let mut told = 0;
    for _ in 0..2000 {
        let sample = tokio::time::timeout(Duration::from_secs(60), watch.next(ROOM)).await;
        let sample = sample.expect("more are settled all the time");
        told += sample.reports.len() as u64 + sample.left_out;
    }
    stop.store(true, Ordering::Relaxed);
    let settled: u64 = settling
        .into_iter()
        .map(|thread| thread.join().expect("it ends"))
        .sum();
    settle(&tail, "last", &ACKED);
    let sample = watch.next(ROOM).await;
    told += sample.reports.len() as u64 + sample.left_out;
    assert_eq!(told, settled + 1);
}

#[tokio::test]
async fn no_more_watch_than_may() {
    let tail = Tail::default();
    let watch = || tail.watch(Filter::default(), false);
    let watching: Result<Vec<_>, _> = (0..MOST_WATCHERS).map(|_| watch()).collect();
    let mut watching = watching.expect("there is room");
    assert_eq!(watch().err(), Some(TooMany));
    watching.pop();
    assert!(watch().is_ok());
}
