//! The idempotency keys of a route, remembered as the keys of deliveries are.

use std::fmt;
use std::sync::Arc;

use hive_http::{Claim, Keys, Lease, Promised};
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;

use crate::ledger::{self, Ledger};

/// The keys of a route, until a reload takes it away.
pub(super) struct Remembered {
    route: Arc<str>,
    ledger: Arc<Ledger>,
    /// What keeps the ledger.
    tasks: Tasks,
}

/// A key that a request has.
struct Leased {
    route: Arc<str>,
    lease: ledger::Lease,
}

impl Remembered {
    pub(super) fn new(route: &Arc<str>, ledger: Arc<Ledger>, tasks: Tasks) -> Self {
        Self {
            route: Arc::clone(route),
            ledger,
            tasks,
        }
    }
}

impl Keys for Remembered {
    fn claim(&self, key: &str) -> Promised<Result<Claim, String>> {
        let (route, ledger) = (Arc::clone(&self.route), Arc::clone(&self.ledger));
        let known = ledger.known_request(key);
        Box::pin(async move {
            let mut looks = 0;
            loop {
                match ledger.claim(known).await {
                    Ok(ledger::Claim::Fresh(lease)) => {
                        return Ok(Claim::Fresh(Box::new(Leased { route, lease })));
                    }
                    Ok(ledger::Claim::Done) => return Ok(Claim::Done),
                    Ok(ledger::Claim::Busy(wait)) => wait.over(looks).await,
                    Err(fault) => return Err(fault.to_string()),
                }
                looks += 1;
            }
        })
    }
}

impl Lease for Leased {
    fn commit(self: Box<Self>) -> Promised<()> {
        Box::pin(async move {
            if let Err(fault) = self.lease.commit().await {
                Fact::HttpKeyForgotten {
                    route: &self.route,
                    fault: &fault,
                }
                .emit();
            }
        })
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.tasks.close().cancel();
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}
