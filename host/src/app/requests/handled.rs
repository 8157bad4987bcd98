//! The component of a route over HTTP: requests are handed to whatever generation serves, as deliveries are.

use std::fmt;
use std::sync::Arc;

use hive_config::plan::HttpRoutePlan;
use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use hive_http::{Component, Promised};
use hive_sandbox::{Call, Observed, Requester, Slot};
use tokio::time::Instant;

use crate::pipeline::copy_request;

/// The component of one route.
pub(super) struct Handled {
    route: Arc<str>,
    slot: Arc<Slot>,
    /// Sends its requests to others over the broker.
    requester: Arc<dyn Requester>,
    concurrency: u16,
}

impl Handled {
    pub(super) fn new(
        route: &HttpRoutePlan,
        slot: &Arc<Slot>,
        requester: Arc<dyn Requester>,
    ) -> Self {
        for _ in 0..route.concurrency {
            slot.worker_comes();
        }
        Self {
            route: Arc::clone(&route.name),
            slot: Arc::clone(slot),
            requester,
            concurrency: route.concurrency,
        }
    }
}

impl Component for Handled {
    fn handle(&self, request: Arc<Envelope>) -> Promised<Outcome> {
        let (route, slot) = (Arc::clone(&self.route), Arc::clone(&self.slot));
        let requester = Arc::clone(&self.requester);
        Box::pin(async move {
            let id = request.message.properties.message_id.as_deref();
            let generation = slot.deal();
            let observed = slot.observe(&generation);
            let began = Instant::now();
            let call = Call {
                consumer: &route,
                delivery: &id.unwrap_or_default(),
                trace: None,
                requester: Some(&requester),
                heard: None,
                notes: observed.as_ref().and_then(Observed::notes),
            };
            let outcome = match generation.takes_single() {
                true => generation.handle(&call, &request).await,
                false => {
                    let mut outcomes = generation.handle_batch(&call, &[&request]).await;
                    let none = || Outcome::HostFault("a batch of one has no outcome".to_owned());
                    outcomes.pop().unwrap_or_else(none)
                }
            };
            if let Some(observed) = observed {
                copy_request(observed, &route, &request, &outcome, began.elapsed());
            }
            if let Some(handled) = outcome.is_handled() {
                slot.saw(&generation, handled);
            }
            outcome
        })
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        for _ in 0..self.concurrency {
            self.slot.worker_goes();
        }
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled")
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}
