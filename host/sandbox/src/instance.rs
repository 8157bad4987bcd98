//! One instance: a store of its own, and the functions that the host calls in it.
//!
//! After a trap, a timeout or a limit the store is unusable, so an instance that met one is
//! dropped and never given back.

mod bindings;
pub(crate) mod call;
pub(crate) mod clock;
mod computing;
mod convert;
mod exports;
pub(crate) mod limits;
mod logs;
mod state;
pub(crate) mod template;
mod trap;
mod wasi;
pub(crate) mod work;

use std::time::Duration;

use hive_config::plan::ComponentPlan;
use hive_core::policy::Outcome;
use hive_telemetry::{CountedInstance, Fact};
use tokio::time::Instant;
use wasmtime::Store;

pub(crate) use self::bindings::contract::exports::hive::consumer::lifecycle::StopReason;
use self::call::{Call, call};
use self::exports::{Exports, Start, Stop};
use self::state::State;
use self::template::Template;
use self::work::Work;
use crate::capability::reporting::Reporting;

/// An instance between two calls.
pub(crate) struct Instance {
    store: Store<State>,
    exports: Exports,
    served: u64,
    _counted: CountedInstance,
}

impl Instance {
    /// Makes an instance and runs its `lifecycle.start`, within the time of one call.
    pub(crate) async fn start(template: &Template) -> Result<Self, Outcome> {
        let counted = template.grants.telemetry.instance();
        let mut store = store(template).map_err(Outcome::HostFault)?;
        let timeout = template.grants.plan.timeout;
        let (exports, started) = call(&mut store, Start(template), timeout).await?;
        started
            .map_err(|error| Outcome::Failed(trap::bounded(format!("lifecycle.start: {error}"))))?;
        Ok(Self {
            store,
            exports,
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
        self.exports.lifecycle.is_some()
    }

    /// Hands it deliveries in one call. `Err` carries the outcomes of an instance that must not be used again.
    pub(crate) async fn call<W: Work>(
        &mut self,
        label: &Call<'_>,
        work: &W,
        plan: &ComponentPlan,
    ) -> Result<W::Outcomes, W::Outcomes> {
        self.served += work.deliveries();
        let Some(function) = work.function(&self.exports) else {
            return Ok(work.of_each(Outcome::HostFault(W::NOT_EXPORTED.to_owned())));
        };
        // What is printed from here on belongs to this call.
        let state = self.store.data_mut();
        state
            .output
            .begin(label.consumer, label.delivery, label.trace, label.heard);
        state.outgoing.belongs_to(label.trace);
        let requester = state.no_broker.clone();
        let requester = requester.as_ref().or(label.requester);
        state.requests.begin(requester, label.trace);
        if label.notes.is_some() {
            state.note(label.notes);
        }
        let ended = call(&mut self.store, function, plan.timeout).await;
        let state = self.store.data_mut();
        state.requests.end();
        if label.notes.is_some() {
            state.note(None);
        }
        // A call that failed because its object store was away is no failure of the component.
        let trouble = state.blobstore.take_trouble();
        let blamed = |outcome| match trouble {
            Some(reason) => Outcome::HostFault(reason),
            None => outcome,
        };
        match ended {
            Ok(Ok(answer)) => work.outcomes(answer, plan.max_publications),
            Ok(Err(error)) => Ok(work.of_each(blamed(Outcome::Failed(trap::bounded(error))))),
            Err(outcome) => Err(work.of_each(blamed(outcome))),
        }
    }

    /// Notifies it of the reason. A failure of it now is logged and has no other effect.
    pub(crate) async fn stop(mut self, reason: StopReason, timeout: Duration) {
        let Some(lifecycle) = &self.exports.lifecycle else {
            return;
        };
        let stop = Stop { lifecycle, reason };
        if let Err(outcome) = call(&mut self.store, stop, timeout).await {
            Fact::StopFailed {
                component: self.store.data().component(),
                outcome: &outcome,
            }
            .emit();
        }
    }
}

/// A store with the limits of the plan and a clock.
fn store(template: &Template) -> Result<Store<State>, String> {
    let state = State::new(&template.grants, Instant::now())?;
    let answer = state.limits.answer();
    let mut store = Store::new(template.pre.engine(), state);
    store.limiter(|state| &mut state.limits);
    store.set_hostcall_fuel(answer);
    clock::watch(&mut store);
    Ok(store)
}
