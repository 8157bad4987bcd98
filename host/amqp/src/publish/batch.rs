//! The publications of one barrier, and what became of each.

use hive_telemetry::{PublicationEnd, PublisherTelemetry};
use tokio::sync::{mpsc, oneshot};

use super::doubts::Doubts;
use super::round::Broken;
use super::{PublishFault, Unconfirmed};
use crate::message::outgoing::Outgoing;

/// Publications in one batch, about: a submission is never split.
const LARGEST: usize = 200;

/// Connections that one publication may cost before it is taken to be the cause.
const CONNECTIONS_LOST: u32 = 2;

/// The same where the broker calls the error its own, as it also does when it restarts.
const INTERNAL_ERRORS: u32 = 4;

/// The publications of one call.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Result<(), Unconfirmed>>,
    /// They are not published again where it is not known what became of them.
    pub(super) once: bool,
}

/// The fate of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Stored,
    Returned(String),
    Refused(String),
    Nacked,
    TimedOut,
    Disconnected,
}

#[derive(Debug)]
pub(super) struct Item {
    submission: usize,
    index: usize,
    pub(super) id: i64,
    pub(super) outgoing: Outgoing,
    pub(super) verdict: Option<Verdict>,
    connections_lost: u32,
    once: bool,
}

#[derive(Debug)]
pub(super) struct Batch {
    answers: Vec<oneshot::Sender<Result<(), Unconfirmed>>>,
    items: Vec<Item>,
}

impl Batch {
    /// The first submission and whatever else is ready.
    pub(super) fn gather(
        first: Submission,
        queue: &mut mpsc::Receiver<Submission>,
        next_id: &mut i64,
    ) -> Self {
        let mut batch = Self {
            answers: Vec::new(),
            items: Vec::new(),
        };
        batch.add(first, next_id);
        while batch.items.len() < LARGEST
            && let Ok(submission) = queue.try_recv()
        {
            batch.add(submission, next_id);
        }
        batch
    }

    fn add(&mut self, submission: Submission, next_id: &mut i64) {
        let number = self.answers.len();
        let once = submission.once;
        self.answers.push(submission.answer);
        for (index, outgoing) in submission.outgoing.into_iter().enumerate() {
            self.items.push(Item {
                submission: number,
                index,
                id: *next_id,
                outgoing,
                verdict: None,
                connections_lost: 0,
                once,
            });
            *next_id += 1;
        }
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.items.iter().any(|item| item.verdict.is_none())
    }

    /// Whether the broker refused a publication with a nack, which is not the publication's own fault.
    pub(super) fn has_nacks(&self) -> bool {
        let nacked = |item: &Item| item.verdict == Some(Verdict::Nacked);
        self.items.iter().any(nacked)
    }

    /// What is published next: the first without a verdict, and those behind it that may go together with
    /// it. Publications stay in their order.
    pub(super) fn next_round(&mut self, singly: bool, doubts: &Doubts) -> Vec<&mut Item> {
        let mut round: Vec<&mut Item> = Vec::new();
        for item in self.unsettled() {
            let is_alone = singly || doubts.concern(&item.outgoing);
            if is_alone && !round.is_empty() {
                break;
            }
            round.push(item);
            if is_alone {
                break;
            }
        }
        round
    }

    fn unsettled(&mut self) -> impl Iterator<Item = &mut Item> {
        self.items.iter_mut().filter(|item| item.verdict.is_none())
    }

    pub(super) fn settle_rest(&mut self, verdict: Verdict) {
        for item in self.unsettled() {
            item.verdict = Some(verdict.clone());
        }
    }

    /// What goes out once is of no use to those who have ceased to wait for it.
    pub(super) fn leave_out_what_is_not_awaited(&mut self) {
        let Self { answers, items } = self;
        let unsettled = items.iter_mut().filter(|item| item.verdict.is_none());
        for item in unsettled.filter(|item| item.once) {
            if answers[item.submission].is_closed() {
                item.verdict = Some(Verdict::Disconnected);
            }
        }
    }

    /// A connection that came back may take less than the one that sizes were checked against.
    pub(super) fn refuse_too_large(&mut self, frame_max: u32) {
        for item in self.unsettled() {
            let length = item.outgoing.header_frame;
            if length > frame_max as usize {
                item.verdict = Some(Verdict::Refused(format!(
                    "properties and headers take {length} bytes, and a frame {frame_max}"
                )));
            }
        }
    }

    /// Answers everybody who submitted. What is not stored goes back to them.
    pub(super) fn answer(self, telemetry: &PublisherTelemetry) {
        let mut results: Vec<Result<(), Unconfirmed>> =
            self.answers.iter().map(|_| Ok(())).collect();
        for item in self.items {
            let result = &mut results[item.submission];
            telemetry.ended(item.end());
            let Some(fault) = item.fault() else {
                continue;
            };
            let returned = (item.index, item.outgoing);
            match result {
                Ok(()) => {
                    let rest = Some(vec![returned]);
                    *result = Err(Unconfirmed { fault, rest });
                }
                Err(told) => {
                    told.rest.get_or_insert_default().push(returned);
                    // A fault of the publication itself is more specific than one of the whole batch.
                    if fault.is_its_own() && !told.fault.is_its_own() {
                        told.fault = fault;
                    }
                }
            }
        }
        for (answer, result) in self.answers.into_iter().zip(results) {
            if answer.send(result).is_err() {
                tracing::trace!("nobody waits for this confirmation any more");
            }
        }
    }
}

impl Item {
    /// Whether the broker has taken it, if only to return it.
    pub(super) fn was_taken(&self) -> bool {
        matches!(
            self.verdict,
            Some(Verdict::Stored | Verdict::Returned(_) | Verdict::Nacked)
        )
    }

    /// A round with this item alone broke off.
    pub(super) fn blame(&mut self, broken: &Broken, words: String) {
        if self.verdict.is_some() {
            return;
        }
        let enough = match broken {
            Broken::Connection(_) => CONNECTIONS_LOST,
            Broken::Internal(_) => INTERNAL_ERRORS,
            Broken::Channel(_) | Broken::Stale | Broken::Silent => 0,
        };
        self.connections_lost += 1;
        if self.connections_lost < enough {
            return;
        }
        self.verdict = Some(Verdict::Refused(words));
    }

    /// A round with this item broke off. One that goes out once has its verdict with that.
    pub(super) fn lose(&mut self) {
        if self.once && self.verdict.is_none() {
            self.verdict = Some(Verdict::Disconnected);
        }
    }

    fn end(&self) -> PublicationEnd {
        match self.verdict {
            Some(Verdict::Stored) => PublicationEnd::Confirmed,
            Some(Verdict::Returned(_)) => PublicationEnd::Returned,
            Some(Verdict::Refused(_)) => PublicationEnd::Refused,
            Some(Verdict::Nacked) => PublicationEnd::Nacked,
            Some(Verdict::TimedOut) => PublicationEnd::TimedOut,
            Some(Verdict::Disconnected) | None => PublicationEnd::Disconnected,
        }
    }

    /// `None` if it is stored, or need not be.
    fn fault(&self) -> Option<PublishFault> {
        let index = self.index;
        match self.verdict.clone().unwrap_or(Verdict::Disconnected) {
            Verdict::Stored => None,
            Verdict::Returned(_) if !self.outgoing.mandatory => None,
            Verdict::Returned(text) => Some(PublishFault::Unroutable { index, text }),
            Verdict::Refused(text) => Some(PublishFault::Refused { index, text }),
            Verdict::Nacked => Some(PublishFault::Nacked),
            Verdict::TimedOut => Some(PublishFault::TimedOut),
            Verdict::Disconnected => Some(PublishFault::Disconnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use hive_core::message::{Message, Publication};
    use hive_telemetry::Telemetry;

    use super::*;
    use crate::message::outgoing::PublishLimits;

    fn outgoing(mandatory: bool) -> Outgoing {
        let mut publication = Publication {
            exchange: String::new(),
            routing_key: "q".into(),
            message: Message::default(),
            mandatory,
            delay: None,
        };
        let limits = PublishLimits {
            frame_max: 4096,
            user: Some("guest".into()),
        };
        Outgoing::publication(&mut publication, "m", &limits).expect("it can be published")
    }

    /// The result of one submission of `mandatory` publications, given their verdicts.
    fn told(verdicts: &[(bool, Option<Verdict>)]) -> Result<(), PublishFault> {
        answered(verdicts).map_err(|unconfirmed| unconfirmed.fault)
    }

    fn answered(verdicts: &[(bool, Option<Verdict>)]) -> Result<(), Unconfirmed> {
        let (answer, mut confirmation) = oneshot::channel();
        let (_submit, mut queue) = mpsc::channel(1);
        let submission = Submission {
            outgoing: verdicts.iter().map(|(m, _)| outgoing(*m)).collect(),
            answer,
            once: false,
        };
        let mut batch = Batch::gather(submission, &mut queue, &mut 0);
        for (item, (_, verdict)) in batch.items.iter_mut().zip(verdicts) {
            item.verdict = verdict.clone();
        }
        let telemetry = Telemetry::new().expect("its metrics have names of their own");
        batch.answer(&telemetry.publisher("orders"));
        confirmation.try_recv().expect("it was answered")
    }

    fn returned() -> Option<Verdict> {
        Some(Verdict::Returned("312 NO_ROUTE".into()))
    }

    #[test]
    fn all_stored_is_success() {
        assert_eq!(
            told(&[(true, Some(Verdict::Stored)), (true, Some(Verdict::Stored))]),
            Ok(())
        );
        assert_eq!(told(&[]), Ok(()));
    }

    #[test]
    fn a_return_matters_only_where_somebody_has_to_take_it() {
        assert_eq!(told(&[(false, returned())]), Ok(()));
        let fault = told(&[(true, Some(Verdict::Stored)), (true, returned())]);
        let text = "312 NO_ROUTE".to_owned();
        assert_eq!(fault, Err(PublishFault::Unroutable { index: 1, text }));
    }

    #[test]
    fn a_fault_of_its_own_says_more_than_what_befell_the_batch() {
        let fault = told(&[(true, Some(Verdict::Nacked)), (true, returned())]);
        assert!(
            matches!(fault, Err(PublishFault::Unroutable { index: 1, .. })),
            "{fault:?}"
        );
    }

    #[test]
    fn what_is_not_stored_comes_back_with_its_place_and_nothing_else_does() {
        let stored = || (true, Some(Verdict::Stored));
        let nacked = || (true, Some(Verdict::Nacked));
        let answer = answered(&[
            stored(),
            nacked(),
            stored(),
            (true, None),
            (false, returned()),
        ]);
        let unconfirmed = answer.expect_err("two are not stored");
        let rest = unconfirmed.rest.expect("they come back");
        let places: Vec<usize> = rest.iter().map(|(index, _)| *index).collect();
        assert_eq!(places, [1, 3]);
    }

    #[test]
    fn what_has_no_verdict_is_not_called_stored() {
        let fault = told(&[(true, Some(Verdict::Stored)), (true, None)]);
        assert_eq!(fault, Err(PublishFault::Disconnected));
    }

    #[test]
    fn what_was_refused_goes_alone_and_in_its_place_until_it_is_taken() {
        let (answer, _confirmation) = oneshot::channel();
        let (_submit, mut queue) = mpsc::channel(1);
        let to = |exchange: &str| Outgoing {
            exchange: exchange.into(),
            ..outgoing(true)
        };
        let submission = Submission {
            outgoing: vec![to("a"), to("b"), to("bad"), to("a"), to("b")],
            answer,
            once: false,
        };
        let mut batch = Batch::gather(submission, &mut queue, &mut 0);
        let mut doubts = Doubts::default();
        assert_eq!(batch.next_round(false, &doubts).len(), 5);
        assert_eq!(batch.next_round(true, &doubts).len(), 1);
        doubts.refused(&Outgoing {
            properties: lapin::BasicProperties::default(),
            ..to("bad")
        });
        let mut rounds = Vec::new();
        while batch.is_unsettled() {
            let round = batch.next_round(false, &doubts);
            rounds.push(round.len());
            for item in round {
                item.verdict = Some(Verdict::Stored);
            }
        }
        assert_eq!(rounds, [2, 1, 2]);
        doubts.taken(&to("bad"));
        assert!(!doubts.concern(&to("bad")));
    }

    #[test]
    fn a_message_that_was_refused_is_known_by_its_id_wherever_it_goes() {
        let mut doubts = Doubts::default();
        let with_id = |id: &str| {
            let one = outgoing(true);
            let properties = one.properties.clone().with_message_id(id.into());
            Outgoing { properties, ..one }
        };
        doubts.refused(&with_id("m-1"));
        assert!(doubts.concern(&with_id("m-1")));
        assert!(!doubts.concern(&with_id("m-2")));
        doubts.taken(&with_id("m-1"));
        assert!(!doubts.concern(&with_id("m-1")));
    }

    /// A batch of one publication, whose confirmation nobody waits for.
    fn of_one() -> Batch {
        let (answer, _confirmation) = oneshot::channel();
        let (_submit, mut queue) = mpsc::channel(1);
        let submission = Submission {
            outgoing: vec![outgoing(true)],
            answer,
            once: false,
        };
        Batch::gather(submission, &mut queue, &mut 0)
    }

    #[test]
    fn one_that_costs_two_connections_is_taken_to_be_the_cause() {
        let mut batch = of_one();
        let broken = Broken::Connection(Some("501 FRAME_ERROR".into()));
        batch.items[0].blame(&broken, "501 FRAME_ERROR".into());
        assert!(batch.is_unsettled());
        batch.items[0].blame(&broken, "501 FRAME_ERROR".into());
        assert!(!batch.is_unsettled());
    }

    #[test]
    fn an_error_of_the_brokers_own_takes_longer_to_be_blamed_on_anybody() {
        let mut batch = of_one();
        let broken = Broken::Internal("541 INTERNAL_ERROR".into());
        for _ in 1..INTERNAL_ERRORS {
            batch.items[0].blame(&broken, "541 INTERNAL_ERROR".into());
            assert!(batch.is_unsettled());
        }
        batch.items[0].blame(&broken, "541 INTERNAL_ERROR".into());
        assert!(!batch.is_unsettled());
    }
}
