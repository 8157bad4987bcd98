//! A delivery's claim on its key: whether it is handled, passed over, or waits for another one.

use std::pin::pin;
use std::sync::Arc;

use super::Pipeline;
use super::held::Held;
use crate::failpoint;
use crate::ledger::{Claim, Known, Ledger, Wait};
use crate::policy::{Disposition, REQUEUE_PAUSE};
use crate::store::StoreFault;

impl Pipeline {
    /// The delivery to handle, with its claim; none where it is handled by nobody, or later: a
    /// repeat is acknowledged at once, and one whose key is in hand elsewhere waits for that aside,
    /// while the worker goes on.
    pub(super) async fn claimed(self: &Arc<Self>, held: Held) -> Option<Held> {
        let Some(ledger) = &self.ledger else {
            return Some(held);
        };
        let Some(known) = ledger.known(&held.delivery.envelope) else {
            return Some(held);
        };
        let claim = self
            .unless_abandoned([&held], pin!(ledger.claim(known)))
            .await?;
        match self.after_claim(held, claim) {
            Next::Handle(held) => Some(held),
            Next::Over => None,
            Next::Wait(held, wait) => {
                let pipeline = Arc::clone(self);
                let ledger = Arc::clone(ledger);
                self.tasks.spawn_work(async move {
                    if let Some(held) = pipeline.wait(held, &ledger, known, wait).await {
                        pipeline.call(held).await;
                    }
                });
                None
            }
        }
    }

    fn after_claim(self: &Arc<Self>, held: Held, claim: Result<Claim, StoreFault>) -> Next {
        match claim {
            Ok(Claim::Fresh(lease)) => {
                failpoint::reached("dedup.claimed");
                Next::Handle(Held {
                    lease: Some(lease),
                    ..held
                })
            }
            Ok(Claim::Done) => {
                self.settler.pass_over(held);
                Next::Over
            }
            Ok(Claim::Busy(wait)) => Next::Wait(held, wait),
            Err(fault) => {
                let requeue = Disposition::Requeue {
                    pause: REQUEUE_PAUSE,
                    reason: fault.to_string(),
                };
                self.settle(held, requeue);
                Next::Over
            }
        }
    }

    /// Waits until the key is free, or was handled. A host that stops waits for nobody: what waits here
    /// was not begun, and goes back as what was not taken yet.
    async fn wait(
        self: &Arc<Self>,
        mut held: Held,
        ledger: &Arc<Ledger>,
        known: Known,
        mut wait: Wait,
    ) -> Option<Held> {
        let mut looks = 0;
        loop {
            let drain = self.tasks.drain();
            drain.run_until_cancelled(wait.over(looks)).await?;
            looks += 1;
            // Another one of it is on its way.
            if !held.delivery.settlement.is_live() {
                return None;
            }
            let claim = self
                .unless_abandoned([&held], pin!(ledger.claim(known)))
                .await?;
            match self.after_claim(held, claim) {
                Next::Handle(held) => return Some(held),
                Next::Over => return None,
                Next::Wait(still, again) => (held, wait) = (still, again),
            }
        }
    }
}

/// What follows a claim.
enum Next {
    /// It is ours.
    Handle(Held),
    /// The delivery is settled, or on its way to be.
    Over,
    /// Somebody has it.
    Wait(Held, Wait),
}
