//! Schedules as meant.

use std::sync::Arc;

use hive_schedules::Missed;

use crate::keys::schedule::SchedulePlan;
use crate::keys::words;

words!(Missed { Once = "once", Skip = "skip", All = "all" });

/// What the names of the schedules' own queues begin with, so that one pattern gives the rights to all of them.
const QUEUES: &str = "hive.schedule.";

/// The longest name of a schedule: its queue and the ids of its messages have to fit into 255 bytes.
pub(crate) const LONGEST_SCHEDULE: usize = 200;

impl SchedulePlan {
    /// The schedule's own queue.
    pub fn queue(&self) -> Arc<str> {
        format!("{QUEUES}{}", self.name).into()
    }
}
