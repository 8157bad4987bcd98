//! How a schedule is doing, for whoever shows it.

use hive_core::codes::Reason;
use hive_schedules::Moment;

/// How a schedule is doing on this host.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScheduleState {
    /// Whether this host fires it.
    pub(crate) is_active: bool,
    /// Whether this host stands in the line for its token.
    pub(crate) was_there: bool,
    /// Why it does not, if that is known.
    pub(crate) waiting: Option<Reason>,
    /// The last firing; the host that fires knows it.
    pub(crate) last: Option<Moment>,
    /// The next firing.
    pub(crate) next: Option<Moment>,
    /// The firing that cannot be published, and why.
    pub(crate) failing: Option<(Moment, Reason)>,
}
