//! `hive:consumer/requests`: calls to others over the broker, where `allow.request` of the component names them.
//!
//! The host that runs the component publishes and waits; here is what of it concerns the component: its grant, its
//! limits and its time. Every request waits inside of the component's call, so it ends with its deadline.

mod convert;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{ComponentPlan, PublishGrant};
use hive_core::codes::Code;
use hive_core::message::{FieldValue, Message, Publication};
use hive_core::trace::{Carried, TRACEPARENT, text_of};
use hive_telemetry::{Capability, CapabilityDenied, ComponentTelemetry, RequestEnd};
use tokio::time::Instant;
use wasmtime::component::{HasData, Linker};

use self::bindings::hive::consumer::{requests, types};
use super::publish;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package hive:host;
            world requesting {
                import hive:consumer/requests@0.1.0;
            }
        ",
        world: "hive:host/requesting",
        imports: { default: async },
    });
}

/// The largest body of a reply, in bytes.
const LARGEST_REPLY: u64 = 16 << 20;

/// Calls others for components, over the connection of one consumer.
pub trait Requester: Send + Sync {
    /// Publishes a message and waits for its reply, for as long as `until`.
    fn request(
        &self,
        publication: Publication,
        until: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Message, Unanswered>> + Send + '_>>;
}

/// A request without a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What became of it.
    pub end: RequestEnd,
    /// The same in words.
    pub text: String,
}

impl Unanswered {
    fn new(end: RequestEnd, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { end, text }
    }
}

/// An instance's access to others.
pub(crate) struct Requests {
    component: Arc<str>,
    granted: Arc<[PublishGrant]>,
    largest_reply: u64,
    telemetry: ComponentTelemetry,
    /// Of the call that runs now; `None` for one without a delivery.
    requester: Option<Arc<dyn Requester>>,
    /// The headers that the requests of this call carry on, unless the component sets them itself.
    trace: Vec<(String, FieldValue)>,
}

impl Requests {
    pub(crate) fn new(plan: &ComponentPlan, telemetry: &ComponentTelemetry) -> Self {
        Self {
            component: Arc::clone(&plan.name),
            granted: Arc::clone(&plan.allow.request),
            largest_reply: LARGEST_REPLY.min(plan.memory / 2),
            telemetry: telemetry.clone(),
            requester: None,
            trace: Vec::new(),
        }
    }

    /// The call that begins: who requests for it, and its span.
    pub(crate) fn begin(
        &mut self,
        requester: Option<&Arc<dyn Requester>>,
        trace: Option<&Carried>,
    ) {
        if self.granted.is_empty() {
            return;
        }
        self.requester = requester.cloned();
        self.trace.clear();
        if let Some(trace) = trace {
            trace.replace_in(&mut self.trace);
        }
    }

    /// The call has ended: what is left of it, as `lifecycle.stop`, is of no delivery.
    pub(crate) fn end(&mut self) {
        self.requester = None;
    }

    async fn request(
        &self,
        mut publication: Publication,
        until: Instant,
    ) -> Result<Message, Unanswered> {
        if let Some(fault) = publish::fault(&publication, &self.granted) {
            return Err(self.deny(&fault));
        }
        let Some(requester) = &self.requester else {
            let words = "there is no broker to send it to: requests can be made while a delivery is handled";
            return Err(Unanswered::new(RequestEnd::Disconnected, words));
        };
        let headers = &mut publication.message.properties.headers;
        if text_of(headers, TRACEPARENT).is_none() {
            headers.extend(self.trace.iter().cloned());
        }
        let reply = requester.request(publication, until).await?;
        let bytes = reply.body.len() as u64;
        if bytes > self.largest_reply {
            let words = format!(
                "the reply has {bytes} bytes, and the component may receive {}",
                self.largest_reply
            );
            return Err(Unanswered::new(RequestEnd::TooLarge, words));
        }
        Ok(reply)
    }

    fn deny(&self, to: &str) -> Unanswered {
        let reason = format!(
            "`components.{}.allow.request` does not name it",
            self.component
        );
        self.telemetry.denied(CapabilityDenied {
            capability: Capability::Request,
            code: Code::RequestDenied.as_str(),
            asked: &format_args!("a request to {to}"),
            reason: &reason,
        });
        let words = format!("a request to {to} is not granted: {reason}");
        Unanswered::new(RequestEnd::NotAllowed, words)
    }
}

/// An instance that calls others.
pub(crate) trait RequestsView: Send {
    fn requests(&mut self) -> Asking<'_>;
}

pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: RequestsView + 'static,
{
    requests::add_to_linker::<_, Asking>(linker, T::requests)
}

/// The parts of an instance's state that a request needs.
pub(crate) struct Asking<'a> {
    pub(crate) requests: &'a Requests,
    /// When the call that runs now has run too long.
    pub(crate) deadline: Instant,
}

impl HasData for Asking<'static> {
    type Data<'a> = Asking<'a>;
}

impl types::Host for Asking<'_> {}

impl requests::Host for Asking<'_> {
    async fn request(
        &mut self,
        exchange: String,
        routing_key: String,
        message: requests::Message,
        timeout_ms: Option<u64>,
    ) -> Result<requests::Message, requests::RequestError> {
        let publication = Publication {
            exchange,
            routing_key,
            message: message.into(),
            mandatory: true,
            delay: None,
        };
        let began = Instant::now();
        let until = timeout_ms
            .and_then(|wait| began.checked_add(Duration::from_millis(wait)))
            .map_or(self.deadline, |until| until.min(self.deadline));
        let Self { requests, .. } = self;
        let reply = requests.request(publication, until).await;
        let end = reply
            .as_ref()
            .map_or_else(|unanswered| unanswered.end, |_| RequestEnd::Answered);
        requests.telemetry.requested(end, began.elapsed());
        Ok(reply?.into())
    }
}

#[cfg(test)]
mod tests;
