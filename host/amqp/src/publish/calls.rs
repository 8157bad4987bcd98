//! Those who wait for their publications: [`Calls`].

use std::collections::HashMap;
use std::time::Duration;

use hive_telemetry::{PublicationEnd, PublisherTelemetry};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Unconfirmed;
use super::verdict::Verdict;
use crate::message::outgoing::Outgoing;

/// The publications of one call.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Result<(), Unconfirmed>>,
    /// They are not published again where it is not known what became of them.
    pub(super) once: bool,
}

/// Names a call.
pub(super) type CallNumber = u64;

/// The calls whose publications do not all have their verdict.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: HashMap<CallNumber, Call>,
    next: CallNumber,
    /// What is to be told to them, and counted.
    news: News,
}

#[derive(Debug)]
struct Call {
    answer: oneshot::Sender<Result<(), Unconfirmed>>,
    missing: usize,
    so_far: Result<(), Unconfirmed>,
    since: Instant,
}

/// What came of publications, and of calls.
#[derive(Debug, Default)]
struct News {
    ends: Vec<PublicationEnd>,
    answered: Vec<Answered>,
}

#[derive(Debug)]
struct Answered {
    answer: oneshot::Sender<Result<(), Unconfirmed>>,
    result: Result<(), Unconfirmed>,
    took: Duration,
}

impl Calls {
    /// A call of so many publications, which are all still missing.
    pub(super) fn add(
        &mut self,
        publications: usize,
        answer: oneshot::Sender<Result<(), Unconfirmed>>,
    ) -> CallNumber {
        self.next += 1;
        let call = Call {
            answer,
            missing: publications,
            so_far: Ok(()),
            since: Instant::now(),
        };
        self.calls.insert(self.next, call);
        if publications == 0 {
            self.is_over(self.next);
        }
        self.next
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self, number: CallNumber) -> bool {
        let call = self.calls.get(&number);
        call.is_none_or(|call| call.answer.is_closed())
    }

    /// A publication of the call has its verdict. What is not stored goes back to the one who called.
    pub(super) fn settle(
        &mut self,
        number: CallNumber,
        index: usize,
        outgoing: Outgoing,
        verdict: Verdict,
    ) {
        self.news.ends.push(verdict.end());
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.missing -= 1;
        if let Some(fault) = verdict.fault(index, outgoing.mandatory) {
            match &mut call.so_far {
                Ok(()) => {
                    let rest = Some(vec![(index, outgoing)]);
                    call.so_far = Err(Unconfirmed { fault, rest });
                }
                Err(told) => {
                    told.rest.get_or_insert_default().push((index, outgoing));
                    // A fault of the publication itself is more specific than one of the whole call.
                    if fault.is_its_own() && !told.fault.is_its_own() {
                        told.fault = fault;
                    }
                }
            }
        }
        if call.missing == 0 {
            self.is_over(number);
        }
    }

    fn is_over(&mut self, number: CallNumber) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let mut result = call.so_far;
        if let Err(Unconfirmed {
            rest: Some(rest), ..
        }) = &mut result
        {
            // One that was confirmed late may have been refused early.
            rest.sort_by_key(|(index, _)| *index);
        }
        self.news.answered.push(Answered {
            answer: call.answer,
            result,
            took: call.since.elapsed(),
        });
    }

    /// Answers everybody whose publications have their verdicts.
    pub(super) fn tell(&mut self, telemetry: &PublisherTelemetry) {
        for end in self.news.ends.drain(..) {
            telemetry.ended(end);
        }
        for Answered {
            answer,
            result,
            took,
        } in self.news.answered.drain(..)
        {
            telemetry.confirmed_after(took);
            if answer.send(result).is_err() {
                tracing::trace!("nobody waits for this confirmation any more");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hive_telemetry::Telemetry;

    use super::*;
    use crate::publish::PublishFault;
    use crate::publish::window::tests::outgoing;

    /// The result of one call of `mandatory` publications, given their verdicts.
    fn told(verdicts: &[(bool, Verdict)]) -> Result<(), PublishFault> {
        answered(verdicts).map_err(|unconfirmed| unconfirmed.fault)
    }

    fn answered(verdicts: &[(bool, Verdict)]) -> Result<(), Unconfirmed> {
        let (answer, mut confirmation) = oneshot::channel();
        let mut calls = Calls::default();
        let number = calls.add(verdicts.len(), answer);
        let telemetry = Telemetry::new().expect("its metrics have names of their own");
        let telemetry = telemetry.publisher("orders");
        // In another order than they were given in.
        for (index, (mandatory, verdict)) in verdicts.iter().enumerate().rev() {
            calls.tell(&telemetry);
            assert!(confirmation.try_recv().is_err(), "one is missing");
            calls.settle(number, index, outgoing(*mandatory), verdict.clone());
        }
        calls.tell(&telemetry);
        confirmation.try_recv().expect("it was answered")
    }

    fn returned() -> Verdict {
        Verdict::Returned("312 NO_ROUTE".into())
    }

    #[test]
    fn all_stored_is_success() {
        assert_eq!(
            told(&[(true, Verdict::Stored), (true, Verdict::Stored)]),
            Ok(())
        );
        assert_eq!(told(&[]), Ok(()));
    }

    #[test]
    fn a_return_matters_only_where_somebody_has_to_take_it() {
        assert_eq!(told(&[(false, returned())]), Ok(()));
        let fault = told(&[(true, Verdict::Stored), (true, returned())]);
        let text = "312 NO_ROUTE".to_owned();
        assert_eq!(fault, Err(PublishFault::Unroutable { index: 1, text }));
    }

    #[test]
    fn a_fault_of_its_own_says_more_than_what_befell_the_others() {
        for order in [[0, 1], [1, 0]] {
            let both = [(true, Verdict::Nacked), (true, returned())];
            let fault = told(&order.map(|at: usize| both[at].clone()));
            assert!(
                matches!(fault, Err(PublishFault::Unroutable { .. })),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn what_is_not_stored_comes_back_with_its_place_and_nothing_else_does() {
        let stored = || (true, Verdict::Stored);
        let answer = answered(&[
            stored(),
            (true, Verdict::Nacked),
            stored(),
            (true, Verdict::Disconnected),
            (false, returned()),
        ]);
        let unconfirmed = answer.expect_err("two are not stored");
        let rest = unconfirmed.rest.expect("they come back");
        let places: Vec<usize> = rest.iter().map(|(index, _)| *index).collect();
        assert_eq!(places, [1, 3]);
    }
}
