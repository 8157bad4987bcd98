//! A delivery's claim on its key: whether it is handled, passed over, or waits for another one.

use std::pin::pin;
use std::sync::Arc;

use hive_lifecycle::failpoint;
use hive_store::StoreFault;

use super::Pipeline;
use super::held::Held;
use super::keeping::Trouble;
use crate::ledger::{Claim, Known, Ledger, Wait};

impl Pipeline {
    /// The delivery to handle, with its lease. `None` if it is not handled now: a repeat is acknowledged at
    /// once, and one whose key is in flight elsewhere waits aside, while the worker continues.
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
            aside => {
                let pipeline = Arc::clone(self);
                let ledger = Arc::clone(ledger);
                self.tasks.spawn_work(async move {
                    if let Some(held) = pipeline.claim_again(aside, &ledger, known).await {
                        pipeline.call(held).await;
                    }
                });
                None
            }
        }
    }

    fn after_claim(self: &Arc<Self>, mut held: Held, claim: Result<Claim, StoreFault>) -> Next {
        if claim.is_ok() {
            held.patience.over();
        }
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
            Err(fault) => Next::Ask(held, fault),
        }
    }

    /// Waits until the key is free or handled, and asks a store that failed again. A host that stops does not
    /// wait: these deliveries were not begun, and go back like untouched ones.
    async fn claim_again(
        self: &Arc<Self>,
        mut next: Next,
        ledger: &Arc<Ledger>,
        known: Known,
    ) -> Option<Held> {
        let mut looks = 0;
        loop {
            let held = match next {
                Next::Handle(held) => return Some(held),
                Next::Over => return None,
                Next::Wait(held, wait) => {
                    let drain = self.tasks.drain();
                    drain.run_until_cancelled(wait.over(looks)).await?;
                    looks += 1;
                    // The broker is delivering the message again.
                    if !held.delivery.settlement.is_live() {
                        return None;
                    }
                    held
                }
                Next::Ask(held, fault) => {
                    self.kept(held, Trouble::Store(fault.to_string())).await?
                }
            };
            let claim = self
                .unless_abandoned([&held], pin!(ledger.claim(known)))
                .await?;
            next = self.after_claim(held, claim);
        }
    }
}

/// The step after a claim.
enum Next {
    /// The delivery is to be handled.
    Handle(Held),
    /// The delivery is settled, or on its way to be.
    Over,
    /// Another delivery holds the lease, so this one waits.
    Wait(Held, Wait),
    /// The store did not answer.
    Ask(Held, StoreFault),
}
