//! Which offsets of a stream are handled: pure.
//!
//! A stream delivers its messages in order, and its offsets may have holes: an offset between two deliveries
//! that was not delivered does not exist. So nothing is counted up. The state is how far messages were
//! delivered, and which of those are still open; everything else below is done.

use std::collections::BTreeMap;

/// How far a stream was read, over any number of readings: each new channel reads some of it again.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// Everything below was handed out; none before the first message.
    end: Option<u64>,
    /// The delivered offsets that are not handled.
    open: BTreeMap<u64, Open>,
    /// The number of the reading that is under way.
    reading: u64,
}

#[derive(Debug)]
struct Open {
    /// Whether a worker has it in flight; otherwise it was given back.
    in_hand: bool,
    /// The last reading that came past it.
    passed_by: u64,
}

/// The next step for a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is to be handled.
    Wanted,
    /// It is handled, or in flight.
    Known,
}

impl Offsets {
    /// Everything below `position` is handled.
    pub(super) fn resume(&mut self, position: u64) {
        self.end = Some(position);
    }

    /// The lowest offset that is not handled; none before the first message.
    pub(super) fn position(&self) -> Option<u64> {
        let lowest = self.open.keys().next().copied();
        lowest.or(self.end)
    }

    /// How many are in flight.
    pub(super) fn in_hand(&self) -> usize {
        self.open.values().filter(|open| open.in_hand).count()
    }

    /// The stream is read again, from the position or from before it.
    pub(super) fn begin(&mut self) {
        self.reading += 1;
    }

    /// A message came; within a reading they come in order.
    pub(super) fn arrived(&mut self, offset: u64) -> Arrival {
        self.give_up_below(offset);
        let reading = self.reading;
        if let Some(open) = self.open.get_mut(&offset) {
            open.passed_by = reading;
            return match std::mem::replace(&mut open.in_hand, true) {
                true => Arrival::Known,
                false => Arrival::Wanted,
            };
        }
        if self.end.is_some_and(|end| offset < end) {
            return Arrival::Known;
        }
        self.end = Some(offset + 1);
        let open = Open {
            in_hand: true,
            passed_by: reading,
        };
        self.open.insert(offset, open);
        Arrival::Wanted
    }

    /// A message that was given back, lies below `offset`, and did not come again in this reading, is not in
    /// the stream any more.
    fn give_up_below(&mut self, offset: u64) {
        let reading = self.reading;
        while let Some(lowest) = self.open.first_entry()
            && *lowest.key() < offset
            && !lowest.get().in_hand
            && lowest.get().passed_by < reading
        {
            lowest.remove();
        }
    }

    /// A message that was in flight is handled.
    pub(super) fn handled(&mut self, offset: u64) {
        self.open.remove(&offset);
    }

    /// A message that was in flight is not handled. Returns whether the current reading has passed it, so that
    /// another is needed.
    pub(super) fn given_back(&mut self, offset: u64) -> bool {
        let Some(open) = self.open.get_mut(&offset) else {
            return false;
        };
        open.in_hand = false;
        open.passed_by == self.reading
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_position_never_passes_what_is_not_handled() {
        let mut offsets = Offsets::default();
        assert_eq!(offsets.position(), None);
        for offset in [7, 8, 9] {
            assert_eq!(offsets.arrived(offset), Arrival::Wanted);
        }
        offsets.handled(8);
        offsets.handled(9);
        assert_eq!(offsets.position(), Some(7));
        offsets.handled(7);
        assert_eq!(offsets.position(), Some(10));
    }

    #[test]
    fn holes_in_the_stream_hold_nothing_up() {
        let mut offsets = Offsets::default();
        offsets.resume(3);
        assert_eq!(offsets.arrived(2), Arrival::Known, "it was handled before");
        assert_eq!(offsets.arrived(5), Arrival::Wanted);
        offsets.handled(5);
        assert_eq!(offsets.position(), Some(6));
    }

    #[test]
    fn another_reading_hands_out_what_was_given_back_and_nothing_else() {
        let mut offsets = Offsets::default();
        for offset in 0..4 {
            assert_eq!(offsets.arrived(offset), Arrival::Wanted);
        }
        offsets.handled(0);
        offsets.handled(3);
        assert!(offsets.given_back(2), "it came by in this reading");
        offsets.begin();
        assert_eq!(offsets.arrived(1), Arrival::Known, "it is in hand");
        assert!(offsets.given_back(1), "it came by, and was not taken");
        assert_eq!(offsets.arrived(2), Arrival::Wanted);
        assert_eq!(offsets.arrived(3), Arrival::Known, "it is handled");
        assert_eq!(offsets.position(), Some(1));
    }

    #[test]
    fn what_is_given_back_before_a_reading_comes_to_it_needs_no_other() {
        let mut offsets = Offsets::default();
        offsets.arrived(0);
        offsets.arrived(1);
        offsets.begin();
        assert!(!offsets.given_back(1));
        assert_eq!(offsets.arrived(0), Arrival::Known);
        assert_eq!(offsets.arrived(1), Arrival::Wanted);
    }

    #[test]
    fn what_the_stream_has_lost_is_not_waited_for() {
        let mut offsets = Offsets::default();
        offsets.arrived(0);
        offsets.arrived(1);
        assert!(offsets.given_back(0));
        offsets.begin();
        assert_eq!(offsets.arrived(5), Arrival::Wanted);
        assert_eq!(offsets.position(), Some(1), "that one is in hand");
        offsets.handled(1);
        offsets.handled(5);
        assert_eq!(offsets.position(), Some(6));
    }

    /// The next event for the reader of a stream.
    #[derive(Debug, Clone)]
    enum Step {
        Read,
        Handle(prop::sample::Index),
        HandleFirst,
        GiveBack(prop::sample::Index),
        Reconnect,
        /// The process dies; the position that it wrote down last is all that is left.
        Restart,
        WriteDown,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Read),
            4 => any::<prop::sample::Index>().prop_map(Step::Handle),
            1 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
            1 => Just(Step::Reconnect),
            1 => Just(Step::Restart),
            2 => Just(Step::WriteDown),
        ]
    }

    proptest! {
        /// Every message is handled in the end, once in each process, and the stored offset is never behind an
        /// unhandled message.
        #[test]
        fn nothing_is_passed_over(
            holes in proptest::collection::btree_set(0u64..60, 0..20),
            steps in proptest::collection::vec(any_step(), 0..300),
        ) {
            let stream: Vec<u64> = (0..60).filter(|offset| !holes.contains(offset)).collect();
            let mut offsets = Offsets::default();
            let mut cursor = 0;
            let mut in_hand: Vec<u64> = Vec::new();
            let mut handled = BTreeSet::new();
            let mut handled_here = BTreeSet::new();
            let mut written = None;
            let seek = |position: Option<u64>| match position {
                None => 0,
                // One that is handled comes first, as it does from the broker.
                Some(position) => stream.partition_point(|o| *o < position.saturating_sub(1)),
            };
            let ending = [Step::Reconnect].into_iter().chain(
                (0..400).flat_map(|_| [Step::Read, Step::HandleFirst]),
            );
            for step in steps.into_iter().chain(ending) {
                match step {
                    Step::Read => {
                        let Some(offset) = stream.get(cursor).copied() else { continue };
                        cursor += 1;
                        if offsets.arrived(offset) == Arrival::Wanted {
                            prop_assert!(!in_hand.contains(&offset));
                            in_hand.push(offset);
                        }
                    }
                    Step::Handle(_) | Step::HandleFirst | Step::GiveBack(_)
                        if in_hand.is_empty() => {}
                    Step::Handle(_) | Step::HandleFirst => {
                        let index = match step {
                            Step::Handle(which) => which.index(in_hand.len()),
                            _ => 0,
                        };
                        let offset = in_hand.swap_remove(index);
                        prop_assert!(handled_here.insert(offset), "twice in one process");
                        handled.insert(offset);
                        offsets.handled(offset);
                    }
                    Step::GiveBack(which) => {
                        let offset = in_hand.swap_remove(which.index(in_hand.len()));
                        if offsets.given_back(offset) {
                            offsets.begin();
                            cursor = seek(offsets.position());
                        }
                    }
                    Step::Reconnect => {
                        offsets.begin();
                        cursor = seek(offsets.position());
                    }
                    Step::WriteDown => written = offsets.position(),
                    Step::Restart => {
                        offsets = Offsets::default();
                        if let Some(position) = written {
                            offsets.resume(position);
                        }
                        offsets.begin();
                        cursor = seek(written);
                        in_hand.clear();
                        handled_here.clear();
                    }
                }
                if let Some(position) = offsets.position() {
                    let passed = stream.iter().take_while(|offset| **offset < position);
                    prop_assert!(passed.into_iter().all(|offset| handled.contains(offset)));
                }
                prop_assert_eq!(offsets.in_hand(), in_hand.len());
            }
            prop_assert_eq!(handled, stream.iter().copied().collect());
        }
    }
}
