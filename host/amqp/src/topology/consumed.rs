//! The queues that a consumer implies beside its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{ConsumerPlan, DelayQueues, Placement};
use hive_core::policy::OnError;

use super::withheld::Misfitting;
use super::words::is_about_queue;
use crate::message::delay::delay_queue_name;
use crate::session::fault::Mismatch;

/// The entities that one consumer implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consumed {
    pub(super) consumer: Arc<str>,
    pub(super) queue: Arc<str>,
    /// Whether its queue was discovered: then it is known by other ways whether it is there, and what it is like.
    /// Asking the broker would cost a channel for each that is gone.
    pub(super) is_discovered: bool,
    /// Whether the broker is to let one host at a time consume.
    pub(super) is_single: bool,
    /// How long the broker is to wait for an answer.
    pub(super) ack_timeout: Option<Duration>,
    /// Where it sends what fails; most streams send nothing anywhere.
    pub(super) failures: Option<Failures>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) dead_letter: Arc<str>,
    pub(super) delays: BTreeSet<Duration>,
    /// Where they wait.
    pub(super) delay_queues: DelayQueues,
}

impl Consumed {
    pub(super) fn new(consumer: &ConsumerPlan) -> Self {
        let on_error = consumer.stream.as_ref().map(|stream| stream.on_error);
        let delays = match consumer.retry.limit {
            0 => BTreeSet::new(),
            _ if on_error.is_some() => BTreeSet::new(),
            // Delays that no attempt reaches need no queue.
            _ => consumer.retry.used_delays().collect(),
        };
        Self {
            consumer: consumer.name.clone(),
            queue: consumer.queue.clone(),
            is_discovered: consumer.is_discovered(),
            is_single: consumer.placement == Placement::Single,
            ack_timeout: consumer.ack_timeout,
            failures: matches!(on_error, None | Some(OnError::DeadLetter)).then(|| Failures {
                dead_letter: consumer.dead_letter.clone(),
                delays,
                delay_queues: consumer.delay_queues,
            }),
        }
    }

    /// The queue that a mismatch found for this consumer is about: its own, unless it names another one.
    pub(super) fn at_fault(&self, mismatch: &Mismatch) -> Misfitting {
        let behind = self.failures.iter().flat_map(|failures| {
            let delays = failures.delays.iter();
            let delays = delays.map(|delay| delay_queue_name(&self.queue, *delay).into());
            delays.chain([Arc::clone(&failures.dead_letter)])
        });
        let named = behind
            .into_iter()
            .find(|name: &Arc<str>| is_about_queue(&mismatch.entity, name));
        Misfitting::Implied(named.unwrap_or_else(|| Arc::clone(&self.queue)))
    }
}

impl Failures {
    /// Whether its retries wait in the delay queues of the vhost.
    pub(super) fn shares(&self) -> bool {
        self.delay_queues == DelayQueues::Shared
    }
}

/// The queues that a consumer needs beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuesBehind {
    /// Those in which its retries alone wait, for the delays of its policy.
    pub delay: Vec<Arc<str>>,
    /// The delays of its policy whose queues it shares with others.
    pub shared: Vec<Duration>,
    /// The one for its dead letters.
    pub dead_letter: Option<Arc<str>>,
}

impl QueuesBehind {
    /// The queues behind `consumer`.
    pub fn of(consumer: &ConsumerPlan) -> Self {
        let Some(failures) = Consumed::new(consumer).failures else {
            return Self {
                delay: Vec::new(),
                shared: Vec::new(),
                dead_letter: None,
            };
        };
        let shares = failures.shares();
        let (shared, own): (Vec<_>, Vec<_>) = failures.delays.into_iter().partition(|_| shares);
        let own = own.into_iter();
        Self {
            delay: own
                .map(|delay| delay_queue_name(&consumer.queue, delay).into())
                .collect(),
            shared,
            dead_letter: Some(failures.dead_letter),
        }
    }
}
