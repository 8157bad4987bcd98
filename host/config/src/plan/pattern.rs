//! A consumer's table with `queues`: the consumers that it stands for.

use std::sync::Arc;

use hive_core::glob::Glob;

use super::{ConsumerPlan, DelayQueues, Placement, Plan, QueueSeen};
use crate::diff::differing::{Differing, Shown};
use crate::read::{LONGEST_NAME, LONGEST_RETRIED};

/// `[consumers.NAME]` with `queues`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternPlan {
    /// The queues that it consumes from.
    pub queues: Glob,
    /// The pattern as it is written.
    pub written: Arc<str>,
    /// The dead-letter queue of all of them; without it each has its own.
    pub(crate) dead_letter: Option<Arc<str>>,
    /// The consumer of a queue that is not known yet: its queue is the pattern.
    pub(crate) template: ConsumerPlan,
}

impl PatternPlan {
    /// The connection over which its queues are looked for and consumed from.
    pub fn connection(&self) -> &Arc<str> {
        &self.template.connection
    }

    /// The consumer of a queue that the broker has, or why there can be none.
    ///
    /// # Errors
    ///
    /// In words, for whoever declares the queue.
    pub(super) fn consumer_of_seen(
        &self,
        queue: &str,
        seen: QueueSeen,
    ) -> Result<ConsumerPlan, String> {
        let consumer = self.consumer_of(queue)?;
        match consumer.placement == Placement::Single && !seen.is_single {
            true => Err(
                "it is to be consumed by one host at a time, and was declared without x-single-active-consumer; \
                 delete it and declare it with that argument, or remove `placement = \"single\"`"
                    .to_owned(),
            ),
            false => Ok(consumer),
        }
    }

    /// The consumer of one queue, or why there can be none.
    ///
    /// # Errors
    ///
    /// In words: a name behind that of the queue would be too long.
    pub fn consumer_of(&self, queue: &str) -> Result<ConsumerPlan, String> {
        let template = &self.template;
        let dead_letter = match &self.dead_letter {
            Some(named) => Arc::clone(named),
            None => format!("{queue}.dead").into(),
        };
        if dead_letter.len() > LONGEST_NAME {
            return Err(format!(
                "its name is too long for its dead-letter queue: {} bytes; name one for all as `dead_letter` in `retry`",
                dead_letter.len()
            ));
        }
        let has_own = template.delay_queues == DelayQueues::Own && template.retry.limit > 0;
        if has_own && queue.len() > LONGEST_RETRIED {
            return Err(format!(
                "its name is too long for its delay queues: {} bytes; let its retries wait elsewhere with \
                 `queues = \"shared\"` in `retry`",
                queue.len()
            ));
        }
        Ok(ConsumerPlan {
            name: format!("{}/{queue}", template.table).into(),
            queue: queue.into(),
            dead_letter,
            ..template.clone()
        })
    }

    /// Notes the keys that differ.
    pub(crate) fn differences(old: &Self, new: &Self, differing: &mut Differing) {
        let quoted = |pattern: &Self| Shown(format!("{:?}", pattern.written));
        let key = ConsumerPlan::queues.of(ConsumerPlan::KEYS);
        differing.shown(key, &quoted(old), &quoted(new));
        // The queue of a template is the pattern, which is compared already.
        let with_one_queue = |pattern: &Self| ConsumerPlan {
            queue: Arc::default(),
            ..pattern.template.clone()
        };
        ConsumerPlan::differences(&with_one_queue(old), &with_one_queue(new), differing);
    }
}

impl Plan {
    /// A consumer for each pattern, whose queue is not known.
    pub fn templates(&self) -> impl Iterator<Item = &ConsumerPlan> {
        self.patterns.values().map(|pattern| &pattern.template)
    }

    /// This plan with the consumer that `name` means if it means one of a pattern: `TABLE/QUEUE`, its queue, or its
    /// dead-letter queue.
    pub fn with_consumer_of(mut self, name: &str) -> Self {
        let found = self.patterns.iter().find_map(|(table, pattern)| {
            let of_table = name.strip_prefix(&**table);
            let named = of_table.and_then(|rest| rest.strip_prefix('/'));
            let queue = named.or(name.strip_suffix(".dead")).unwrap_or(name);
            let is_of_it = pattern.queues.matches(queue);
            is_of_it.then(|| pattern.consumer_of(queue).ok())?
        });
        if let Some(consumer) = found {
            let name = Arc::clone(&consumer.name);
            self.consumers.entry(name).or_insert(consumer);
        }
        self
    }
}

impl ConsumerPlan {
    /// Whether its queue was discovered: its table has `queues`.
    pub fn is_discovered(&self) -> bool {
        self.name != self.table
    }
}
