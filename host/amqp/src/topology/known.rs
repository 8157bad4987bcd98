//! The queues of a connection that are known to exist with other arguments than Hive declares.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::declaration::QueueDeclaration;
use super::fatal::Fatal;

/// The broker cuts its text at this length.
const LONGEST_ANSWER: usize = 255;

/// Kept for as long as the connection, so that a difference is met and logged once, and not at each
/// reconnection.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Over what the broker ends the connection.
    pub(super) fatal: Arc<Fatal>,
    pub(super) vhost: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    found: HashMap<String, Found>,
    logged: HashSet<String>,
}

#[derive(Debug)]
struct Found {
    wanted: QueueDeclaration,
    is: QueueDeclaration,
}

impl Known {
    /// Nothing yet, of queues in this vhost.
    pub(super) fn new(vhost: &str) -> Self {
        Self {
            vhost: vhost.to_owned(),
            ..Self::default()
        }
    }

    /// Whether the broker cannot say that a queue of this name is missing, see [`Self::is_cut`].
    pub(super) fn cannot_be_missed(&self, queue: &str) -> bool {
        self.is_cut("NOT_FOUND - no queue '' in vhost ''", queue)
    }

    /// Whether the broker cannot say in what a queue of this name differs, see [`Self::is_cut`].
    pub(super) fn answers_are_cut(&self, queue: &str) -> bool {
        let longest = "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue '' in \
                       vhost '': received the value '' of type 'longstr' but current is none";
        self.is_cut(longest, queue)
    }

    /// From 4.0 on RabbitMQ fails, and ends the connection with 541, when it has to cut an answer (at 255
    /// bytes) in which there is a name that is not ASCII. Seen on 4.0.5 and 4.3.6.
    fn is_cut(&self, answer: &str, queue: &str) -> bool {
        let is_ascii = queue.is_ascii() && self.vhost.is_ascii();
        !is_ascii && answer.len() + queue.len() + self.vhost.len() > LONGEST_ANSWER
    }

    /// The queue as it was found when it was last declared as `wanted`.
    pub(super) fn found(&self, wanted: &QueueDeclaration) -> Option<QueueDeclaration> {
        let inner = self.inner();
        let found = inner.found.get(&wanted.name)?;
        (found.wanted == *wanted).then(|| found.is.clone())
    }

    /// The queue was found to be like this.
    pub(super) fn remember(&self, wanted: &QueueDeclaration, is: &QueueDeclaration) {
        let found = Found {
            wanted: wanted.clone(),
            is: is.clone(),
        };
        self.inner().found.insert(wanted.name.clone(), found);
    }

    /// The queue is not there any more, or is as it should be.
    pub(super) fn forget(&self, queue: &str) {
        self.inner().found.remove(queue);
    }

    /// Whether this was not logged before.
    pub(super) fn is_news(&self, said: &impl fmt::Display) -> bool {
        self.inner().logged.insert(said.to_string())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|error| error.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_that_is_not_ascii_cannot_be_missed() {
        let known = Known::new("/");
        assert!(!known.cannot_be_missed(&"q".repeat(255)));
        assert!(!known.cannot_be_missed(&"é".repeat(108)));
        assert!(known.cannot_be_missed(&"é".repeat(110)));
        assert!(known.answers_are_cut(&"é".repeat(108)));
        assert!(!known.answers_are_cut("bücher"));
    }
}
