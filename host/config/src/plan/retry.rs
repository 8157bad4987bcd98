//! Where retries wait.

use hive_core::policy::Schedule;

use crate::keys::words;

words!(Schedule {
    None = "none",
    Fast = "fast",
    Patient = "patient",
});

/// `retry.queues = …`: the delay queues in which the retries of a consumer wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayQueues {
    /// Queues of the consumer's own queue, one for each delay.
    Own,
    /// Those of the vhost, one for each delay.
    Shared,
}

words!(DelayQueues {
    Own = "own",
    Shared = "shared",
});
