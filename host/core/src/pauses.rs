//! The pauses between attempts at something that fails: each twice as long as the one before, up to a longest.

use std::time::Duration;

/// Pauses to wait for, one after the other.
#[derive(Debug, Clone)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
    coming: Duration,
}

impl Pauses {
    /// Pauses that begin with `first`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            coming: first,
        }
    }

    /// The pause after one more failure.
    pub fn take(&mut self) -> Duration {
        let pause = self.coming;
        self.coming = (pause * 2).min(self.longest);
        pause
    }

    /// It works again: the pause after the next failure is the first.
    pub fn reset(&mut self) {
        self.coming = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_twice_the_one_before_up_to_the_longest() {
        let mut pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(5));
        let mut seconds = |count| -> Vec<u64> {
            let taken = (0..count).map(|_| pauses.take().as_secs());
            taken.collect()
        };
        assert_eq!(seconds(5), [1, 2, 4, 5, 5]);
        pauses.reset();
        assert_eq!(pauses.take().as_secs(), 1);
    }
}
