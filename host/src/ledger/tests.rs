//! A ledger on a store in memory, where every instant can be looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hive_core::message::{Attempt, Message};
use hive_store::{Clock, Memory};
use hive_telemetry::Telemetry;

use super::*;

/// A store in memory whose clock a test moves.
fn store() -> (Arc<dyn Store>, Arc<AtomicU64>) {
    let hands = Arc::<AtomicU64>::default();
    let clock = Arc::clone(&hands);
    let clock = Clock::new(move || clock.load(Ordering::SeqCst));
    (Arc::new(Memory::new(clock)), hands)
}

fn ledger_of(store: &Arc<dyn Store>, plan: DedupPlan) -> Arc<Ledger> {
    let namespace = Namespace::handled("/", "orders", "orders").bounded(plan.max_keys);
    let telemetry = Telemetry::new().expect("metrics have names of their own");
    let telemetry = telemetry.ledger("orders", hive_telemetry::Remembered::Deliveries);
    Ledger::open(
        &plan,
        Bucket::new(store, namespace),
        &Tasks::new(),
        telemetry,
    )
}

fn by_id() -> DedupPlan {
    DedupPlan {
        key: Key::MessageId,
        period: Some(Duration::from_secs(1)),
        max_keys: 100,
    }
}

fn envelope(id: Option<&str>, body: &str) -> Envelope {
    let mut message = Message {
        body: body.to_owned().into(),
        ..Message::default()
    };
    message.properties.message_id = id.map(str::to_owned);
    Envelope {
        message,
        queue: "orders".into(),
        exchange: String::new(),
        routing_key: "orders".to_owned(),
        redelivered: false,
        attempt: Attempt::FIRST,
        stream_offset: None,
    }
}

fn known(ledger: &Ledger, id: &str) -> Known {
    ledger.known(&envelope(Some(id), "")).expect("it has a key")
}

/// The lease on a key that is free.
async fn fresh(ledger: &Arc<Ledger>, known: Known) -> Lease {
    match ledger.claim(known).await.expect("memory has room") {
        Claim::Fresh(lease) => lease,
        Claim::Done => panic!("it was committed"),
        Claim::Busy(_) => panic!("somebody has it"),
    }
}

async fn is_done(ledger: &Arc<Ledger>, known: Known) -> bool {
    matches!(ledger.claim(known).await, Ok(Claim::Done))
}

#[tokio::test]
async fn what_was_committed_is_done_for_its_period_and_not_after_it() {
    let (store, hands) = store();
    let ledger = ledger_of(&store, by_id());
    let known = known(&ledger, "a");
    fresh(&ledger, known).await.commit().await.unwrap();
    hands.store(999, Ordering::SeqCst);
    assert!(is_done(&ledger, known).await);
    hands.store(1000, Ordering::SeqCst);
    drop(fresh(&ledger, known).await);
}

#[tokio::test]
async fn what_was_committed_for_ever_stays() {
    let (store, hands) = store();
    let forever = DedupPlan {
        period: None,
        ..by_id()
    };
    let ledger = ledger_of(&store, forever);
    let known = known(&ledger, "a");
    fresh(&ledger, known).await.commit().await.unwrap();
    hands.store(u64::MAX, Ordering::SeqCst);
    assert!(is_done(&ledger, known).await);
}

#[tokio::test]
async fn a_claim_that_was_dropped_leaves_nothing() {
    let (store, _hands) = store();
    let ledger = ledger_of(&store, by_id());
    let known = known(&ledger, "a");
    drop(fresh(&ledger, known).await);
    drop(fresh(&ledger, known).await);
}

#[tokio::test]
async fn the_second_waits_for_the_end_of_the_first_whatever_that_is() {
    let (store, _hands) = store();
    let ledger = ledger_of(&store, by_id());
    let known = known(&ledger, "a");
    for commits in [false, true] {
        let first = fresh(&ledger, known).await;
        let Ok(Claim::Busy(wait)) = ledger.claim(known).await else {
            panic!("the first has it");
        };
        let mut waiting = std::pin::pin!(wait.over(0));
        let look = futures_util::poll!(&mut waiting);
        assert!(look.is_pending());
        if commits {
            first.commit().await.unwrap();
        }
        assert!(
            futures_util::poll!(&mut waiting).is_pending(),
            "it is in hand still"
        );
        drop(first);
        waiting.await;
        assert_eq!(is_done(&ledger, known).await, commits);
    }
}

#[tokio::test]
async fn the_oldest_key_goes_for_one_too_many() {
    let (store, _hands) = store();
    let few = DedupPlan {
        max_keys: 2,
        ..by_id()
    };
    let ledger = ledger_of(&store, few);
    for id in ["a", "b", "c"] {
        fresh(&ledger, known(&ledger, id))
            .await
            .commit()
            .await
            .unwrap();
    }
    assert!(is_done(&ledger, known(&ledger, "c")).await);
    assert!(is_done(&ledger, known(&ledger, "b")).await);
    drop(fresh(&ledger, known(&ledger, "a")).await);
    assert_eq!(ledger.bucket.size().await, Ok(2));
}

#[test]
fn keys_of_different_places_are_never_the_same() {
    let keys = [
        Key::MessageId,
        Key::Header("message-id".to_owned()),
        Key::Body,
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime is to be had").block_on(async {
        let (store, _hands) = store();
        let mut hashes = Vec::new();
        for key in keys {
            let ledger = ledger_of(&store, DedupPlan { key, ..by_id() });
            let mut envelope = envelope(Some("a"), "a");
            let header = (
                "message-id".to_owned(),
                hive_core::message::FieldValue::Text("a".into()),
            );
            envelope.message.properties.headers.push(header);
            hashes.push(ledger.known(&envelope).expect("it has every key"));
        }
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[1], hashes[2]);
    });
}

#[tokio::test]
async fn a_message_without_the_key_is_never_known() {
    let (store, _hands) = store();
    let ledger = ledger_of(&store, by_id());
    assert_eq!(ledger.known(&envelope(None, "same")), None);
}

fn publication(routing_key: &str, id: Option<&str>) -> Publication {
    Publication {
        exchange: "out".to_owned(),
        routing_key: routing_key.to_owned(),
        message: envelope(id, "").message,
        mandatory: true,
        delay: None,
    }
}

#[tokio::test]
async fn of_what_a_delivery_publishes_repeats_are_left_out() {
    let (store, _hands) = store();
    let ledger = ledger_of(&store, by_id());
    let wanted = [
        publication("a", Some("1")),
        publication("a", Some("1")),
        publication("b", Some("1")),
        publication("a", None),
        publication("a", Some("2")),
    ];
    let mut known: Vec<_> = wanted
        .iter()
        .map(|wanted| ledger.known_publication(wanted, "given"))
        .collect();
    known.push(None);
    let sent = |fresh: &Fresh| {
        (0..6)
            .filter(|index| fresh.is_fresh(*index))
            .collect::<Vec<_>>()
    };

    let fresh = ledger.claim_publications(&known).await.unwrap();
    assert_eq!((sent(&fresh), fresh.repeats()), (vec![0, 2, 3, 4, 5], 1));
    drop(fresh);
    let fresh = ledger.claim_publications(&known[..3]).await.unwrap();
    assert_eq!(fresh.repeats(), 1, "the first time nothing was confirmed");
    fresh.commit().await.unwrap();
    drop(fresh);
    let fresh = ledger.claim_publications(&known).await.unwrap();
    assert_eq!(sent(&fresh), [3, 4, 5]);
}

#[tokio::test]
async fn two_deliveries_that_publish_the_same_in_another_order_do_not_wait_for_one_another() {
    let (store, _hands) = store();
    let ledger = ledger_of(&store, by_id());
    let keys: Vec<_> = (0..20)
        .map(|number| ledger.known_publication(&publication("a", Some(&number.to_string())), ""))
        .collect();
    let turned: Vec<_> = keys.iter().rev().copied().collect();
    let publish = async |keys: &[Option<Known>]| {
        let fresh = ledger.claim_publications(keys).await.unwrap();
        tokio::task::yield_now().await;
        fresh.commit().await.unwrap();
        keys.len() - fresh.repeats()
    };
    let both = futures_util::future::join(publish(&keys), publish(&turned));
    let (one, other) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .unwrap();
    assert_eq!(one + other, keys.len());
}
