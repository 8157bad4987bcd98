//! A queue by itself, with the time in the test's hands.

use amq_protocol::protocol::BasicProperties;
use proptest::prelude::*;

use super::super::consumers::tests::consumer;
use super::*;
use crate::message::tests::message;

const fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn queue(entries: &[(&str, AMQPValue)]) -> Queue {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    let arguments = Arguments::read("q", &table).unwrap();
    Queue::new(QueueId(1), &"/".into(), &"q".into(), arguments, at(0))
}

fn word(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn keyed(key: &str) -> Arc<Message> {
    Arc::new(message(key, &BasicProperties::default()))
}

fn with_expiration(key: &str, millis: &str) -> Arc<Message> {
    Arc::new(message(
        key,
        &BasicProperties::default().with_expiration(millis.into()),
    ))
}

fn filled(entries: &[(&str, AMQPValue)], keys: &[&str]) -> Queue {
    let mut queue = queue(entries);
    for key in keys {
        assert_eq!(queue.push(&keyed(key), at(0)), Push::Stored);
    }
    queue
}

fn keys(dead: &[Dead]) -> Vec<(&str, Reason)> {
    dead.iter()
        .map(|dead| (dead.message.routing_key(), dead.reason))
        .collect()
}

fn got(queue: &mut Queue) -> Option<Delivery> {
    queue.get(false, at(0))
}

fn delivered(delivery: &Delivery) -> Delivered {
    Delivered {
        queue: QueueId(1),
        sequence: delivery.sequence.unwrap(),
        channel: consumer("", 0, 0).key.channel,
        consumer: None,
    }
}

fn key_of(delivery: Option<Delivery>) -> String {
    delivery.map_or_else(String::new, |delivery| {
        delivery.message.routing_key().to_owned()
    })
}

#[test]
fn a_requeued_message_is_at_its_old_place_again() {
    let mut queue = filled(&[], &["a", "b", "c"]);
    let (a, b) = (got(&mut queue).unwrap(), got(&mut queue).unwrap());
    for delivery in [&b, &a] {
        queue.settle(
            &delivered(delivery),
            Settlement::Requeued { failed: true },
            at(0),
        );
    }
    let again = got(&mut queue).unwrap();
    assert!(again.redelivered && again.message.routing_key() == "a");
    assert_eq!(key_of(got(&mut queue)), "b");
    let last = got(&mut queue).unwrap();
    assert!(!last.redelivered && last.headers.is_empty());
}

#[test]
fn a_crash_undoes_the_acknowledgements_that_were_not_safe_yet() {
    let mut queue = filled(&[], &["a", "b", "c"]);
    queue.has_acks_written_after(Duration::from_millis(10));
    let (a, b) = (got(&mut queue).unwrap(), got(&mut queue).unwrap());
    got(&mut queue).unwrap();
    queue.settle(&delivered(&a), Settlement::Acknowledged, at(0));
    queue.settle(&delivered(&b), Settlement::Acknowledged, at(15));
    queue.recover(at(20));
    let again = got(&mut queue).unwrap();
    assert!(again.redelivered && again.message.routing_key() == "b");
    assert_eq!(key_of(got(&mut queue)), "c", "nobody has it any more");
    assert!(got(&mut queue).is_none());
}

#[test]
fn what_comes_back_to_a_quorum_queue_is_next_in_the_order_in_which_it_came_back() {
    for (kind, expected) in [("quorum", ["b", "a", "c"]), ("classic", ["a", "b", "c"])] {
        for failed in [false, true] {
            let mut queue = filled(&[("x-queue-type", word(kind))], &["a", "b", "c"]);
            let a = got(&mut queue).unwrap();
            let b = got(&mut queue).unwrap();
            for returned in [b, a] {
                queue.settle(
                    &delivered(&returned),
                    Settlement::Requeued { failed },
                    at(0),
                );
            }
            let order = [(); 3].map(|()| key_of(got(&mut queue)));
            assert_eq!(order, expected, "{kind}");
        }
    }
}

#[test]
fn a_message_expires_at_the_head_alone() {
    let mut queue = filled(&[], &[]);
    queue.push(&with_expiration("slow", "500"), at(0));
    queue.push(&with_expiration("quick", "100"), at(0));
    assert_eq!(queue.deadline(), Some(at(500)));
    assert!(queue.expire(at(499)).is_empty());
    assert_eq!(
        keys(&queue.expire(at(500))),
        [("slow", Reason::Expired), ("quick", Reason::Expired)]
    );
}

#[test]
fn the_shorter_of_two_times_to_live_holds() {
    let mut queue = queue(&[("x-message-ttl", 300_i32.into())]);
    queue.push(&with_expiration("a", "900"), at(1000));
    assert_eq!(queue.deadline(), Some(at(1300)));
}

#[test]
fn a_full_queue_drops_its_head_or_rejects_or_rejects_and_buries() {
    let full = [("x-max-length", 2_i32.into())];
    let mut dropping = filled(&full, &["a", "b", "c"]);
    assert_eq!(keys(&dropping.trim()), [("a", Reason::MaxLength)]);
    for (overflow, expected) in [
        ("reject-publish", Push::Rejected),
        (
            "reject-publish-dlx",
            Push::RejectedDead(Dead {
                message: keyed("c"),
                reason: Reason::MaxLength,
            }),
        ),
    ] {
        let arguments = [full[0].clone(), ("x-overflow", word(overflow))];
        let mut queue = filled(&arguments, &["a", "b"]);
        assert_eq!(queue.push(&keyed("c"), at(0)), expected, "{overflow}");
        assert_eq!(queue.ready_count(), 2);
    }
    let mut by_bytes = filled(&[("x-max-length-bytes", 6_i32.into())], &["a", "b"]);
    assert_eq!(keys(&by_bytes.trim()), [("a", Reason::MaxLength)]);
}

#[test]
fn failures_count_towards_the_limit_and_other_returns_do_not() {
    let arguments = [
        ("x-queue-type", word("quorum")),
        ("x-delivery-limit", 2_i32.into()),
    ];
    let mut queue = filled(&arguments, &["a"]);
    let mut counts = Vec::new();
    let mut returned = |queue: &mut Queue, failed| {
        let delivery = got(queue)?;
        counts.push(delivery.headers.clone());
        queue.settle(
            &delivered(&delivery),
            Settlement::Requeued { failed },
            at(0),
        )
    };
    for failed in [false, true, false, false, true] {
        assert_eq!(returned(&mut queue, failed), None);
    }
    let dead = returned(&mut queue, true).unwrap();
    assert_eq!(dead.reason, Reason::DeliveryLimit);
    let header = |name, count: i64| (name, AMQPValue::LongLongInt(count));
    assert_eq!(counts[0], []);
    assert_eq!(counts[1], [header("x-acquired-count", 1)]);
    assert_eq!(
        counts[2],
        [header("x-acquired-count", 2), header("x-delivery-count", 1)]
    );
}

#[test]
fn a_queue_lapses_when_nobody_has_used_it() {
    let mut queue = queue(&[("x-expires", 1000_i32.into())]);
    queue.touch(at(500));
    assert!(!queue.has_lapsed(at(1499)));
    assert!(queue.has_lapsed(at(1500)));
    queue.add_consumer(consumer("c", 0, 0), Offset::Next, at(1000));
    assert_eq!(queue.deadline(), None);
}

#[test]
fn a_frozen_queue_delivers_nothing() {
    let mut queue = filled(&[], &["a"]);
    queue.add_consumer(consumer("c", 0, 0), Offset::Next, at(0));
    queue.frozen = true;
    assert!(queue.deliver(|_| true).is_none());
    queue.frozen = false;
    assert!(queue.deliver(|_| true).is_some());
}

#[test]
fn higher_priorities_go_first_where_the_queue_has_them() {
    let mut queue = queue(&[("x-max-priority", 5_i32.into())]);
    for (key, priority) in [("low", 1), ("top", 9), ("none", 0), ("five", 5)] {
        let properties = BasicProperties::default().with_priority(priority);
        queue.push(&Arc::new(message(key, &properties)), at(0));
    }
    let order: Vec<String> = (0..4).map(|_| key_of(got(&mut queue))).collect();
    assert_eq!(order, ["top", "five", "low", "none"]);
}

#[test]
fn a_stream_keeps_what_it_delivers() {
    let mut queue = filled(&[("x-queue-type", word("stream"))], &["a", "b"]);
    for tag in ["one", "two"] {
        queue.add_consumer(consumer(tag, 10, 0), Offset::First, at(0));
    }
    let mut seen = Vec::new();
    while let Some((consumer, delivery)) = queue.deliver(|_| true) {
        seen.push(format!(
            "{} {}",
            consumer.key.tag,
            delivery.message.routing_key()
        ));
    }
    seen.sort();
    assert_eq!(seen, ["one a", "one b", "two a", "two b"]);
    assert_eq!(queue.ready_count(), 2);
    assert_eq!(queue.unacked_count(), 4);
}

#[test]
fn a_dead_letter_that_no_queue_took_is_due_after_a_while() {
    let mut queue = queue(&[]);
    let dead = Dead {
        message: keyed("a"),
        reason: Reason::Expired,
    };
    queue.keep_stuck(dead.clone(), at(1000));
    assert_eq!(
        (queue.stuck_count(), queue.deadline()),
        (1, Some(at(181_000)))
    );
    assert!(queue.due_stuck(at(180_999)).is_empty());
    assert_eq!(queue.due_stuck(at(181_000)), [dead]);
}

/// An operation on a queue.
#[derive(Debug, Clone)]
enum Step {
    Push,
    Get,
    Settle(usize, Settlement),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let settlement = prop::sample::select(vec![
        Settlement::Acknowledged,
        Settlement::Discarded,
        Settlement::Requeued { failed: true },
        Settlement::Requeued { failed: false },
    ]);
    prop::collection::vec(
        prop_oneof![
            Just(Step::Push),
            Just(Step::Get),
            (any::<prop::sample::Index>(), settlement)
                .prop_map(|(which, how)| Step::Settle(which.index(64), how)),
            (1..400_u64).prop_map(Step::Wait),
        ],
        0..120,
    )
}

proptest! {
    /// Every message is ready, unacknowledged, acknowledged, dead or refused, and only one of these.
    #[test]
    fn no_message_is_lost_or_doubled(steps in steps(), limit in 0..4_i32, rejects in any::<bool>()) {
        let overflow = if rejects { "reject-publish" } else { "drop-head" };
        let mut queue = queue(&[
            ("x-queue-type", word("quorum")),
            ("x-max-length", 5_i32.into()),
            ("x-delivery-limit", limit.into()),
            ("x-message-ttl", 1000_i32.into()),
            ("x-overflow", word(overflow)),
        ]);
        let (mut now, mut pushed, mut over) = (0, 0, 0);
        let mut held: Vec<Delivered> = Vec::new();
        for step in steps {
            match step {
                Step::Push => {
                    pushed += 1;
                    if queue.push(&keyed(&pushed.to_string()), at(now)) == Push::Rejected {
                        over += 1;
                    }
                    over += queue.trim().len();
                }
                Step::Get => held.extend(got(&mut queue).map(|delivery| delivered(&delivery))),
                Step::Settle(which, how) if !held.is_empty() => {
                    let which = held.remove(which % held.len());
                    let dead = queue.settle(&which, how, at(0));
                    let is_out = how == Settlement::Acknowledged || dead.is_some();
                    over += usize::from(is_out);
                    prop_assert_eq!(queue.settle(&which, how, at(0)), None);
                    over += queue.trim().len();
                }
                Step::Settle(..) => {}
                Step::Wait(millis) => {
                    now += millis;
                    over += queue.expire(at(now)).len();
                }
            }
            prop_assert_eq!(queue.unacked_count(), held.len());
            prop_assert_eq!(queue.ready_count() + held.len() + over, pushed);
        }
    }
}
