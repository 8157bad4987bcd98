//! `wasi:http`: requests to the hosts that `allow.http` names, and to no others.
//!
//! Linked in any case, because JavaScript components import it even when they never use it. A redirect
//! is a response like any other: whoever follows it makes a request of its own, which is checked as
//! this one was.

mod address;
mod connect;
mod exchange;
mod offline;
mod target;

use std::fmt;
use std::sync::Arc;

use hive_config::plan::{ComponentPlan, HttpGrant};
use hive_core::codes::Code;
use hive_core::trace::{Carried, TRACEPARENT};
use hive_telemetry::{Capability, CapabilityDenied, ComponentTelemetry};
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use self::connect::Fault;
use self::exchange::Patience;
use self::target::{Refusal, Target};
use super::reporting::Quoted;
use super::surroundings::Network;

/// Connections that one instance may have open at once: each is a socket of the host's.
const MOST_CONNECTIONS: usize = 32;

/// Sends what the plan allows, and says in the log what it does not.
pub(crate) struct Outgoing {
    pub(crate) component: Arc<str>,
    grants: Arc<[HttpGrant]>,
    connections: Arc<Semaphore>,
    telemetry: ComponentTelemetry,
    /// Answers in place of the network.
    network: Option<Arc<dyn Network>>,
    deadline: Instant,
    /// What the requests of this call carry on, unless the component sets it itself.
    trace: Vec<(HeaderName, HeaderValue)>,
}

/// A running exchange of bytes with a peer.
type Exchange = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl Outgoing {
    pub(crate) fn new(
        plan: &ComponentPlan,
        network: Option<Arc<dyn Network>>,
        telemetry: &ComponentTelemetry,
        now: Instant,
    ) -> Self {
        if !plan.allow.http.is_empty() && network.is_none() {
            // Reads the machine's authorities when the component is loaded, and not in a call of it.
            connect::client();
        }
        Self {
            component: Arc::clone(&plan.name),
            grants: Arc::clone(&plan.allow.http),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            telemetry: telemetry.clone(),
            network,
            deadline: now,
            trace: Vec::new(),
        }
    }

    /// The span of the call that begins, if it has one.
    pub(crate) fn belongs_to(&mut self, trace: Option<&Carried>) {
        self.trace.clear();
        let headers = trace.into_iter().flat_map(Carried::headers);
        // A tracestate or baggage that is no header of HTTP is left out.
        self.trace.extend(headers.filter_map(|(name, value)| {
            let value = HeaderValue::from_str(value).ok()?;
            Some((HeaderName::from_static(name), value))
        }));
    }

    /// Whoever passes the trace of the delivery on by itself is not interfered with.
    fn carry_on(&self, request: &mut Request<WasiBody>) {
        let headers = request.headers_mut();
        if headers.contains_key(TRACEPARENT) {
            return;
        }
        for (name, value) in &self.trace {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// When the call that runs now has run too long, and its requests with it.
    pub(crate) fn ends_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Everything that can be said of a request before its name is looked up.
    fn admit(&self, request: &Request<WasiBody>) -> Result<(Target, OwnedSemaphorePermit), Error> {
        let denial = self.denial();
        let Some(target) = Target::of(request.uri()) else {
            let uri = request.uri().to_string();
            denial.tell(&Quoted(&uri), "it names no host and port");
            return Err(Error::HttpRequestUriInvalid);
        };
        target
            .is_named(&self.grants)
            .map_err(|refusal| denial.of(&target, refusal))?;
        match Arc::clone(&self.connections).try_acquire_owned() {
            Ok(permit) => Ok((target, permit)),
            Err(_) => {
                let reason = format!("the instance has {MOST_CONNECTIONS} connections already");
                denial.tell(&target, &reason);
                Err(Error::ConnectionLimitReached)
            }
        }
    }

    fn denial(&self) -> Denial {
        Denial {
            component: Arc::clone(&self.component),
            telemetry: self.telemetry.clone(),
        }
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _exchange: Exchange,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Exchange), Error>> + Send> {
        self.carry_on(&mut request);
        let options = options.unwrap_or_default();
        let patience = Patience {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
            deadline: self.deadline,
        };
        let grants = Arc::clone(&self.grants);
        let denial = self.denial();
        let admitted = self.admit(&request);
        let network = self.network.clone();
        Box::new(async move {
            let (target, permit) = admitted?;
            if let Some(network) = network {
                let response = offline::answer(&*network, request).await?;
                let moved: Exchange = Box::new(std::future::ready(Ok(())));
                return Ok((response, moved));
            }
            let until = patience.until(patience.connect);
            let stream = match connect::connect(&target, &grants, until).await {
                Ok(stream) => stream,
                Err(Fault::Refused(refusal)) => return Err(denial.of(&target, refusal)),
                Err(Fault::Failed(error)) => return Err(error),
            };
            let (response, moving) = exchange::send(stream, request, patience).await?;
            let moving: Exchange = Box::new(async move {
                moving.await;
                drop(permit);
                Ok(())
            });
            Ok((response, moving))
        })
    }

    /// wasmtime's own would warn of each without saying whose it is.
    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(component = &*self.component, %error, "an HTTP exchange failed");
        if error.is_timeout() {
            ErrorCode::HttpResponseTimeout
        } else {
            ErrorCode::HttpProtocolError
        }
    }
}

/// Logs requests that are not sent.
struct Denial {
    component: Arc<str>,
    telemetry: ComponentTelemetry,
}

impl Denial {
    /// The error that the component gets.
    fn of(&self, target: &Target, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NotNamed => {
                let key = format!(
                    "`components.{}.allow.http` does not name it",
                    self.component
                );
                self.tell(target, &key);
                Error::HttpRequestDenied
            }
            Refusal::LeadsInside(address, kind) => {
                let key = format!(
                    "its name leads to {address}, {kind}, which `components.{}.allow.http` has to name \
                     as well, by the address and the port",
                    self.component
                );
                self.tell(target, &key);
                Error::DestinationIpProhibited
            }
        }
    }

    fn tell(&self, target: &dyn fmt::Display, reason: &str) {
        self.telemetry.denied(CapabilityDenied {
            capability: Capability::Http,
            code: Code::HttpDenied.as_str(),
            asked: &format_args!("an HTTP request to {target}"),
            reason: &reason,
        });
    }
}
