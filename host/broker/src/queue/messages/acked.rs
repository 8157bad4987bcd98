//! Messages whose acknowledgement is not safe yet: a broker writes it down a while later, and a crash undoes it.

use std::collections::VecDeque;
use std::time::Duration;

use super::Held;
use crate::time::Time;

/// The last messages that were acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acked {
    /// How long an acknowledgement is not safe; of none at all no message is kept.
    unsafe_for: Duration,
    held: VecDeque<(Time, Held)>,
}

impl Acked {
    pub(super) fn unsafe_for(time: Duration) -> Self {
        Self {
            unsafe_for: time,
            held: VecDeque::new(),
        }
    }

    /// A message is acknowledged.
    pub(super) fn note(&mut self, held: Held, now: Time) {
        if !self.unsafe_for.is_zero() {
            self.drop_safe(now);
            self.held.push_back((now, held));
        }
    }

    /// Takes those whose acknowledgement is not safe.
    pub(super) fn undone(&mut self, now: Time) -> impl Iterator<Item = Held> {
        self.drop_safe(now);
        std::mem::take(&mut self.held)
            .into_iter()
            .map(|(_, held)| held)
    }

    fn drop_safe(&mut self, now: Time) {
        let age = self.unsafe_for;
        let is_safe = |(then, _): &(Time, Held)| then.after(age) <= now;
        while self.held.front().is_some_and(is_safe) {
            self.held.pop_front();
        }
    }
}
