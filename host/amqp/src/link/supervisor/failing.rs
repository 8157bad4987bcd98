//! Failures in a row: which pause follows, what is logged, and when the link is given up.

use std::sync::Arc;
use std::time::Duration;

use hive_core::codes::Reason;
use tokio::time::Instant;

use super::{Served, Supervisor};
use crate::link::LinkState;
use crate::link::outage::TELL_EVERY;
use crate::session::fault::ConnectFault;
use crate::topology::Withheld;

/// Failures in a row.
pub(super) struct Failing {
    since: Instant,
    told: Instant,
    count: u32,
    /// Whether the fault needs an operator.
    permanent: bool,
}

impl Supervisor {
    /// Keeps the consumers of what could not be declared waiting. When to try again, if anything
    /// is left; an error gives the link up.
    pub(super) fn withhold(&mut self, withheld: Withheld) -> Result<Option<Instant>, ConnectFault> {
        let before = self.tell.borrow().withheld.clone();
        if *before != withheld {
            withheld.tell(&self.telemetry);
        }
        let left = !withheld.is_empty();
        let mismatches = withheld.mismatches();
        self.tell
            .send_modify(|snapshot| snapshot.withheld = Arc::new(withheld));
        if !left {
            if !before.is_empty() {
                self.telemetry.declared();
            }
            self.failing = None;
            self.slow.reset();
            return Ok(None);
        }
        self.fails(true);
        let fault = ConnectFault::Topology {
            connection: self.plan.name.clone(),
            mismatches,
        };
        match self.is_exhausted() {
            true => Err(fault),
            false => Ok(Some(Instant::now() + self.slow.fail())),
        }
    }

    /// The consequence of a failure to open.
    pub(super) fn failed(&mut self, fault: ConnectFault) -> Served {
        let tell_again = self.fails(fault.is_permanent());
        if self.is_exhausted() {
            return self.give_up(fault);
        }
        let pause = match (fault.is_permanent(), fault.nobody_there()) {
            (true, _) => self.slow.fail(),
            (false, true) => self.soon.fail(),
            (false, false) => self.backoff.fail(),
        };
        let reason = Reason::new(fault.code(), &fault);
        let (code, text) = (fault.code().as_str(), &*reason.text);
        if let Some(since) = tell_again
            && self.outage.is_news(self.role, text, Instant::now())
        {
            let since = (!since.is_zero()).then_some(since);
            match fault.is_permanent() {
                true => self.telemetry.refused(code, text, pause, since),
                false => self.telemetry.unreachable(code, text, pause, since),
            }
        }
        self.tell(LinkState::Closed(reason), None);
        Served::Lost(pause)
    }

    /// Counts a failure. If it should be logged now, returns how long it has lasted; zero for the first of its
    /// kind.
    fn fails(&mut self, permanent: bool) -> Option<Duration> {
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            told: now,
            count: 0,
            permanent,
        });
        failing.count = failing.count.saturating_add(1);
        let is_new = failing.count == 1 || failing.permanent != permanent;
        failing.permanent = permanent;
        if !is_new && now - failing.told < TELL_EVERY {
            return None;
        }
        failing.told = now;
        Some(match is_new {
            true => Duration::ZERO,
            false => now - failing.since,
        })
    }

    /// Whether it failed as often as the plan allows.
    fn is_exhausted(&self) -> bool {
        let failures = self.failing.as_ref().map_or(0, |failing| failing.count);
        self.plan
            .reconnect
            .attempts
            .is_some_and(|attempts| failures >= attempts)
    }
}
