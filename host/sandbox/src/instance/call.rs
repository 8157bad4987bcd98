//! One call of a function of the contract: its clock, its limits, its output and its end are the same for all.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hive_core::policy::Outcome;
use hive_core::trace::Carried;
use hive_lifecycle::aside;
use hive_store::Notes;
use hive_telemetry::Heard;
use wasmtime::Store;

use super::state::State;
use super::{clock, trap};
use crate::capability::requests::Requester;

/// The clock interrupts wasm, not a host function that waits. What still runs this long after
/// its deadline is in one, and is dropped.
const HOST_FUNCTION_SLACK: Duration = Duration::from_millis(50);

/// Whose delivery or batch it is, for the lines that the component prints.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// Identifies this delivery or batch.
    pub delivery: &'a (dyn fmt::Display + Sync),
    /// The span of the call, where there are spans: for those lines, and for what the component requests over
    /// HTTP and over the broker.
    pub trace: Option<&'a Carried>,
    /// Sends its requests to others over the broker; `None` where there is no broker.
    pub requester: Option<&'a Arc<dyn Requester>>,
    /// Where those lines are kept too, if someone watches the delivery.
    pub heard: Option<&'a Arc<Heard>>,
    /// Where it is noted what the call does to the store: for a shadow, which repeats it, or by one.
    pub notes: Option<&'a Arc<Notes>>,
}

/// A function of the contract, with its arguments.
pub(crate) trait Function {
    /// The name of the function in an error.
    const NAME: &'static str;

    /// What the function returns.
    type Answer;

    fn run(
        self,
        store: &mut Store<State>,
    ) -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

/// Calls a function. `Err` is the outcome of a call that did not return: its instance must not be used again.
pub(super) async fn call<F: Function>(
    store: &mut Store<State>,
    function: F,
    timeout: Duration,
) -> Result<F::Answer, Outcome> {
    let deadline = clock::begin(store, timeout);
    // A growth denied in a call that ended well is not the reason of what comes next.
    store.data_mut().limits.take_denied();
    let ended = {
        let running = pin!(function.run(store));
        tokio::time::timeout_at(deadline + HOST_FUNCTION_SLACK, running).await
    };
    aside::over();
    let state = store.data_mut();
    state.output.end();
    match ended {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(trap::outcome_of(error, state, F::NAME, timeout)),
        Err(_) => Err(Outcome::TimedOut(timeout)),
    }
}
