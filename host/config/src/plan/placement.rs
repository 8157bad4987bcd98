//! Which hosts consume a queue.

use crate::keys::words;

/// `placement = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Every host that has the consumer.
    Every,
    /// One host at a time, which the broker chooses.
    Single,
}

words!(Placement {
    Every = "every",
    Single = "single",
});
