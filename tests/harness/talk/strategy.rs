//! Conversations by chance. What docs/broker.md names as different is left out, and so is what a race decides:
//! messages that expire, and several unsettled deliveries of a quorum queue.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::{collection, option};

use super::step::{Argument, Is, Route, Sent, Settle, Step};

/// The queue that is a quorum queue, where it is there at all.
pub(super) const QUORUM: &str = "four";
pub(super) const QUEUES: [&str; 4] = ["one", "two", "three", QUORUM];
pub(super) const EXCHANGES: [&str; 3] = ["east", "west", "north"];

/// Longer than a conversation.
const LONG: i32 = 3_600_000;

/// What a conversation is about. A message that reaches a queue twice, by itself and as a dead letter, comes in an order
/// that RabbitMQ leaves to a race, so no two ways may meet.
#[derive(Debug, Clone, Copy)]
struct Topic {
    /// Queues have lengths.
    has_lengths: bool,
    /// Queues have dead letters: with lengths, each goes to one queue, and so does each publication.
    has_dead: bool,
    /// There is a quorum queue, and no priorities then.
    has_quorum: bool,
}

impl Topic {
    fn queues(self) -> &'static [&'static str] {
        &QUEUES[..if self.has_quorum { 4 } else { 3 }]
    }

    fn is_chain(self) -> bool {
        self.has_lengths && self.has_dead
    }
}

/// A conversation of at most so many steps, on top of those that make something to talk about.
pub fn conversation(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    let topics = [(true, false), (false, true), (false, true), (true, true)];
    (select(topics.to_vec()), maybe(0.4)).prop_flat_map(move |(about, has_quorum)| {
        let topic = Topic {
            has_lengths: about.0,
            has_dead: about.1,
            has_quorum,
        };
        (first(topic), collection::vec(step(topic), 0..=steps))
            .prop_map(|(first, then)| [first, then].concat())
    })
}

fn first(topic: Topic) -> impl Strategy<Value = Vec<Step>> {
    let kinds = any_of(&["topic", "fanout", "headers", "direct"]);
    let queues = topic.queues().iter().map(|name| queue(topic, name).boxed());
    let bindings = topic.queues().iter().map(|name| bind(name, "east").boxed());
    let (queues, bindings) = (queues.collect::<Vec<_>>(), bindings.collect::<Vec<_>>());
    (queues, kinds, bindings).prop_map(|(queues, kind, bindings)| {
        let east = Step::Exchange {
            name: "east",
            kind,
            flags: [false, true, false, false],
            alternate: Some("west"),
        };
        // The third one is for the steps to declare.
        let is_first = |(number, step): (usize, Step)| (number != 2).then_some(step);
        let queues = queues.into_iter().enumerate().filter_map(is_first);
        let bindings = bindings.into_iter().enumerate().filter_map(is_first);
        queues.chain([east]).chain(bindings).collect()
    })
}

fn any_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    select(all.to_vec())
}

fn maybe(probability: f64) -> impl Strategy<Value = bool> {
    prop::bool::weighted(probability)
}

fn step(topic: Topic) -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => declaration(topic),
        7 => exchange(),
        9 => binding(),
        4 => joining(),
        30 => publication(topic),
        12 => (any_of(&QUEUES), maybe(0.2)).prop_map(|(queue, no_ack)| Step::Get { queue, no_ack }),
        8 => consumption(),
        3 => any_of(&["c0", "c1", "c2"]).prop_map(Step::Cancel),
        18 => (0_usize..4, settle()).prop_map(|(place, how)| Step::Settle(place, how)),
        1 => settle().prop_map(Step::SettleUnknown),
        1 => Just(Step::Recover { requeue: true }),
        2 => any_of(&["one", "two", "three", QUORUM, ""]).prop_map(Step::Purge),
        3 => (any_of(&QUEUES), maybe(0.3), maybe(0.3)).prop_map(|(name, unused, empty)| {
            Step::DeleteQueue { name, flags: [unused, empty] }
        }),
        3 => (any_of(&["east", "west", "north", "amq.direct"]), maybe(0.5))
            .prop_map(|(name, if_unused)| Step::DeleteExchange { name, if_unused }),
        2 => Just(Step::Leave),
        1 => any_of(&[Step::OpenAgain, Step::Commit, Step::Recover { requeue: false }]),
    ]
}

fn declaration(topic: Topic) -> impl Strategy<Value = Step> {
    let wrong =
        (any_of(topic.queues()), odd_arguments()).prop_map(|(name, arguments)| Step::Queue {
            name,
            flags: [false, true, false, false],
            arguments,
        });
    let passive = any_of(&QUEUES).prop_map(|name| Step::Queue {
        name,
        flags: [true, false, false, false],
        arguments: Vec::new(),
    });
    // Not one that could be made: RabbitMQ denies it as deprecated.
    let owned =
        (any_of(&["one", "three"]), maybe(0.5)).prop_map(|(name, auto_delete)| Step::Queue {
            name,
            flags: [false, !auto_delete, !auto_delete, auto_delete],
            arguments: Vec::new(),
        });
    let reserved = Just(Step::Queue {
        name: "amq.mine",
        flags: [false, true, false, false],
        arguments: Vec::new(),
    });
    prop_oneof![
        12 => any_of(topic.queues()).prop_flat_map(move |name| queue(topic, name)),
        2 => wrong,
        2 => passive,
        3 => owned,
        1 => reserved,
    ]
}

/// A queue with arguments that its type takes.
fn queue(topic: Topic, name: &'static str) -> impl Strategy<Value = Step> {
    let number = |name, probability, numbers: &[i32]| {
        let number = any_of(numbers).prop_map(Argument::Number);
        argument(name, probability, number)
    };
    let text = |name, probability, all: &[&'static str]| {
        argument(name, probability, any_of(all).prop_map(Argument::Text))
    };
    let flag = |name, probability| argument(name, probability, Just(Argument::Flag(true)));
    let dead = if topic.is_chain() {
        vec![""]
    } else {
        vec!["", "east", "west", "north"]
    };
    let dead = select(dead).prop_map(Argument::Name);
    let (has_lengths, has_dead) = (topic.has_lengths, topic.has_dead);
    let dead_key = any_of(&["one", "two", "three", QUORUM]).prop_map(Argument::Name);
    let (of_type, overflow) = if name == QUORUM {
        let limit = number("x-delivery-limit", 0.4, &[1, 2, 3]);
        let kind = Just(Some(("x-queue-type", Argument::Text("quorum"))));
        let none = Just(None).boxed();
        ((kind.boxed(), limit.boxed(), none), &["drop-head"][..])
    } else {
        let priority = number("x-max-priority", 0.15, &[3, 5]);
        let overflow = &["drop-head", "reject-publish", "reject-publish-dlx"][..];
        let bytes = number("x-max-length-bytes", 0.05, &[20]);
        let none = Just(None).boxed();
        ((none, priority.boxed(), bytes.boxed()), overflow)
    };
    let arguments = (
        number("x-message-ttl", 0.1, &[LONG, LONG + 1]),
        number("x-expires", 0.05, &[LONG]),
        number("x-max-length", 0.3, &[0, 1, 2, 3]),
        text("x-overflow", 0.3, overflow),
        argument("x-dead-letter-exchange", 0.45, dead),
        argument("x-dead-letter-routing-key", 0.3, dead_key),
        flag("x-single-active-consumer", 0.1),
        of_type,
    );
    arguments.prop_map(
        move |(ttl, expires, length, overflow, dead, key, single, (kind, limit, bytes))| {
            let (length, bytes) = (
                length.filter(|_| has_lengths),
                bytes.filter(|_| has_lengths),
            );
            let dead = dead.filter(|_| has_dead);
            let key = key.filter(|_| dead.is_some());
            let all = [
                ttl, expires, length, bytes, overflow, dead, key, single, kind, limit,
            ];
            Step::Queue {
                name,
                flags: [false, true, false, false],
                arguments: all.into_iter().flatten().collect(),
            }
        },
    )
}

type Entry = (&'static str, Argument);

fn argument(
    name: &'static str,
    probability: f64,
    value: impl Strategy<Value = Argument>,
) -> impl Strategy<Value = Option<Entry>> {
    option::weighted(probability, value.prop_map(move |value| (name, value)))
}

fn odd_arguments() -> impl Strategy<Value = Vec<Entry>> {
    let names = any_of(&[
        "x-max-length",
        "x-max-length-bytes",
        "x-overflow",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-single-active-consumer",
        "x-max-priority",
        "x-delivery-limit",
        "x-queue-type",
        "x-queue-mode",
        "x-unknown",
    ]);
    let values = any_of(&[
        Argument::Number(-1),
        Argument::Number(0),
        Argument::Number(1_000),
        Argument::Text("odd"),
        Argument::Flag(true),
    ]);
    // None that is a time: it would pass.
    let times = any_of(&["x-message-ttl", "x-expires"]);
    let no_times = any_of(&[
        Argument::Number(-1),
        Argument::Text("odd"),
        Argument::Flag(true),
    ]);
    prop_oneof![ 5 => (names, values), 1 => (times, no_times) ].prop_map(|entry| vec![entry])
}

fn exchange() -> impl Strategy<Value = Step> {
    let kinds = ["direct", "fanout", "topic", "headers"];
    let name = prop_oneof![
        20 => any_of(&EXCHANGES),
        1 => any_of(&["", "amq.mine", "amq.topic"]),
    ];
    let kind = prop_oneof![ 20 => any_of(&kinds), 1 => Just("odd") ];
    let flags = (maybe(0.1), maybe(0.8), maybe(0.1), maybe(0.1));
    let alternate = option::weighted(0.2, any_of(&EXCHANGES));
    (name, kind, flags, alternate).prop_map(|(name, kind, flags, alternate)| Step::Exchange {
        name,
        kind,
        flags: flags.into(),
        alternate,
    })
}

fn is_there() -> impl Strategy<Value = Is> {
    prop_oneof![ 3 => Just(Is::There), 1 => Just(Is::Gone) ]
}

fn route(from: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Route> {
    let keys = any_of(&["a", "a.*", "a.#", "#", "*.b.*", "b", "#.c", ""]);
    (from, keys, matching()).prop_map(|(from, key, arguments)| Route {
        from,
        key,
        arguments,
    })
}

/// The arguments of a binding to an exchange of the type `headers`; others keep them without a meaning.
fn matching() -> impl Strategy<Value = Vec<Entry>> {
    let modes = ["all", "any", "all-with-x", "any-with-x"].map(Argument::Text);
    let mode = prop_oneof![ 30 => any_of(&modes), 1 => any_of(&[Argument::Text("odd"), Argument::Number(1)]) ];
    let some = (
        argument("x-match", 0.8, mode),
        header("h"),
        header("i"),
        header("x-j"),
    );
    option::weighted(0.5, some).prop_map(|some| {
        let (mode, one, two, three) = some.unwrap_or_default();
        [mode, one, two, three].into_iter().flatten().collect()
    })
}

fn header(name: &'static str) -> impl Strategy<Value = Option<Entry>> {
    let values = [
        Argument::Number(1),
        Argument::Text("1"),
        Argument::Flag(true),
    ];
    argument(name, 0.5, any_of(&values))
}

fn source() -> impl Strategy<Value = &'static str> {
    prop_oneof![ 12 => any_of(&EXCHANGES), 2 => any_of(&["amq.topic", "amq.headers"]), 1 => Just("") ]
}

fn bind(queue: &'static str, from: &'static str) -> impl Strategy<Value = Step> {
    route(Just(from)).prop_map(move |route| Step::Bind(Is::There, queue, route))
}

fn binding() -> impl Strategy<Value = Step> {
    let queue = prop_oneof![ 12 => any_of(&QUEUES), 1 => Just("") ];
    (is_there(), queue, route(source())).prop_map(|(is, queue, route)| Step::Bind(is, queue, route))
}

fn joining() -> impl Strategy<Value = Step> {
    (is_there(), source(), route(source())).prop_map(|(is, to, route)| Step::Join(is, to, route))
}

fn publication(topic: Topic) -> impl Strategy<Value = Step> {
    let exchange = if topic.is_chain() {
        Just("").boxed()
    } else {
        prop_oneof![ 4 => Just(""), 6 => Just("east"), 3 => any_of(&EXCHANGES) ].boxed()
    };
    let keys = ["a", "a.b", "a.b.c", "b", ""];
    let address = exchange.prop_flat_map(move |exchange| {
        let keys = if exchange.is_empty() {
            QUEUES.to_vec()
        } else {
            keys.to_vec()
        };
        (Just(exchange), select(keys))
    });
    (address, maybe(0.5), sent(topic)).prop_map(|((exchange, key), mandatory, sent)| {
        Step::Publish {
            exchange,
            key,
            mandatory,
            sent,
        }
    })
}

fn sent(topic: Topic) -> impl Strategy<Value = Sent> {
    let expiration = prop_oneof![ 5 => Just("3600000"), 1 => any_of(&["soon", "-1", ""]) ];
    let user = prop_oneof![ 4 => Just("guest"), 1 => Just("mallory") ];
    let names = collection::vec(any_of(&QUEUES), 1..3).prop_map(Argument::Names);
    let blind = collection::vec(any_of(&QUEUES), 1..2).prop_map(Argument::Names);
    (
        option::weighted(0.2, 0_u8..5),
        option::weighted(0.15, expiration),
        option::weighted(0.1, user),
        (header("h"), header("i"), header("x-j")),
        (argument("CC", 0.07, names), argument("BCC", 0.05, blind)),
    )
        .prop_map(
            move |(priority, expiration, user, (h, i, j), (copies, blind))| {
                let copies = copies.filter(|_| !topic.is_chain());
                let blind = blind.filter(|_| !topic.is_chain());
                Sent {
                    priority: priority.filter(|_| !topic.has_quorum),
                    expiration,
                    user,
                    headers: [h, i, j, copies, blind].into_iter().flatten().collect(),
                }
            },
        )
}

fn consumption() -> impl Strategy<Value = Step> {
    let priority =
        prop_oneof![ 6 => (0..3).prop_map(Argument::Number), 1 => Just(Argument::Text("high")) ];
    (
        (any_of(&QUEUES), any_of(&["c0", "c1", "c2"])),
        (maybe(0.2), maybe(0.1)),
        option::weighted(0.15, priority),
        0_u16..3,
    )
        .prop_map(|((queue, tag), flags, priority, prefetch)| Step::Consume {
            queue,
            tag,
            flags: flags.into(),
            priority,
            prefetch,
        })
}

fn settle() -> impl Strategy<Value = Settle> {
    (0..3, maybe(0.3), maybe(0.5)).prop_map(|(how, multiple, requeue)| match how {
        0 => Settle::Ack { multiple },
        1 => Settle::Nack { multiple, requeue },
        _ => Settle::Reject { requeue },
    })
}
