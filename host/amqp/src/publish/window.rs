//! The publications of one publisher, from when they are handed over until each has its verdict: [`Window`]. Pure.
//!
//! They are published in the order in which they came, many before the first is confirmed. The broker confirms them by their
//! tags, in any order. What has no answer when the channel ends is published again, in its place. The broker closes a channel
//! over a publication that it refuses without saying which one; so those that had no answer go one at a time then.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::broken::Broken;
use super::calls::{CallNumber, Calls, Submission};
use super::doubts::{Doubts, id};
use super::verdict::Verdict;
use crate::message::answered::{Answered, Returned};
use crate::message::outgoing::Outgoing;

/// So many publications are under way at most, about: a call is never split.
const MOST: usize = 1000;

/// And so many octets of their bodies, unless one alone has more.
const MOST_OCTETS: usize = 16 << 20;

/// How long the broker gets to confirm a publication that is written.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a publication is tried, through lost connections.
pub(super) const TRIED_FOR: Duration = Duration::from_secs(30);

/// Connections that one publication may cost before it is taken to be the cause.
const CONNECTIONS_LOST: u32 = 2;

/// The same where the broker calls the error its own, as it also does when it restarts.
const INTERNAL_ERRORS: u32 = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Window {
    calls: Calls,
    doubts: Doubts,
    /// Not published, or to be published again; in their order.
    waiting: VecDeque<Item>,
    /// So many of the first that wait are published alone.
    singly: usize,
    /// Published over the channel of now, without an answer; by their tags.
    under_way: BTreeMap<u64, UnderWay>,
    /// The octets of their bodies.
    octets: usize,
    /// How many were published over the channel: the last tag.
    published: u64,
    /// The broker has refused something over this channel with a nack.
    is_worn: bool,
    /// Something was given up over this channel, whose answer may come yet.
    has_expired: bool,
}

/// Whether something was tried for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    Nothing,
    /// All of it was written, or never handed over.
    Written,
    /// Some of it waits to be written. Only the end of the channel takes it back.
    Unwritten,
}

/// One publication.
#[derive(Debug)]
struct Item {
    call: CallNumber,
    index: usize,
    outgoing: Outgoing,
    connections_lost: u32,
    once: bool,
    /// What the clock showed when it came.
    since: Duration,
}

/// One that is published.
#[derive(Debug)]
struct UnderWay {
    item: Item,
    /// What the clock showed when it was written, or last found unwritten.
    at: Duration,
    /// Nothing else was under way.
    alone: bool,
    /// The broker's words, if it came back.
    returned: Option<String>,
    /// It may have come back: one came back that looks like it, and like others.
    is_in_doubt: bool,
}

impl Window {
    /// The publications of one more call.
    pub(super) fn add(&mut self, submission: Submission, now: Duration) {
        let Submission {
            outgoing,
            answer,
            once,
        } = submission;
        let call = self.calls.add(outgoing.len(), answer);
        let items = outgoing.into_iter().enumerate();
        self.waiting.extend(items.map(|(index, outgoing)| Item {
            call,
            index,
            outgoing,
            connections_lost: 0,
            once,
            since: now,
        }));
    }

    /// Whether more may be added.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() + self.under_way.len() < MOST
    }

    /// Whether everything has its verdict.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether something waits for a channel.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the first of those that wait came.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        self.waiting.iter().map(|item| item.since).min()
    }

    /// Whether the channel is to be left now.
    ///
    /// A full quorum queue may refuse everything over a channel that it has refused once, long after it has room again
    /// (seen on RabbitMQ 3.10.8).
    pub(super) fn wants_another_channel(&self) -> bool {
        self.is_worn && self.under_way.is_empty()
    }

    /// A new channel, on which tags begin at 1. What was under way over another has its verdict, or waits.
    pub(super) fn has_channel(&mut self) {
        debug_assert!(self.under_way.is_empty());
        self.published = 0;
        self.is_worn = false;
        self.has_expired = false;
    }

    /// Publishes what may go now, by `post`, which is false if the channel has ended.
    pub(super) fn publish(
        &mut self,
        now: Duration,
        frame_max: u32,
        mut post: impl FnMut(&Outgoing) -> bool,
    ) {
        while self.is_next_free() {
            let Some(next) = self.waiting.front() else {
                return;
            };
            let alone = self.singly > 0 || self.doubts.concern(&next.outgoing);
            let useless = self.useless(next, frame_max);
            if useless.is_none() && !post(&next.outgoing) {
                return;
            }
            let Some(item) = self.waiting.pop_front() else {
                return;
            };
            self.singly = self.singly.saturating_sub(1);
            if let Some(verdict) = useless {
                self.settle(item, verdict);
                continue;
            }
            self.published += 1;
            self.octets += item.outgoing.body.len();
            let one = UnderWay {
                item,
                at: now,
                alone,
                returned: None,
                is_in_doubt: false,
            };
            self.under_way.insert(self.published, one);
        }
    }

    /// Whether the first that waits may be published now.
    fn is_next_free(&self) -> bool {
        let Some(next) = self.waiting.front() else {
            return false;
        };
        if self.is_worn {
            return false;
        }
        if self.under_way.is_empty() {
            return true;
        }
        let alone = self.singly > 0 || self.doubts.concern(&next.outgoing);
        !alone
            && !self.is_one_alone()
            && self.under_way.len() < MOST
            && self.octets + next.outgoing.body.len() <= MOST_OCTETS
    }

    /// Whether one is under way beside which nothing may be.
    fn is_one_alone(&self) -> bool {
        let last = self.under_way.last_key_value();
        last.is_some_and(|(_, last)| last.alone)
    }

    /// The verdict over one that need not be published.
    fn useless(&self, item: &Item, frame_max: u32) -> Option<Verdict> {
        let length = item.outgoing.header_frame;
        // A connection that came back may take less than the one that sizes were checked against.
        if length > frame_max as usize {
            return Some(Verdict::Refused(format!(
                "properties and headers take {length} bytes, and a frame {frame_max}"
            )));
        }
        // What goes out once is of no use to those who have ceased to wait for it.
        (item.once && self.calls.is_abandoned(item.call)).then_some(Verdict::Disconnected)
    }

    /// The broker has answered.
    pub(super) fn answered(&mut self, answered: Answered) {
        match answered {
            Answered::Ack { tag, multiple } => self.confirmed(tag, multiple, true),
            Answered::Nack { tag, multiple } => {
                self.is_worn = true;
                self.confirmed(tag, multiple, false);
            }
            Answered::Returned(returned) => self.came_back(&returned),
        }
    }

    fn confirmed(&mut self, tag: u64, multiple: bool, is_stored: bool) {
        let mut again = Vec::new();
        while let Some(one) = self.take_next(tag, multiple) {
            match (is_stored, one.returned) {
                (false, _) => self.settle(one.item, Verdict::Nacked),
                (true, Some(words)) => self.settle(one.item, Verdict::Returned(words)),
                // Whether it came back is not known, and would not matter.
                (true, None) if !(one.is_in_doubt && one.item.outgoing.mandatory) => {
                    self.settle(one.item, Verdict::Stored);
                }
                (true, None) if one.item.once => self.settle(one.item, Verdict::Disconnected),
                (true, None) => again.push(one.item),
            }
        }
        self.singly += again.len();
        self.wait_again(again);
    }

    /// The next one that an answer with this tag is about, which is not under way any more.
    fn take_next(&mut self, tag: u64, multiple: bool) -> Option<UnderWay> {
        if !multiple {
            return self.take(tag);
        }
        let (first, _) = self.under_way.first_key_value()?;
        let first = *first;
        (first <= tag).then(|| self.take(first))?
    }

    /// One that was under way, which is not any more.
    fn take(&mut self, tag: u64) -> Option<UnderWay> {
        let one = self.under_way.remove(&tag)?;
        self.octets -= one.item.outgoing.body.len();
        Some(one)
    }

    /// One of those under way came back, and has no confirm yet. The broker does not say which; what is like another one in
    /// all that can be compared is published again, alone.
    fn came_back(&mut self, returned: &Returned) {
        // The broker may have changed a message that it returns. What was given up may come back too.
        let looks: [fn(&UnderWay, &Returned) -> bool; 3] =
            [UnderWay::is_like, UnderWay::went_the_same_way, |_, _| true];
        let looks = match self.has_expired {
            true => &looks[..2],
            false => &looks[..],
        };
        let alike = |look: &fn(&UnderWay, &Returned) -> bool| {
            let alike = self.under_way.iter().filter(|(_, one)| look(one, returned));
            alike.map(|(tag, _)| *tag).collect::<Vec<_>>()
        };
        let tags = looks.iter().map(alike).find(|alike| !alike.is_empty());
        let tags = tags.unwrap_or_default();
        let is_sure = tags.len() == 1;
        for tag in tags {
            let Some(one) = self.under_way.get_mut(&tag) else {
                continue;
            };
            match is_sure {
                true => one.returned = Some(returned.words()),
                false => one.is_in_doubt = true,
            }
        }
    }

    /// Nothing more is answered over this channel. So many of its publications are written, and the next one may be begun.
    pub(super) fn broke(&mut self, broken: &Broken, written: u64) {
        self.octets = 0;
        let lost = std::mem::take(&mut self.under_way);
        let suspects = match broken.culprit() {
            Some(_) => lost.range(..=written.saturating_add(1)).count(),
            None => 0,
        };
        let mut again = Vec::new();
        let mut singly = 0;
        for (place, one) in lost.into_values().enumerate() {
            let UnderWay {
                mut item, alone, ..
            } = one;
            if let (Some(words), 1, 0) = (broken.culprit(), suspects, place) {
                self.doubts.refused(&item.outgoing);
                if item.is_to_blame(broken) {
                    self.settle(item, Verdict::Refused(words.to_owned()));
                    continue;
                }
            }
            if item.once {
                self.settle(item, Verdict::Disconnected);
                continue;
            }
            singly += usize::from(alone || (suspects > 1 && place < suspects));
            again.push(item);
        }
        self.singly += singly;
        self.wait_again(again);
    }

    /// These wait before all others, in their order.
    fn wait_again(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.waiting.push_front(item);
        }
    }

    /// So many are written over this channel: the broker's time for the others has not begun.
    pub(super) fn are_written(&mut self, written: u64, now: Duration) {
        for (_, one) in self.under_way.range_mut(written.saturating_add(1)..) {
            one.at = now;
        }
    }

    /// Whether the broker has had its time for one of them.
    pub(super) fn is_silent(&self, now: Duration) -> bool {
        let mut under_way = self.under_way.values();
        under_way.any(|one| now.saturating_sub(one.at) >= CONFIRM_TIMEOUT)
    }

    /// Those that were tried for too long have their verdict. So many are written.
    pub(super) fn expire(&mut self, now: Duration, written: u64) -> Expired {
        let waited = self.give_up(now, &Verdict::TimedOut);
        let under_way = self.under_way.iter();
        let over = under_way.filter(|(_, one)| one.item.is_over(now));
        let over: Vec<u64> = over.map(|(tag, _)| *tag).collect();
        self.has_expired |= !over.is_empty();
        for tag in &over {
            if let Some(one) = self.take(*tag) {
                self.settle(one.item, Verdict::TimedOut);
            }
        }
        match over.last() {
            Some(last) if *last > written => Expired::Unwritten,
            None if waited == 0 => Expired::Nothing,
            _ => Expired::Written,
        }
    }

    /// Those that wait and were tried for too long have this verdict; how many they were.
    pub(super) fn give_up(&mut self, now: Duration, verdict: &Verdict) -> usize {
        if !self.waiting.iter().any(|item| item.is_over(now)) {
            return 0;
        }
        let before = self.waiting.len();
        let mut singly = 0;
        for (place, item) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if item.is_over(now) {
                self.settle(item, verdict.clone());
                continue;
            }
            singly += usize::from(place < self.singly);
            self.waiting.push_back(item);
        }
        self.singly = singly;
        before - self.waiting.len()
    }

    /// Everything has this verdict that has none.
    pub(super) fn settle_rest(&mut self, verdict: &Verdict) {
        self.octets = 0;
        for one in std::mem::take(&mut self.under_way).into_values() {
            self.settle(one.item, verdict.clone());
        }
        for item in std::mem::take(&mut self.waiting) {
            self.settle(item, verdict.clone());
        }
        self.singly = 0;
    }

    fn settle(&mut self, item: Item, verdict: Verdict) {
        if verdict.was_taken() {
            self.doubts.taken(&item.outgoing);
        }
        self.calls
            .settle(item.call, item.index, item.outgoing, verdict);
    }

    /// Those who wait, for what has its verdict.
    pub(super) fn calls(&mut self) -> &mut Calls {
        &mut self.calls
    }
}

impl Item {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= TRIED_FOR
    }

    /// The channel, or the connection, ended over this one alone; whether that is enough to refuse it.
    fn is_to_blame(&mut self, broken: &Broken) -> bool {
        let enough = match broken {
            Broken::Connection(_) => CONNECTIONS_LOST,
            Broken::Internal(_) => INTERNAL_ERRORS,
            Broken::Channel(_) | Broken::Silent => 0,
        };
        self.connections_lost += 1;
        self.connections_lost >= enough
    }
}

impl UnderWay {
    /// Whether it may be the one that came back, by all that can be compared.
    fn is_like(&self, returned: &Returned) -> bool {
        let outgoing = &self.item.outgoing;
        let came_back = id(&returned.properties, returned.properties.headers().as_ref());
        self.went_the_same_way(returned)
            && outgoing.body.len() as u64 == returned.length
            && id(&outgoing.properties, Some(&outgoing.headers)) == came_back
    }

    /// By where it went alone.
    fn went_the_same_way(&self, returned: &Returned) -> bool {
        let outgoing = &self.item.outgoing;
        self.returned.is_none()
            && outgoing.exchange == returned.exchange
            && outgoing.routing_key == returned.routing_key
    }
}

#[cfg(test)]
pub(super) mod tests;
