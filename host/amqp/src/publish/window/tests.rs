//! Verdicts over publications: what is confirmed, comes back, is refused, or has no answer.

use std::time::Duration;

use hive_core::message::{Message, Properties, Publication};
use hive_telemetry::Telemetry;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::message::outgoing::PublishLimits;
use crate::publish::{PublishFault, Unconfirmed};

type Answer = oneshot::Receiver<Result<(), Unconfirmed>>;

pub(in crate::publish) fn outgoing(mandatory: bool) -> Outgoing {
    Outgoing {
        mandatory,
        ..with_id("m")
    }
}

fn with_id(id: &str) -> Outgoing {
    to_queue("q", id, b"body".to_vec())
}

/// A publication to this queue, with a message-id.
pub(in crate::publish) fn to_queue(queue: &str, id: &str, body: Vec<u8>) -> Outgoing {
    let properties = Properties {
        message_id: Some(id.to_owned()),
        ..Properties::default()
    };
    let mut publication = Publication {
        exchange: String::new(),
        routing_key: queue.into(),
        message: Message {
            properties,
            body: body.into(),
        },
        mandatory: true,
        delay: None,
    };
    let limits = PublishLimits {
        frame_max: 4096,
        user: Some("guest".into()),
    };
    Outgoing::publication(&mut publication, "m", &limits).expect("it can be published")
}

fn to(exchange: &str) -> Outgoing {
    Outgoing {
        exchange: exchange.into(),
        ..with_id(exchange)
    }
}

/// A window with a channel, and what is published over it.
struct Publishing {
    window: Window,
    published: Vec<Outgoing>,
    now: Duration,
}

impl Publishing {
    fn new() -> Self {
        let mut window = Window::default();
        window.has_channel();
        Self {
            window,
            published: Vec::new(),
            now: Duration::ZERO,
        }
    }

    fn submit(&mut self, outgoing: Vec<Outgoing>) -> Answer {
        self.submit_as(outgoing, false)
    }

    fn submit_as(&mut self, outgoing: Vec<Outgoing>, once: bool) -> Answer {
        let (answer, confirmation) = oneshot::channel();
        let submission = Submission {
            outgoing,
            answer,
            once,
        };
        self.window.add(submission, self.now);
        confirmation
    }

    /// The ids of what may be published now.
    fn publish(&mut self) -> Vec<String> {
        let from = self.published.len();
        let published = &mut self.published;
        self.window.publish(self.now, 4096, |outgoing| {
            published.push(outgoing.clone());
            true
        });
        let published = self.published[from..].iter();
        published.map(|one| message_id(one).to_owned()).collect()
    }

    fn ack(&mut self, tag: u64, multiple: bool) {
        self.window.answered(Answered::Ack { tag, multiple });
    }

    /// All is written by then.
    fn breaks(&mut self, broken: &Broken) {
        self.breaks_behind(broken, u64::MAX);
    }

    fn breaks_behind(&mut self, broken: &Broken, written: u64) {
        self.window.broke(broken, written);
        self.window.has_channel();
    }

    fn comes_back(&mut self, outgoing: &Outgoing) {
        self.window.answered(Answered::Returned(Box::new(Returned {
            code: 312,
            text: "NO_ROUTE".into(),
            exchange: outgoing.exchange.clone(),
            routing_key: outgoing.routing_key.clone(),
            properties: outgoing.all_properties(),
            length: outgoing.body.len() as u64,
        })));
    }

    fn tell(&mut self) {
        let telemetry = Telemetry::new().expect("its metrics have names of their own");
        self.window.calls().tell(&telemetry.publisher("orders"));
    }

    /// What a call was told; none if it was not yet.
    fn told(&mut self, answer: &mut Answer) -> Option<Result<(), PublishFault>> {
        self.tell();
        match answer.try_recv() {
            Ok(result) => Some(result.map_err(|unconfirmed| unconfirmed.fault)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => panic!("it was dropped"),
        }
    }
}

fn message_id(outgoing: &Outgoing) -> &str {
    let id = outgoing.properties.message_id();
    id.as_ref().expect("it has one").as_str()
}

fn refused() -> Broken {
    Broken::Channel("404 NOT_FOUND".into())
}

fn ids(from: u32, to: u32) -> Vec<String> {
    (from..=to).map(|number| number.to_string()).collect()
}

fn numbered(from: u32, to: u32) -> Vec<Outgoing> {
    ids(from, to).iter().map(|id| with_id(id)).collect()
}

#[test]
fn each_call_is_answered_when_its_own_are_confirmed_in_any_order() {
    let mut it = Publishing::new();
    let mut first = it.submit(numbered(1, 2));
    let mut second = it.submit(numbered(3, 3));
    assert_eq!(it.publish(), ids(1, 3));
    it.ack(3, false);
    assert_eq!(it.told(&mut second), Some(Ok(())));
    it.ack(1, false);
    assert_eq!(it.told(&mut first), None);
    // Tags go on, whatever was answered before.
    let mut third = it.submit(numbered(4, 5));
    assert_eq!(it.publish(), ids(4, 5));
    it.ack(4, true);
    assert_eq!(it.told(&mut first), Some(Ok(())));
    assert_eq!(it.told(&mut third), None);
    it.ack(5, false);
    assert_eq!(it.told(&mut third), Some(Ok(())));
    assert!(it.window.is_empty());
}

#[test]
fn a_tag_that_was_not_given_says_nothing() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 2));
    it.publish();
    it.ack(0, false);
    it.ack(7, false);
    assert_eq!(it.told(&mut answer), None);
    it.ack(9, true);
    it.ack(2, true);
    assert_eq!(it.told(&mut answer), Some(Ok(())));
}

#[test]
fn what_came_back_is_known_by_its_id_and_the_others_are_stored() {
    let mut it = Publishing::new();
    let mut answers: Vec<Answer> = numbered(1, 3)
        .into_iter()
        .map(|one| it.submit(vec![one]))
        .collect();
    it.publish();
    it.comes_back(&with_id("2"));
    it.ack(3, true);
    let told: Vec<_> = answers.iter_mut().map(|answer| it.told(answer)).collect();
    assert_eq!((&told[0], &told[2]), (&Some(Ok(())), &Some(Ok(()))));
    assert!(
        matches!(&told[1], Some(Err(PublishFault::Unroutable { index: 0, text })) if text.contains("\"q\"")),
        "{told:?}"
    );
}

#[test]
fn of_two_that_look_the_same_neither_is_called_stored_until_it_went_alone() {
    let mut it = Publishing::new();
    let mut first = it.submit(vec![with_id("same")]);
    let mut second = it.submit(vec![with_id("same")]);
    let mut other = it.submit(vec![with_id("other")]);
    it.publish();
    it.comes_back(&with_id("same"));
    it.ack(3, true);
    assert_eq!(it.told(&mut other), Some(Ok(())));
    assert_eq!(it.told(&mut first), None);
    assert_eq!(it.publish(), ["same"], "alone");
    it.comes_back(&with_id("same"));
    it.ack(4, false);
    assert!(matches!(
        it.told(&mut first),
        Some(Err(PublishFault::Unroutable { .. }))
    ));
    assert_eq!(it.publish(), ["same"]);
    it.ack(5, false);
    assert_eq!(it.told(&mut second), Some(Ok(())));
}

#[test]
fn a_message_that_the_broker_changed_is_known_by_its_way_or_puts_all_in_doubt() {
    let changed = |exchange: &str| Outgoing {
        properties: lapin::BasicProperties::default(),
        ..to(exchange)
    };
    let mut it = Publishing::new();
    let mut a = it.submit(vec![to("a")]);
    let mut b = it.submit(vec![to("b")]);
    it.publish();
    it.comes_back(&changed("b"));
    it.ack(2, true);
    assert_eq!(it.told(&mut a), Some(Ok(())));
    assert!(matches!(
        it.told(&mut b),
        Some(Err(PublishFault::Unroutable { .. }))
    ));
    let mut a = it.submit(vec![to("a")]);
    let mut b = it.submit(vec![to("b")]);
    it.publish();
    it.comes_back(&changed("c"));
    it.ack(4, true);
    assert_eq!((it.told(&mut a), it.told(&mut b)), (None, None));
    for tag in [5, 6] {
        assert_eq!(it.publish().len(), 1);
        it.ack(tag, false);
    }
    assert_eq!(it.told(&mut a), Some(Ok(())));
    assert_eq!(it.told(&mut b), Some(Ok(())));
}

#[test]
fn what_nobody_has_to_take_may_come_back() {
    let mut it = Publishing::new();
    let mut answer = it.submit(vec![outgoing(false), outgoing(false)]);
    it.publish();
    it.comes_back(&outgoing(false));
    it.ack(2, true);
    assert_eq!(it.told(&mut answer), Some(Ok(())));
}

#[test]
fn what_has_no_answer_at_the_end_is_published_again_in_its_place() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 4));
    it.publish();
    let _later = it.submit(numbered(5, 5));
    it.ack(2, false);
    it.breaks(&Broken::Connection(None));
    assert_eq!(it.publish(), ["1", "3", "4", "5"]);
    it.ack(3, true);
    assert_eq!(it.told(&mut answer), Some(Ok(())));
}

#[test]
fn a_return_before_the_end_does_not_stand_for_the_one_that_is_published_again() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 1));
    it.publish();
    it.comes_back(&with_id("1"));
    it.breaks(&Broken::Connection(None));
    it.publish();
    it.ack(1, false);
    assert_eq!(it.told(&mut answer), Some(Ok(())));
}

#[test]
fn what_was_refused_goes_alone_and_in_its_place_until_it_is_taken() {
    let mut it = Publishing::new();
    let mut answer = it.submit(["a", "b", "bad", "c", "d"].map(to).into());
    assert_eq!(it.publish().len(), 5);
    it.ack(1, false);
    it.breaks(&refused());
    assert_eq!(it.publish(), ["b"]);
    assert_eq!(it.publish(), [""; 0], "it is alone");
    it.ack(1, false);
    assert_eq!(it.publish(), ["bad"]);
    it.breaks(&refused());
    // Those behind it were not confirmed either, and are not put beside one another yet.
    for (tag, id) in [(1, "c"), (2, "d")] {
        assert_eq!(it.publish(), [id]);
        it.ack(tag, false);
    }
    assert!(matches!(
        it.told(&mut answer),
        Some(Err(PublishFault::Refused { index: 2, .. }))
    ));
    // At the next attempt its neighbours are not repeated.
    let _again = it.submit(["a", "b", "bad", "c", "d"].map(to).into());
    assert_eq!(it.publish(), ["a", "b"]);
    it.ack(4, true);
    assert_eq!(it.publish(), ["bad"]);
    it.ack(5, false);
    assert_eq!(it.publish(), ["c", "d"]);
    it.ack(7, true);
    // It was taken, and is in doubt no more.
    let _third = it.submit(["a", "bad", "c"].map(to).into());
    assert_eq!(it.publish(), ["a", "bad", "c"]);
}

#[test]
fn one_that_costs_two_connections_is_taken_to_be_the_cause() {
    let broken = Broken::Connection(Some("501 FRAME_ERROR".into()));
    assert_eq!(ends_until_refused(&broken), 2);
}

#[test]
fn an_error_of_the_brokers_own_takes_longer_to_be_blamed_on_anybody() {
    let broken = Broken::Internal("541 INTERNAL_ERROR".into());
    assert_eq!(ends_until_refused(&broken), INTERNAL_ERRORS);
}

/// How often this ends a channel over one publication until that is refused.
fn ends_until_refused(broken: &Broken) -> u32 {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 1));
    for count in 1..10 {
        assert_eq!(it.publish(), ["1"]);
        it.breaks(broken);
        match it.told(&mut answer) {
            None => {}
            Some(told) => {
                assert!(
                    matches!(told, Err(PublishFault::Refused { .. })),
                    "{told:?}"
                );
                return count;
            }
        }
    }
    panic!("it is not refused")
}

#[test]
fn what_goes_out_once_is_not_published_again_nor_without_somebody_who_waits() {
    let mut it = Publishing::new();
    let mut lost = it.submit_as(numbered(1, 1), true);
    it.publish();
    drop(it.submit_as(numbered(2, 2), true));
    it.breaks(&Broken::Connection(None));
    assert_eq!(it.told(&mut lost), Some(Err(PublishFault::Disconnected)));
    assert_eq!(it.publish(), [""; 0]);
    assert!(it.window.is_empty());
}

#[test]
fn after_a_nack_the_rest_is_waited_for_and_another_channel_taken() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 2));
    it.publish();
    let _later = it.submit(numbered(3, 3));
    it.window.answered(Answered::Nack {
        tag: 1,
        multiple: false,
    });
    assert!(!it.window.wants_another_channel());
    assert_eq!(it.publish(), [""; 0]);
    it.ack(2, false);
    assert_eq!(it.told(&mut answer), Some(Err(PublishFault::Nacked)));
    assert!(it.window.wants_another_channel());
    it.window.has_channel();
    assert_eq!(it.publish(), ["3"]);
}

#[test]
fn the_broker_has_its_time_from_when_a_publication_is_written() {
    let mut it = Publishing::new();
    let _answer = it.submit(numbered(1, 2));
    it.publish();
    it.now = CONFIRM_TIMEOUT;
    it.window.are_written(0, it.now);
    assert!(!it.window.is_silent(it.now));
    it.now += CONFIRM_TIMEOUT / 2;
    it.window.are_written(1, it.now);
    it.now = CONFIRM_TIMEOUT * 2;
    assert!(it.window.is_silent(it.now), "the first");
    it.ack(1, false);
    assert!(!it.window.is_silent(it.now));
}

#[test]
fn each_is_tried_for_its_own_time_and_what_comes_too_late_says_nothing() {
    let mut it = Publishing::new();
    let mut early = it.submit(numbered(1, 1));
    it.publish();
    it.now = TRIED_FOR / 2;
    let mut late = it.submit(numbered(2, 2));
    assert_eq!(it.window.expire(it.now, 1), Expired::Nothing);
    it.now = TRIED_FOR;
    assert_eq!(it.window.expire(it.now, 1), Expired::Written);
    assert_eq!(it.told(&mut early), Some(Err(PublishFault::TimedOut)));
    it.publish();
    it.ack(1, false);
    assert_eq!(it.told(&mut late), None);
    it.ack(2, false);
    assert_eq!(it.told(&mut late), Some(Ok(())));
}

/// It would be written later, beside the one that its caller publishes again.
#[test]
fn what_expires_unwritten_is_told_apart() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 2));
    it.publish();
    it.now = TRIED_FOR;
    assert_eq!(it.window.expire(it.now, 1), Expired::Unwritten);
    assert_eq!(it.told(&mut answer), Some(Err(PublishFault::TimedOut)));
}

/// One that was given up may come back too, and is not taken for the one that is under way.
#[test]
fn what_comes_back_after_something_was_given_up_has_to_look_like_one_under_way() {
    let mut it = Publishing::new();
    let _early = it.submit(vec![to("a")]);
    it.publish();
    it.now = TRIED_FOR;
    it.window.expire(it.now, 1);
    let mut late = it.submit(vec![to("b")]);
    it.publish();
    it.comes_back(&to("a"));
    it.ack(2, true);
    assert_eq!(it.told(&mut late), Some(Ok(())));
}

#[test]
fn those_whose_own_time_is_over_are_given_up_and_no_others() {
    let mut it = Publishing::new();
    let mut early = it.submit(numbered(1, 1));
    it.now = TRIED_FOR / 2;
    let mut late = it.submit(numbered(2, 2));
    it.now = TRIED_FOR;
    assert_eq!(it.window.give_up(it.now, &Verdict::Disconnected), 1);
    assert_eq!(it.told(&mut early), Some(Err(PublishFault::Disconnected)));
    assert_eq!(it.told(&mut late), None);
    assert_eq!(it.publish(), ["2"]);
}

/// The broker refused one that it had, or had begun to get.
#[test]
fn what_was_not_written_is_not_blamed() {
    let mut it = Publishing::new();
    let mut answer = it.submit(["bad", "a", "b"].map(to).into());
    it.publish();
    it.breaks_behind(&refused(), 0);
    assert!(it.told(&mut answer).is_none());
    assert_eq!(it.publish(), ["a", "b"], "they are not in doubt");
    it.ack(2, true);
    assert!(matches!(
        it.told(&mut answer),
        Some(Err(PublishFault::Refused { index: 0, .. }))
    ));
}

#[test]
fn a_channel_that_ended_meanwhile_takes_nothing() {
    let mut it = Publishing::new();
    let _answer = it.submit(numbered(1, 2));
    it.window.publish(it.now, 4096, |_| false);
    assert!(it.window.has_waiting());
    it.window.has_channel();
    assert_eq!(it.publish(), ids(1, 2));
}

#[test]
fn a_frame_that_the_connection_does_not_take_is_not_written() {
    let mut it = Publishing::new();
    let mut answer = it.submit(numbered(1, 1));
    it.window
        .publish(it.now, 10, |_| panic!("it is too large for a frame"));
    assert!(matches!(
        it.told(&mut answer),
        Some(Err(PublishFault::Refused { .. }))
    ));
}

#[test]
fn no_more_is_under_way_than_there_is_room_for() {
    let mut it = Publishing::new();
    let _answer = it.submit(numbered(1, 2 * MOST as u32));
    assert!(!it.window.has_room());
    assert_eq!(it.publish().len(), MOST);
    it.ack(10, true);
    assert_eq!(it.publish().len(), 10);
    let large = Outgoing {
        body: vec![0; MOST_OCTETS].into(),
        ..with_id("large")
    };
    let mut it = Publishing::new();
    let _answer = it.submit(vec![with_id("small"), large.clone(), large]);
    assert_eq!(it.publish(), ["small"]);
    it.ack(1, false);
    assert_eq!(it.publish(), ["large"]);
    it.ack(2, false);
    assert_eq!(it.publish(), ["large"]);
}
