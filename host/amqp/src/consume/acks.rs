//! The acknowledgements that one channel owes the broker: pure, and the only source of them.
//!
//! Deliveries are settled in any order, and one `basic.ack` with `multiple` settles all up to a tag: twice the
//! throughput of one ack each. So the window keeps a *frontier*, below which every tag is settled, and acks up
//! to there in one go. Tags that are settled above the frontier wait for the slow one below it, unless there
//! are so many that the broker would stop delivering.
//!
//! Two rules keep the channel alive, since the broker closes it over an unknown tag: a tag is sent once, and a
//! `multiple` names a tag that is still unsettled at the broker.

mod activity;
pub(crate) mod flusher;
mod pace;
pub(crate) mod sink;
mod waits;

use std::collections::VecDeque;

/// The next frame for the broker; the order matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `basic.ack`, `multiple`: every tag up to this one.
    AckUpTo(u64),
    /// `basic.ack` of one tag.
    Ack(u64),
    /// `basic.nack` of one tag, back to its queue.
    Requeue(u64),
}

/// How far a tag has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// In hand.
    Open,
    /// To be acked.
    Acked,
    /// To be requeued.
    Requeued,
    /// The broker has received the settlement.
    Told,
}

/// How urgently the settlement must be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// Nothing is owed.
    Never,
    /// Only acks above the frontier are owed, and few: they can wait for the slow one below.
    Late,
    /// Something is owed, not enough yet.
    Soon,
    /// Now.
    Now,
}

/// The tags of one channel from the first that is not settled at the broker.
#[derive(Debug)]
pub(crate) struct Window {
    /// The tag at the front of `tags`.
    base: u64,
    tags: VecDeque<Tag>,
    /// How many tags at the front are not open.
    settled_run: usize,
    /// Acked ones among those.
    acked_below: usize,
    /// Acked ones after those.
    acked_above: usize,
    requeued: usize,
    /// The channel holds at most this many deliveries.
    prefetch: u16,
    /// How many of them wait in the host for a time that is not known.
    parked: usize,
    closed: bool,
}

impl Window {
    /// For a channel that holds at most `prefetch` deliveries.
    pub(crate) fn new(prefetch: u16) -> Self {
        Self {
            base: 1,
            tags: VecDeque::with_capacity(usize::from(prefetch)),
            settled_run: 0,
            acked_below: 0,
            acked_above: 0,
            requeued: 0,
            prefetch,
            parked: 0,
            closed: false,
        }
    }

    /// The channel holds at most `prefetch` deliveries from now on.
    pub(crate) fn resize(&mut self, prefetch: u16) {
        self.prefetch = prefetch;
    }

    /// One more delivery is parked: an ack above it would wait for it for ever.
    pub(crate) fn park(&mut self) {
        self.parked += 1;
    }

    /// One is parked no longer.
    pub(crate) fn unpark(&mut self) {
        self.parked -= 1;
    }

    /// How many deliveries are parked, and how many the channel holds at most.
    pub(crate) fn parked(&self) -> (usize, u16) {
        (self.parked, self.prefetch)
    }

    /// A quarter of the prefetch that is not parked: of as many acks the broker is told, or it would have too few
    /// deliveries left to give out.
    fn quarter(&self) -> usize {
        (usize::from(self.prefetch).saturating_sub(self.parked) / 4).max(1)
    }

    /// The channel is gone: nothing can be settled any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.tags.clear();
        self.settled_run = 0;
        self.acked_below = 0;
        self.acked_above = 0;
        self.requeued = 0;
    }

    /// `tag` is handled. `None` if it cannot be settled any more.
    pub(crate) fn ack(&mut self, tag: u64) -> Option<Due> {
        self.settle(tag, Tag::Acked)?;
        self.acked_above += 1;
        self.advance();
        Some(self.due())
    }

    /// `tag` goes back to its queue. `None` if it cannot be settled any more.
    pub(crate) fn requeue(&mut self, tag: u64) -> Option<Due> {
        self.settle(tag, Tag::Requeued)?;
        self.requeued += 1;
        self.advance();
        Some(self.due())
    }

    /// What was to go back by itself goes back with the channel: it counts as unsettled again, so that no `multiple`
    /// covers it.
    pub(crate) fn leave_requeued_to_the_channel(&mut self) {
        if self.requeued == 0 {
            return;
        }
        let requeued = self.tags.iter_mut().filter(|tag| **tag == Tag::Requeued);
        requeued.for_each(|tag| *tag = Tag::Open);
        self.requeued = 0;
        // The run at the front ends at the first of them.
        self.settled_run = 0;
        self.acked_above += std::mem::take(&mut self.acked_below);
        self.advance();
    }

    fn settle(&mut self, tag: u64, settled: Tag) -> Option<()> {
        if self.closed {
            return None;
        }
        let index = usize::try_from(tag.checked_sub(self.base)?).ok()?;
        if index >= self.tags.len() {
            self.tags.resize(index + 1, Tag::Open);
        }
        if self.tags[index] != Tag::Open {
            return None;
        }
        self.tags[index] = settled;
        Some(())
    }

    fn advance(&mut self) {
        while let Some(tag) = self.tags.get(self.settled_run) {
            match tag {
                Tag::Open => break,
                Tag::Acked => {
                    self.acked_above -= 1;
                    self.acked_below += 1;
                }
                Tag::Requeued | Tag::Told => {}
            }
            self.settled_run += 1;
        }
    }

    /// How urgent it is.
    pub(crate) fn due(&self) -> Due {
        let quarter = self.quarter();
        let owed_now =
            self.requeued > 0 || self.acked_below >= quarter || self.acked_above >= quarter;
        match (owed_now, self.acked_below, self.acked_above) {
            (true, _, _) => Due::Now,
            (false, 1.., _) => Due::Soon,
            (false, 0, 1..) => Due::Late,
            (false, 0, 0) => Due::Never,
        }
    }

    /// Takes the acks that are due. Acks above the frontier are taken only `with_late`, or when they amount to
    /// a quarter of the prefetch: each of them costs a frame of its own.
    pub(crate) fn take(&mut self, with_late: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        // Requeues first: a `multiple` behind one that is not out yet would ack it.
        if self.requeued > 0 {
            self.take_each(Tag::Requeued, Frame::Requeue, &mut frames);
            self.requeued = 0;
        }
        self.take_run(&mut frames);
        if self.acked_above > 0 && (with_late || self.acked_above >= self.quarter()) {
            self.take_each(Tag::Acked, Frame::Ack, &mut frames);
            self.acked_above = 0;
        }
        frames
    }

    fn take_run(&mut self, frames: &mut Vec<Frame>) {
        let run = self.tags.drain(..self.settled_run);
        let last = run.enumerate().rfind(|(_, tag)| *tag == Tag::Acked);
        if let Some((index, _)) = last {
            frames.push(Frame::AckUpTo(self.base + index as u64));
        }
        self.base += self.settled_run as u64;
        self.settled_run = 0;
        self.acked_below = 0;
    }

    fn take_each(&mut self, owed: Tag, frame: fn(u64) -> Frame, frames: &mut Vec<Frame>) {
        let base = self.base;
        for (index, tag) in self.tags.iter_mut().enumerate() {
            if *tag == owed {
                *tag = Tag::Told;
                frames.push(frame(base + index as u64));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn acks_in_order_become_one_frame() {
        let mut window = Window::new(100);
        for tag in 1..=24 {
            assert_eq!(window.ack(tag), Some(Due::Soon));
        }
        assert_eq!(window.ack(25), Some(Due::Now));
        assert_eq!(window.take(false), [Frame::AckUpTo(25)]);
        assert_eq!(window.due(), Due::Never);
    }

    #[test]
    fn a_slow_one_holds_back_those_above_it_until_they_are_many() {
        let mut window = Window::new(16);
        for tag in 2..=4 {
            assert_eq!(window.ack(tag), Some(Due::Late));
        }
        assert_eq!(window.take(false), []);
        assert_eq!(window.ack(5), Some(Due::Now));
        let singles: Vec<_> = (2..=5).map(Frame::Ack).collect();
        assert_eq!(window.take(false), singles);
        // The slow one and its successor: the broker does not know 2 to 5 any more, so 6 is named.
        window.ack(6);
        window.ack(1);
        assert_eq!(window.take(false), [Frame::AckUpTo(6)]);
    }

    #[test]
    fn what_is_parked_leaves_less_of_the_prefetch_for_acks_to_wait_in() {
        let mut window = Window::new(16);
        for _ in 0..12 {
            window.park();
        }
        // The first twelve are parked, and of the four that the broker gives out beside them one is a quarter.
        assert_eq!(window.ack(13), Some(Due::Now));
        assert_eq!(window.take(false), [Frame::Ack(13)]);
        for _ in 0..12 {
            window.unpark();
        }
        assert_eq!(window.ack(14), Some(Due::Late));
    }

    #[test]
    fn a_multiple_never_names_a_tag_that_the_broker_forgot() {
        let mut window = Window::new(4);
        window.ack(2);
        assert_eq!(window.take(false), [Frame::Ack(2)]);
        window.ack(1);
        assert_eq!(window.take(false), [Frame::AckUpTo(1)]);
        window.ack(3);
        assert_eq!(window.take(false), [Frame::AckUpTo(3)]);
    }

    #[test]
    fn a_requeue_goes_out_before_the_multiple_that_would_cover_it() {
        let mut window = Window::new(100);
        window.ack(1);
        assert_eq!(window.requeue(2), Some(Due::Now));
        window.ack(3);
        assert_eq!(window.take(false), [Frame::Requeue(2), Frame::AckUpTo(3)]);
    }

    #[test]
    fn what_is_left_to_the_channel_is_covered_by_no_multiple() {
        let mut window = Window::new(100);
        window.ack(1);
        window.requeue(2);
        window.ack(3);
        window.leave_requeued_to_the_channel();
        assert_eq!(window.take(true), [Frame::AckUpTo(1), Frame::Ack(3)]);
        assert_eq!(window.due(), Due::Never);
    }

    #[test]
    fn a_tag_is_settled_once_and_never_after_the_channel_is_gone() {
        let mut window = Window::new(100);
        assert!(window.ack(1).is_some());
        assert_eq!(window.ack(1), None);
        assert_eq!(window.requeue(1), None);
        window.take(false);
        assert_eq!(window.ack(1), None);
        window.close();
        assert_eq!(window.ack(2), None);
        assert_eq!(window.take(true), []);
    }

    /// The broker's side of a channel.
    #[derive(Default)]
    struct Broker {
        unsettled: BTreeSet<u64>,
        acked: BTreeSet<u64>,
        requeued: BTreeSet<u64>,
    }

    impl Broker {
        fn hear(&mut self, frame: Frame) {
            match frame {
                Frame::AckUpTo(tag) => {
                    assert!(self.unsettled.contains(&tag), "406 unknown tag {tag}");
                    let above = self.unsettled.split_off(&(tag + 1));
                    self.acked.append(&mut self.unsettled);
                    self.unsettled = above;
                }
                Frame::Ack(tag) => {
                    assert!(self.unsettled.remove(&tag), "406 unknown tag {tag}");
                    self.acked.insert(tag);
                }
                Frame::Requeue(tag) => {
                    assert!(self.unsettled.remove(&tag), "406 unknown tag {tag}");
                    self.requeued.insert(tag);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_broker_hears_exactly_what_was_settled(
            prefetch in 1u16..64,
            steps in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..10), 0..400),
            leaves in any::<bool>(),
        ) {
            let mut window = Window::new(prefetch);
            let mut broker = Broker::default();
            let mut next = 1;
            let mut in_hand = Vec::new();
            let (mut acked, mut requeued) = (BTreeSet::new(), BTreeSet::new());
            for (pick, step) in steps {
                while broker.unsettled.len() < usize::from(prefetch) {
                    broker.unsettled.insert(next);
                    in_hand.push(next);
                    next += 1;
                }
                if step == 0 {
                    window.take(true).into_iter().for_each(|frame| broker.hear(frame));
                    continue;
                }
                if in_hand.is_empty() {
                    continue;
                }
                let tag = in_hand.swap_remove(pick.index(in_hand.len()));
                let due = if step == 1 {
                    requeued.insert(tag);
                    window.requeue(tag)
                } else {
                    acked.insert(tag);
                    window.ack(tag)
                };
                if due == Some(Due::Now) {
                    window.take(false).into_iter().for_each(|frame| broker.hear(frame));
                    prop_assert!(window.due() < Due::Now);
                }
            }
            if leaves {
                window.leave_requeued_to_the_channel();
                requeued.retain(|tag| broker.requeued.contains(tag));
            }
            window.take(true).into_iter().for_each(|frame| broker.hear(frame));
            prop_assert_eq!(&broker.acked, &acked);
            prop_assert_eq!(&broker.requeued, &requeued);
            prop_assert_eq!(window.due(), Due::Never);
        }
    }
}
