//! The publications of one publisher, from when they are handed over until each has its verdict: [`Window`]. Pure.
//!
//! They are published in the order in which they came, many before the first is confirmed. The broker confirms them by their
//! tags, in any order. What has no answer when the channel ends is published again, in its place. The broker closes a channel
//! over a publication that it refuses without saying which one; so those that had no answer go one at a time then.

use std::collections::VecDeque;
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
    /// Published over the channel of now, without an answer. `None` for one that has it, behind others that have none.
    under_way: VecDeque<Option<UnderWay>>,
    /// The tag of the first of those.
    first: u64,
    /// How many of them have no answer, and the octets of their bodies.
    unanswered: usize,
    octets: usize,
    /// The broker has refused something over this channel with a nack.
    is_worn: bool,
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
        self.waiting.len() + self.unanswered < MOST
    }

    /// Whether everything has its verdict.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unanswered == 0
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
        self.is_worn && self.unanswered == 0
    }

    /// A new channel, on which tags begin at 1. What was under way over another has its verdict, or waits.
    pub(super) fn has_channel(&mut self) {
        debug_assert_eq!(self.unanswered, 0);
        self.under_way.clear();
        self.first = 1;
        self.is_worn = false;
    }

    /// Publishes what may go now, by `post`, which is false if the channel has ended.
    pub(super) fn publish(
        &mut self,
        now: Duration,
        frame_max: u32,
        mut post: impl FnMut(&Outgoing) -> bool,
    ) {
        while self.is_next_free() {
            let Some(item) = self.waiting.pop_front() else {
                return;
            };
            let is_single = self.singly > 0;
            let alone = is_single || self.doubts.concern(&item.outgoing);
            let posted = match self.useless(&item, frame_max) {
                Some(verdict) => Err(verdict),
                None => Ok(post(&item.outgoing)),
            };
            if matches!(posted, Ok(false)) {
                self.waiting.push_front(item);
                return;
            }
            self.singly = self.singly.saturating_sub(1);
            match posted {
                Err(verdict) => self.settle(item, verdict),
                Ok(_) => {
                    self.unanswered += 1;
                    self.octets += item.outgoing.body.len();
                    self.under_way.push_back(Some(UnderWay {
                        item,
                        at: now,
                        alone,
                        returned: None,
                        is_in_doubt: false,
                    }));
                }
            }
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
        if self.unanswered == 0 {
            return true;
        }
        let alone = self.singly > 0 || self.doubts.concern(&next.outgoing);
        !alone
            && !self.is_one_alone()
            && self.unanswered < MOST
            && self.octets + next.outgoing.body.len() <= MOST_OCTETS
    }

    /// Whether one is under way beside which nothing may be.
    fn is_one_alone(&self) -> bool {
        let last = self.under_way.back();
        last.is_some_and(|last| last.as_ref().is_some_and(|one| one.alone))
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
        let Some(behind) = tag.checked_sub(self.first) else {
            return;
        };
        let last = usize::try_from(behind).unwrap_or(usize::MAX);
        let first = if multiple { 0 } else { last };
        let mut again = Vec::new();
        for place in first..=last.min(self.under_way.len().saturating_sub(1)) {
            let Some(one) = self.take(place) else {
                continue;
            };
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
        while let Some(None) = self.under_way.front() {
            self.under_way.pop_front();
            self.first += 1;
        }
    }

    /// One that was under way, which is not any more.
    fn take(&mut self, place: usize) -> Option<UnderWay> {
        let one = self.under_way.get_mut(place)?.take()?;
        self.unanswered -= 1;
        self.octets -= one.item.outgoing.body.len();
        Some(one)
    }

    /// One of those under way came back, and has no confirm yet. The broker does not say which; what is like another one in
    /// all that can be compared is published again, alone.
    fn came_back(&mut self, returned: &Returned) {
        // The broker may have changed a message that it returns.
        let looks: [fn(&UnderWay, &Returned) -> bool; 3] =
            [UnderWay::is_like, UnderWay::went_the_same_way, |_, _| true];
        let alike = |look: &fn(&UnderWay, &Returned) -> bool| {
            let places = self.under_way.iter().enumerate();
            let alike =
                places.filter(|(_, one)| one.as_ref().is_some_and(|one| look(one, returned)));
            alike.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let places = match self.unanswered {
            1 => alike(&looks[2]),
            _ => looks
                .iter()
                .map(alike)
                .find(|alike| !alike.is_empty())
                .unwrap_or_default(),
        };
        let is_sure = places.len() == 1;
        for place in places {
            let Some(one) = &mut self.under_way[place] else {
                continue;
            };
            match is_sure {
                true => one.returned = Some(returned.words()),
                false => one.is_in_doubt = true,
            }
        }
    }

    /// Nothing more is answered over this channel.
    pub(super) fn broke(&mut self, broken: &Broken) {
        let lost: Vec<UnderWay> = (0..self.under_way.len())
            .filter_map(|place| self.take(place))
            .collect();
        self.under_way.clear();
        let is_one = lost.len() == 1;
        let mut again = Vec::new();
        let mut singly = 0;
        for UnderWay {
            mut item, alone, ..
        } in lost
        {
            if let (Some(words), true) = (broken.culprit(), is_one) {
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
            singly += usize::from(alone || (broken.culprit().is_some() && !is_one));
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
        let (first, ones) = (self.first, self.under_way.iter_mut());
        for (_, one) in (first..).zip(ones).filter(|(tag, _)| *tag > written) {
            if let Some(one) = one {
                one.at = now;
            }
        }
    }

    /// Whether the broker has had its time for one of them.
    pub(super) fn is_silent(&self, now: Duration) -> bool {
        let mut under_way = self.under_way.iter().flatten();
        under_way.any(|one| now.saturating_sub(one.at) >= CONFIRM_TIMEOUT)
    }

    /// Those that were tried for too long have their verdict; whether there are any.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let is_over = |item: &Item| now.saturating_sub(item.since) >= TRIED_FOR;
        let mut over = Vec::new();
        for place in 0..self.under_way.len() {
            let one = self.under_way[place].as_ref();
            if one.is_some_and(|one| is_over(&one.item)) {
                over.extend(self.take(place).map(|one| one.item));
            }
        }
        if self.waiting.iter().any(is_over) {
            let waiting = std::mem::take(&mut self.waiting).into_iter();
            let (more, rest): (Vec<_>, Vec<_>) = waiting.partition(is_over);
            self.waiting = rest.into();
            over.extend(more);
        }
        let any = !over.is_empty();
        for item in over {
            self.settle(item, Verdict::TimedOut);
        }
        any
    }

    /// Everything has this verdict that has none.
    pub(super) fn settle_rest(&mut self, verdict: &Verdict) {
        for place in 0..self.under_way.len() {
            if let Some(one) = self.take(place) {
                self.settle(one.item, verdict.clone());
            }
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
