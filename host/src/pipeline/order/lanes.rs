//! Which delivery waits for which, if deliveries are kept in order: a lane for each key. Pure.
//!
//! Of each key one delivery is with a worker; those behind it wait in its lane, in their order. A delivery that
//! will be retried keeps its lane until then. The consumer's prefetch bounds the waiting deliveries, since none
//! of them has been acknowledged.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

/// The key of a lane.
pub(super) type LaneKey = Arc<[u8]>;

/// Lanes of whatever is kept in order.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    /// A lane for each key of which one is out, ready or held; those that wait behind it.
    lanes: HashMap<LaneKey, VecDeque<T>>,
    /// Those whose turn has come, in the order in which it came.
    ready: VecDeque<(LaneKey, T)>,
    /// Deliveries at the head of their lanes that are retried at a certain time; the number distinguishes those
    /// of the same time.
    held: BTreeMap<(Instant, u64), (LaneKey, T)>,
    last: u64,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            held: BTreeMap::new(),
            last: 0,
        }
    }
}

impl<T> Lanes<T> {
    /// One that has arrived: it is out at once if nothing of its key is before it, and waits for
    /// its turn otherwise.
    pub(super) fn arrive(&mut self, key: Vec<u8>, one: T) -> Option<(LaneKey, T)> {
        match self.lanes.get_mut(key.as_slice()) {
            Some(lane) => {
                lane.push_back(one);
                None
            }
            None => {
                let key: LaneKey = key.into();
                self.lanes.insert(Arc::clone(&key), VecDeque::new());
                Some((key, one))
            }
        }
    }

    /// The one of this key that was out is done: it is the next one's turn.
    pub(super) fn release(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        match lane.pop_front() {
            Some(next) => self.ready.push_back((Arc::clone(key), next)),
            None => {
                self.lanes.remove(key);
            }
        }
    }

    /// The one of this key that was out is tried again at `at`, before all that wait behind it.
    pub(super) fn hold(&mut self, key: LaneKey, one: T, at: Instant) {
        self.last += 1;
        self.held.insert((at, self.last), (key, one));
    }

    /// Takes a delivery whose turn has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<(LaneKey, T)> {
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= now
        {
            self.ready.push_back(first.remove());
        }
        self.ready.pop_front()
    }

    /// When the next one that is held is tried again.
    pub(super) fn next_held(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many wait here, for a turn, for a worker or for a time.
    pub(super) fn waiting(&self) -> usize {
        let behind: usize = self.lanes.values().map(VecDeque::len).sum();
        behind + self.ready.len() + self.held.len()
    }

    /// Gives up all waiting deliveries. Those with a worker keep their lanes.
    pub(super) fn clear(&mut self) -> Vec<T> {
        let held = std::mem::take(&mut self.held).into_values();
        let mut gone = Vec::new();
        for (key, one) in self.ready.drain(..).chain(held) {
            gone.push(one);
            gone.extend(self.lanes.remove(&key).into_iter().flatten());
        }
        gone.extend(self.lanes.values_mut().flat_map(std::mem::take));
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn key(key: u8) -> Vec<u8> {
        vec![key]
    }

    #[test]
    fn of_one_key_one_is_out_and_others_do_not_wait_for_it() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let (a, first) = lanes.arrive(key(1), "a1").expect("nothing is before it");
        assert_eq!(first, "a1");
        assert!(lanes.arrive(key(1), "a2").is_none());
        assert!(lanes.arrive(key(2), "b1").is_some());
        assert!(lanes.take(now).is_none());
        lanes.release(&a);
        assert_eq!(lanes.take(now).map(|(_, one)| one), Some("a2"));
        lanes.release(&a);
        assert!(lanes.arrive(key(1), "a3").is_some(), "its lane is empty");
    }

    #[test]
    fn one_that_is_held_comes_before_those_behind_it() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let (a, first) = lanes.arrive(key(1), "a1").expect("nothing is before it");
        assert!(lanes.arrive(key(1), "a2").is_none());
        let at = now + Duration::from_secs(5);
        lanes.hold(a, first, at);
        assert!(lanes.take(now).is_none());
        assert_eq!(lanes.next_held(), Some(at));
        let (a, again) = lanes.take(at).expect("its time has come");
        assert_eq!(again, "a1");
        assert!(lanes.take(at).is_none(), "a2 waits for it");
        lanes.release(&a);
        assert_eq!(lanes.take(at).map(|(_, one)| one), Some("a2"));
    }

    #[test]
    fn what_is_given_up_leaves_no_lane_but_of_those_that_are_out() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let (a, a1) = lanes.arrive(key(1), "a1").expect("nothing is before it");
        let (b, _) = lanes.arrive(key(2), "b1").expect("nothing is before it");
        lanes.arrive(key(1), "a2");
        lanes.arrive(key(2), "b2");
        lanes.hold(a, a1, now + Duration::from_secs(5));
        let mut gone = lanes.clear();
        gone.sort_unstable();
        assert_eq!(gone, ["a1", "a2", "b2"]);
        assert_eq!(lanes.waiting(), 0);
        assert!(lanes.arrive(key(1), "a1").is_some());
        assert!(lanes.arrive(key(2), "b2").is_none(), "b1 is still out");
        lanes.release(&b);
        assert!(lanes.take(now).is_some());
    }

    /// A step of the code that uses the lanes.
    #[derive(Debug, Clone)]
    enum Step {
        Arrive(u8),
        Take,
        Done(prop::sample::Index),
        Hold(prop::sample::Index, u8),
        Wait(u8),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u8..4).prop_map(Step::Arrive),
            4 => Just(Step::Take),
            3 => any::<prop::sample::Index>().prop_map(Step::Done),
            1 => (any::<prop::sample::Index>(), 0u8..5).prop_map(|(index, time)| Step::Hold(index, time)),
            1 => (0u8..5).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever happens in between, those of one key are done one at a time in the order in which
        /// they arrived, and all of them are.
        #[test]
        fn each_key_is_first_in_first_out_and_nothing_is_lost(
            steps in proptest::collection::vec(any_step(), 0..200),
        ) {
            let mut now = Instant::now();
            let mut lanes = Lanes::default();
            let mut out: Vec<(LaneKey, (u8, u32))> = Vec::new();
            let mut arrived: HashMap<u8, u32> = HashMap::new();
            let mut done: HashMap<u8, Vec<u32>> = HashMap::new();
            let finish = |lanes: &mut Lanes<_>, (of, (key, number)): (LaneKey, (u8, u32)), done: &mut HashMap<u8, Vec<u32>>| {
                done.entry(key).or_default().push(number);
                lanes.release(&of);
            };
            for step in steps {
                match step {
                    Step::Arrive(to) => {
                        let number = arrived.entry(to).or_default();
                        out.extend(lanes.arrive(key(to), (to, *number)));
                        *number += 1;
                    }
                    Step::Take => out.extend(lanes.take(now)),
                    Step::Done(index) if !out.is_empty() => {
                        let one = out.swap_remove(index.index(out.len()));
                        finish(&mut lanes, one, &mut done);
                    }
                    Step::Hold(index, time) if !out.is_empty() => {
                        let (of, one) = out.swap_remove(index.index(out.len()));
                        lanes.hold(of, one, now + Duration::from_secs(time.into()));
                    }
                    Step::Wait(time) => now += Duration::from_secs(time.into()),
                    Step::Done(_) | Step::Hold(..) => {}
                }
                let mut keys: Vec<_> = out.iter().map(|(_, (key, _))| *key).collect();
                let count = keys.len();
                keys.sort_unstable();
                keys.dedup();
                prop_assert_eq!(keys.len(), count, "two of one key are out");
            }
            now += Duration::from_secs(60);
            loop {
                out.extend(lanes.take(now));
                let Some(one) = out.pop() else {
                    break;
                };
                finish(&mut lanes, one, &mut done);
            }
            prop_assert_eq!(lanes.waiting(), 0);
            for (key, count) in arrived {
                let expected: Vec<u32> = (0..count).collect();
                prop_assert_eq!(done.get(&key), Some(&expected));
            }
            prop_assert!(lanes.lanes.is_empty(), "a lane was left behind");
        }
    }
}
