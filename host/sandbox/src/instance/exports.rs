//! The functions that the host calls in an instance.

use hive_core::message::Envelope;
use wasmtime::Store;

use super::bindings::contract::exports::hive::consumer::batch_handler::Guest as BatchHandler;
use super::bindings::contract::exports::hive::consumer::handler::Guest as Handler;
use super::bindings::contract::exports::hive::consumer::lifecycle::{
    Guest as Lifecycle, StopReason,
};
use super::bindings::contract::hive::consumer::types::Action;
use super::call::Function;
use super::convert;
use super::state::State;
use super::template::Template;

/// The interfaces that an instance exports.
pub(crate) struct Exports {
    pub(super) handler: Option<Handler>,
    pub(super) batch_handler: Option<BatchHandler>,
    pub(super) lifecycle: Option<Lifecycle>,
}

/// The making of an instance, up to the end of its `lifecycle.start`.
pub(super) struct Start<'a>(pub(super) &'a Template);

impl Function for Start<'_> {
    const NAME: &'static str = "lifecycle.start";

    type Answer = (Exports, Result<(), String>);

    async fn run(self, store: &mut Store<State>) -> wasmtime::Result<Self::Answer> {
        let Self(template) = self;
        let instance = template.pre.instantiate_async(&mut *store).await?;
        let handler = match &template.handler {
            Some(indices) => Some(indices.load(&mut *store, &instance)?),
            None => None,
        };
        let batch_handler = match &template.batch_handler {
            Some(indices) => Some(indices.load(&mut *store, &instance)?),
            None => None,
        };
        let lifecycle = match &template.lifecycle {
            Some(indices) => Some(indices.load(&mut *store, &instance)?),
            None => None,
        };
        let started = match &lifecycle {
            Some(lifecycle) => lifecycle.call_start(store).await?,
            None => Ok(()),
        };
        let exports = Exports {
            handler,
            batch_handler,
            lifecycle,
        };
        Ok((exports, started))
    }
}

/// `handler.handle`.
pub(super) struct Handle<'a> {
    pub(super) handler: &'a Handler,
    pub(super) envelope: &'a Envelope,
}

impl Function for Handle<'_> {
    const NAME: &'static str = "handler.handle";

    type Answer = Result<Action, String>;

    async fn run(self, store: &mut Store<State>) -> wasmtime::Result<Self::Answer> {
        let headers = convert::headers(self.envelope);
        let delivery = convert::delivery(self.envelope, &headers);
        self.handler.call_handle(store, delivery).await
    }
}

/// `batch-handler.handle-batch`.
pub(super) struct HandleBatch<'a> {
    pub(super) handler: &'a BatchHandler,
    pub(super) batch: &'a [&'a Envelope],
}

impl Function for HandleBatch<'_> {
    const NAME: &'static str = "batch-handler.handle-batch";

    type Answer = Result<Vec<Action>, String>;

    async fn run(self, store: &mut Store<State>) -> wasmtime::Result<Self::Answer> {
        let headers: Vec<_> = self.batch.iter().map(|one| convert::headers(one)).collect();
        let deliveries = self.batch.iter().zip(&headers);
        let deliveries: Vec<_> = deliveries
            .map(|(envelope, headers)| convert::delivery(envelope, headers))
            .collect();
        self.handler.call_handle_batch(store, &deliveries).await
    }
}

/// `lifecycle.stop`.
pub(super) struct Stop<'a> {
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) reason: StopReason,
}

impl Function for Stop<'_> {
    const NAME: &'static str = "lifecycle.stop";

    type Answer = ();

    async fn run(self, store: &mut Store<State>) -> wasmtime::Result<()> {
        self.lifecycle.call_stop(store, self.reason).await
    }
}
