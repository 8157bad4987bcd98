//! Who takes the next delivery off a subscription: the worker that had the last one, for as long as
//! handling a delivery costs less than handing the lead to another worker.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use hive_amqp::Lead;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

/// Handling that takes less is never shared with another worker: to wake one costs about as much.
const LEAST_QUICK: Duration = Duration::from_micros(10);

/// Handling that takes longer always is: more workers may have more processors.
const MOST_QUICK: Duration = Duration::from_micros(200);

/// How often in a row the lead is kept: others than workers wait for it too.
const LEADS_IN_A_ROW: u32 = 64;

/// The receive turn of one worker, while it has it.
#[derive(Default)]
pub(super) struct Leading<'a> {
    lead: Lead<'a>,
    /// The delivery before took less than to hand over.
    is_quick: bool,
    in_a_row: u32,
}

impl<'a> Leading<'a> {
    /// The lead for the next delivery.
    pub(super) fn lead(&mut self) -> &mut Lead<'a> {
        &mut self.lead
    }

    /// Carries out `work` on a delivery. The lead is kept meanwhile if that is likely to take less than the time until
    /// another worker would have it (`hand_over`), until the first time that `work` waits.
    pub(super) async fn during<T>(
        &mut self,
        hand_over: Duration,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        self.begin();
        let begun = Instant::now();
        let done = poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            if polled.is_pending() {
                self.lead.give_up();
            }
            polled
        });
        let done = done.await;
        self.end(begun.elapsed(), hand_over);
        // A worker that keeps the receive turn never waits, and would never let other tasks of its thread run.
        consume_budget().await;
        done
    }

    /// Keeps the lead for a delivery that begins, or gives it up.
    fn begin(&mut self) {
        if self.is_quick && self.in_a_row < LEADS_IN_A_ROW {
            self.in_a_row += 1;
        } else {
            self.in_a_row = 0;
            self.lead.give_up();
        }
    }

    /// The next delivery is likely to take as long as the one that ended.
    fn end(&mut self, took: Duration, hand_over: Duration) {
        self.is_quick = took <= hand_over.clamp(LEAST_QUICK, MOST_QUICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAND_OVER: Duration = Duration::from_micros(50);

    /// Whether the turn was kept during a delivery that took this long.
    fn kept(leading: &mut Leading<'_>, took: Duration) -> bool {
        leading.begin();
        leading.end(took, HAND_OVER);
        leading.in_a_row > 0
    }

    #[test]
    fn whoever_is_quick_keeps_the_lead_but_not_for_ever() {
        let mut leading = Leading::default();
        assert!(!kept(&mut leading, HAND_OVER), "nothing is known at first");
        for _ in 0..LEADS_IN_A_ROW {
            assert!(kept(&mut leading, HAND_OVER));
        }
        assert!(!kept(&mut leading, HAND_OVER), "others have a turn");
        assert!(kept(&mut leading, HAND_OVER));
    }

    #[test]
    fn whoever_was_slow_gives_it_up_for_the_next_one() {
        let mut leading = Leading::default();
        assert!(!kept(&mut leading, HAND_OVER));
        assert!(kept(&mut leading, 2 * HAND_OVER));
        assert!(!kept(&mut leading, HAND_OVER));
        assert!(kept(&mut leading, HAND_OVER));
    }

    #[test]
    fn what_counts_as_quick_has_bounds() {
        let is_quick = |took, hand_over| {
            let mut leading = Leading::default();
            leading.end(took, hand_over);
            leading.is_quick
        };
        assert!(is_quick(LEAST_QUICK, Duration::ZERO));
        assert!(!is_quick(2 * LEAST_QUICK, Duration::ZERO));
        assert!(is_quick(MOST_QUICK, Duration::from_secs(1)));
        assert!(!is_quick(2 * MOST_QUICK, Duration::from_secs(1)));
    }
}
