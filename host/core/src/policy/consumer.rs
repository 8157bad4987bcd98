//! What a consumer does about a delivery: the retry law for a queue, `on_error` for a stream.

use super::{
    Disposition, Failure, FailureClass, OnError, Outcome, RetryPolicy, decide, decide_overrun,
    decide_unpublishable, in_a_stream,
};
use crate::message::Attempt;

/// The rules of one consumer.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerPolicy<'a> {
    /// `retry` of the consumer.
    pub retry: &'a RetryPolicy,
    /// Where its queue is a stream.
    pub on_error: Option<OnError>,
}

/// The decision about a message that is redelivered because handling it took longer than the broker's consumer
/// timeout.
#[derive(Debug, Clone, PartialEq)]
pub enum AfterOverrun {
    /// The component gets the message, and this is the number of the attempt.
    Try(Attempt),
    /// The message gets no other attempt.
    Settle(Disposition),
}

impl ConsumerPolicy<'_> {
    /// The decision about a call that has ended.
    pub fn decide(&self, outcome: Outcome, attempt: Attempt) -> Disposition {
        self.on_its_queue(decide(outcome, attempt, self.retry))
    }

    /// The decision about a publication that the broker refused: the component named an exchange, a routing key or
    /// a property that cannot work, so it spends a retry like any other failure.
    pub fn decide_unpublishable(&self, error: String, attempt: Attempt) -> Disposition {
        self.on_its_queue(decide_unpublishable(error, attempt, self.retry))
    }

    /// The decision about a message whose attempt `overran` took longer than the broker's consumer timeout.
    pub fn decide_overrun(&self, overran: Attempt) -> AfterOverrun {
        match decide_overrun(overran, self.retry) {
            Ok(next) => AfterOverrun::Try(next),
            Err(failure) => {
                AfterOverrun::Settle(self.on_its_queue(Disposition::DeadLetter(failure)))
            }
        }
    }

    /// The decision about a message that ended the host too often, with this error.
    pub fn decide_killer(&self, error: String) -> Disposition {
        let failure = Failure::new(FailureClass::Crash, error);
        self.on_its_queue(Disposition::DeadLetter(failure))
    }

    /// The decision about a message of which no retry copy can be published, for this reason: it is dead-lettered
    /// in place of a retry. `None` if `disposition` is something else.
    pub fn decide_uncopyable(
        &self,
        reason: &str,
        disposition: &Disposition,
    ) -> Option<Disposition> {
        let Disposition::RetryAfter { failure, .. } = disposition else {
            return None;
        };
        let mut failure = failure.clone();
        failure.error = format!("{}; it cannot be retried: {reason}", failure.error);
        Some(Disposition::DeadLetter(failure))
    }

    fn on_its_queue(&self, disposition: Disposition) -> Disposition {
        match self.on_error {
            Some(on_error) => in_a_stream(disposition, on_error),
            None => disposition,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn retry(limit: u32) -> RetryPolicy {
        RetryPolicy {
            limit,
            delays: vec![Duration::from_secs(1)],
            schedule: None,
        }
    }

    #[test]
    fn every_decision_about_a_stream_heeds_on_error() {
        let retry = retry(3);
        let of = |on_error| ConsumerPolicy {
            retry: &retry,
            on_error,
        };
        let (queue, stream) = (of(None), of(Some(OnError::Skip)));
        let decisions = |policy: ConsumerPolicy<'_>| {
            let last = Attempt::new(4).expect("it is not 0");
            let AfterOverrun::Settle(overrun) = policy.decide_overrun(last) else {
                panic!("no retry is left");
            };
            [
                policy.decide(Outcome::Failed("no".into()), Attempt::FIRST),
                policy.decide_unpublishable("no".into(), Attempt::FIRST),
                overrun,
                policy.decide_killer("it died".into()),
            ]
        };
        for decision in decisions(stream) {
            assert!(matches!(decision, Disposition::Skip(_)), "{decision:?}");
        }
        let [failed, refused, overrun, killer] = decisions(queue);
        for decision in [failed, refused] {
            assert!(
                matches!(decision, Disposition::RetryAfter { .. }),
                "{decision:?}"
            );
        }
        for decision in [overrun, killer] {
            assert!(
                matches!(decision, Disposition::DeadLetter(_)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_copied_is_dead_lettered_instead_of_retried() {
        let retry = retry(3);
        let policy = ConsumerPolicy {
            retry: &retry,
            on_error: None,
        };
        let failed = policy.decide(Outcome::Failed("no".into()), Attempt::FIRST);
        let Some(Disposition::DeadLetter(failure)) = policy.decide_uncopyable("too large", &failed)
        else {
            panic!("it is dead-lettered");
        };
        assert_eq!(failure.class, FailureClass::Error);
        assert_eq!(failure.error, "no; it cannot be retried: too large");
        let dead = Disposition::DeadLetter(failure);
        assert_eq!(policy.decide_uncopyable("too large", &dead), None);
    }
}
