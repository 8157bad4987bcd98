//! One instance: a store of its own, and the functions that the host calls in it.
//!
//! After a trap, a timeout or a limit the store is unusable, so an instance that met one is
//! dropped and never given back.

pub(crate) mod bindings;
pub(crate) mod call;
pub(crate) mod clock;
pub(crate) mod convert;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod state;
pub(crate) mod template;

use std::pin::pin;
use std::time::Duration;

use hive_config::plan::ComponentPlan;
use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use hive_telemetry::{CountedInstance, Fact};
use wasmtime::Store;

use self::bindings::contract::exports::hive::consumer::batch_handler::Guest as BatchHandler;
use self::bindings::contract::exports::hive::consumer::handler::Guest as Handler;
use self::bindings::contract::exports::hive::consumer::lifecycle::Guest as Lifecycle;
pub(crate) use self::bindings::contract::exports::hive::consumer::lifecycle::StopReason;
use self::call::Call;
use self::state::State;
use self::template::Template;
use crate::capability::reporting::Reporting;

/// An instance between two calls.
pub(crate) struct Instance {
    store: Store<State>,
    handler: Option<Handler>,
    batch_handler: Option<BatchHandler>,
    lifecycle: Option<Lifecycle>,
    served: u64,
    _counted: CountedInstance,
}

impl Instance {
    /// Makes an instance and runs its `lifecycle.start`, within the time of one call.
    pub(crate) async fn start(template: &Template) -> Result<Self, Outcome> {
        let counted = template.grants.telemetry.instance();
        let mut store = store(template).map_err(Outcome::HostFault)?;
        let timeout = template.grants.plan.timeout;
        begin(&mut store, timeout);
        let making = async {
            let instance = template.pre.instantiate_async(&mut store).await?;
            let handler = match &template.handler {
                Some(indices) => Some(indices.load(&mut store, &instance)?),
                None => None,
            };
            let batch_handler = match &template.batch_handler {
                Some(indices) => Some(indices.load(&mut store, &instance)?),
                None => None,
            };
            let lifecycle = match &template.lifecycle {
                Some(indices) => Some(indices.load(&mut store, &instance)?),
                None => None,
            };
            let started = match &lifecycle {
                Some(lifecycle) => lifecycle.call_start(&mut store).await?,
                None => Ok(()),
            };
            Ok((handler, batch_handler, lifecycle, started))
        };
        let made = call::within(timeout, pin!(making)).await;
        let (handler, batch_handler, lifecycle, started) = made
            .map_err(|end| call::outcome_of(end, store.data_mut(), "lifecycle.start", timeout))?;
        store.data().output.end();
        started
            .map_err(|error| Outcome::Failed(call::bounded(format!("lifecycle.start: {error}"))))?;
        Ok(Self {
            store,
            handler,
            batch_handler,
            lifecycle,
            served: 0,
            _counted: counted,
        })
    }

    /// Deliveries that it was given.
    pub(crate) fn served(&self) -> u64 {
        self.served
    }

    /// Bytes of its memories together.
    pub(crate) fn memory(&self) -> u64 {
        self.store.data().limits.used()
    }

    /// Whether it wants to know that it stops.
    pub(crate) fn has_lifecycle(&self) -> bool {
        self.lifecycle.is_some()
    }

    /// Hands it a delivery. `Err` carries the outcome of an instance that must not be used again.
    pub(crate) async fn handle(
        &mut self,
        call: &Call<'_>,
        envelope: &Envelope,
        plan: &ComponentPlan,
    ) -> Result<Outcome, Outcome> {
        let timeout = plan.timeout;
        self.begin_call(call, 1, timeout);
        let Some(handler) = &self.handler else {
            return Ok(Outcome::HostFault("it exports no handler".to_owned()));
        };
        let headers = convert::headers(envelope);
        let delivery = convert::delivery(envelope, &headers);
        let handle = handler.call_handle(&mut self.store, delivery);
        let answer = call::within(timeout, pin!(handle)).await;
        let state = self.store.data_mut();
        state.output.end();
        match answer {
            Ok(Ok(action)) => convert::outcome(action, plan.max_publications),
            Ok(Err(error)) => Ok(Outcome::Failed(call::bounded(error))),
            Err(end) => Err(call::outcome_of(end, state, "handler.handle", timeout)),
        }
    }

    /// Hands it a batch, and gives an outcome for each delivery, in their order. `Err` carries those of an
    /// instance that must not be used again.
    pub(crate) async fn handle_batch(
        &mut self,
        call: &Call<'_>,
        batch: &[&Envelope],
        plan: &ComponentPlan,
    ) -> Result<Vec<Outcome>, Vec<Outcome>> {
        let timeout = plan.timeout;
        let of_each = |outcome: Outcome| vec![outcome; batch.len()];
        self.begin_call(call, batch.len() as u64, timeout);
        let Some(handler) = &self.batch_handler else {
            let reason = "it exports no batch handler".to_owned();
            return Ok(of_each(Outcome::HostFault(reason)));
        };
        let headers: Vec<_> = batch.iter().map(|one| convert::headers(one)).collect();
        let deliveries = batch.iter().zip(&headers);
        let deliveries: Vec<_> = deliveries
            .map(|(envelope, headers)| convert::delivery(envelope, headers))
            .collect();
        let handle = handler.call_handle_batch(&mut self.store, &deliveries);
        let answer = call::within(timeout, pin!(handle)).await;
        let state = self.store.data_mut();
        state.output.end();
        match answer {
            Ok(Ok(actions)) => convert::outcomes(actions, batch.len(), plan.max_publications),
            Ok(Err(error)) => Ok(of_each(Outcome::Failed(call::bounded(error)))),
            Err(end) => {
                let called = "batch-handler.handle-batch";
                Err(of_each(call::outcome_of(end, state, called, timeout)))
            }
        }
    }

    /// Its output from here on belongs to this call, whose clock runs.
    fn begin_call(&mut self, call: &Call<'_>, deliveries: u64, timeout: Duration) {
        self.served += deliveries;
        self.store.data().output.begin(call.consumer, call.delivery);
        begin(&mut self.store, timeout);
    }

    /// Notifies it of the reason. A failure of it now is logged and has no other effect.
    pub(crate) async fn stop(mut self, reason: StopReason, timeout: Duration) {
        let Some(lifecycle) = &self.lifecycle else {
            return;
        };
        begin(&mut self.store, timeout);
        let stop = lifecycle.call_stop(&mut self.store, reason);
        let ended = call::within(timeout, pin!(stop)).await;
        let state = self.store.data_mut();
        state.output.end();
        if let Err(end) = ended {
            let outcome = call::outcome_of(end, state, "lifecycle.stop", timeout);
            Fact::StopFailed {
                component: state.component(),
                outcome: &outcome,
            }
            .emit();
        }
    }
}

/// A store with the limits of the plan and a clock.
fn store(template: &Template) -> Result<Store<State>, String> {
    let state = State::new(&template.grants)?;
    let answer = state.limits.answer();
    let mut store = Store::new(template.pre.engine(), state);
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(answer);
    clock::watch(&mut store);
    Ok(store)
}

/// Begins one call.
fn begin(store: &mut Store<State>, timeout: Duration) {
    clock::begin(store, timeout);
    // A growth denied in a call that ended well is not the reason of what comes next.
    store.data_mut().limits.take_denied();
}
