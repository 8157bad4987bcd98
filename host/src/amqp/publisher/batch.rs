//! The publications of one barrier, and what became of each.

use tokio::sync::{mpsc, oneshot};

use super::PublishFault;
use super::round::Broken;
use crate::amqp::outgoing::Outgoing;

/// Publications in one batch, about: a submission is never split.
const LARGEST: usize = 200;

/// Connections that one publication may cost before it is taken to be the cause.
const CONNECTIONS_LOST: u32 = 2;

/// What one call submitted.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Result<(), PublishFault>>,
}

/// What became of a publication.
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
}

#[derive(Debug)]
pub(super) struct Batch {
    answers: Vec<oneshot::Sender<Result<(), PublishFault>>>,
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
        self.answers.push(submission.answer);
        for (index, outgoing) in submission.outgoing.into_iter().enumerate() {
            self.items.push(Item {
                submission: number,
                index,
                id: *next_id,
                outgoing,
                verdict: None,
                connections_lost: 0,
            });
            *next_id += 1;
        }
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.items.iter().any(|item| item.verdict.is_none())
    }

    /// The first `count` without a verdict.
    pub(super) fn unsettled(&mut self, count: usize) -> Vec<&mut Item> {
        let unsettled = self.items.iter_mut().filter(|item| item.verdict.is_none());
        unsettled.take(count).collect()
    }

    pub(super) fn settle_rest(&mut self, verdict: Verdict) {
        for item in self.unsettled(usize::MAX) {
            item.verdict = Some(verdict.clone());
        }
    }

    /// A connection that came back may take less than the one that sizes were checked against.
    pub(super) fn refuse_too_large(&mut self, frame_max: u32) {
        for item in self.unsettled(usize::MAX) {
            let length = item.outgoing.header_frame;
            if length > frame_max as usize {
                item.verdict = Some(Verdict::Refused(format!(
                    "properties and headers take {length} bytes, and a frame {frame_max}"
                )));
            }
        }
    }

    /// Answers everybody who submitted.
    pub(super) fn answer(self) {
        let mut results: Vec<_> = self.answers.iter().map(|_| Ok(())).collect();
        for item in self.items {
            let result = &mut results[item.submission];
            let Err(fault) = item.into_result() else {
                continue;
            };
            // What is a publication's own fault says more than what befell the whole batch.
            let says_more = match result {
                Ok(()) => true,
                Err(told) => fault.is_its_own() && !PublishFault::is_its_own(told),
            };
            if says_more {
                *result = Err(fault);
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
    /// A round with this item alone broke off.
    pub(super) fn blame(&mut self, broken: &Broken, words: String) {
        if self.verdict.is_some() {
            return;
        }
        if let Broken::Connection(_) = broken {
            self.connections_lost += 1;
            if self.connections_lost < CONNECTIONS_LOST {
                return;
            }
        }
        self.verdict = Some(Verdict::Refused(words));
    }

    fn into_result(self) -> Result<(), PublishFault> {
        let index = self.index;
        match self.verdict.unwrap_or(Verdict::Disconnected) {
            Verdict::Stored => Ok(()),
            Verdict::Returned(_) if !self.outgoing.mandatory => Ok(()),
            Verdict::Returned(text) => Err(PublishFault::Unroutable { index, text }),
            Verdict::Refused(text) => Err(PublishFault::Refused { index, text }),
            Verdict::Nacked => Err(PublishFault::Nacked),
            Verdict::TimedOut => Err(PublishFault::TimedOut),
            Verdict::Disconnected => Err(PublishFault::Disconnected),
        }
    }
}
