//! The admin server: health, readiness, metrics and commands over HTTP, on `host.admin`.
//!
//! It reads snapshots and holds no lock that a delivery waits for. It passes commands to the task that carries
//! out [`crate::control::Command`]s.

mod audited;
mod commands;
mod dead;
mod deliveries;
mod demand;
mod guard;
mod hosts;
mod intended;
mod live;
mod login;
mod openapi;
mod page;
mod pulse;
mod query;
mod runtime_file;
mod series;
mod session;
mod tail;
mod topology;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures_util::future::BoxFuture;
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, Telemetry};
use tokio::net::TcpListener;

use self::audited::audit;
pub use self::commands::Commands;
use self::guard::{Guard, operators, readers};
use self::intended::intended;
pub use self::intended::{FILE, HOST, Identity};
use self::live::Live;
use self::pulse::Pulse;
pub use self::pulse::Telemetries;
pub use self::runtime_file::{RuntimeFile, find};
use self::series::Series;
pub(crate) use self::wire::DoneView;
use self::wire::{ComponentView, ConsumerView, ErrorView, Readiness, StatusView};
use crate::audit::Audit;
use crate::control::{Command, FromAll, Refusal};
use crate::dead::{Desk, PlanReader};
use crate::status::{GroupStatus, Status, StatusReader};
use crate::tail::Tail;

/// The format of `/metrics` (prometheus.io, "Exposition formats").
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Reads what has to be asked for first.
pub type Asking<T> = Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>;

/// Has all hosts carry out a command; those that would, where `force` is.
pub type Commanding =
    Arc<dyn Fn(Command, bool) -> BoxFuture<'static, Result<FromAll, Refusal>> + Send + Sync>;

/// The hosts of the group.
#[derive(Clone)]
pub struct Hosts {
    /// Asks each how it is doing.
    pub status: Asking<GroupStatus>,
    /// Gives each a command.
    pub command: Commanding,
}

/// The state that the routes read.
#[derive(Clone)]
pub struct Sources {
    /// The host at this moment.
    pub status: StatusReader,
    /// The same with the messages in the queues, as far as the broker reports them soon.
    pub measured: Asking<Status>,
    /// The hosts of the group; `None` if the host is in none.
    pub hosts: Option<Hosts>,
    /// All metrics.
    pub telemetry: Telemetry,
    /// Where commands are sent, and who may give them.
    pub commands: Commands,
    /// The record of commands.
    pub audit: Audit,
    /// Which host this is.
    pub identity: Identity,
    /// The telemetry of every consumer that was started.
    pub telemetries: Telemetries,
    /// The plan at the moment of the call.
    pub plan: PlanReader,
    /// Does what is asked of dead letters.
    pub desk: Desk,
    /// Where deliveries are watched.
    pub tail: Tail,
    /// `host.admin_bodies`: whether bodies and headers of messages are shown.
    pub shows_bodies: bool,
    /// When the host started.
    pub since: SystemTime,
}

/// A bound address, from which nothing is answered yet.
#[derive(Debug)]
pub struct Admin(TcpListener);

impl Admin {
    /// Binds `address`, or another port of it where `or_another` is and it is in use.
    ///
    /// # Errors
    ///
    /// Another program has the port, or the address is not this machine's.
    pub async fn bind(address: SocketAddr, or_another: bool) -> io::Result<Self> {
        let bound = match TcpListener::bind(address).await {
            Err(error) if or_another && error.kind() == io::ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
            }
            bound => bound,
        };
        bound.map(Self)
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until the host has stopped.
    pub fn serve(self, sources: Sources, tasks: &Tasks) {
        let address = self.0.local_addr();
        match &address {
            Ok(address) if address.ip().is_loopback() => {
                Fact::AdminListens { address: *address }.emit();
            }
            Ok(address) => Fact::AdminListensWidely { address: *address }.emit(),
            Err(error) => Fact::AdminWithoutAddress { error }.emit(),
        }
        let guard = Guard::new(
            address.is_ok_and(|address| address.ip().is_loopback()),
            sources.commands.token.clone(),
            sources.commands.viewer.clone(),
        );
        let meant = from_fn_with_state((sources.identity.clone(), guard.clone()), intended);
        let pulse = Pulse::default();
        pulse.start(Arc::clone(&sources.telemetries), tasks);
        let live = Live::start(&sources, &pulse, tasks);
        let for_operators = Router::new()
            .route("/v1/audit", get(audit))
            .route("/v1/overview", get(live::overview))
            .route("/v1/events", get(live::events))
            .route("/v1/deliveries", get(tail::deliveries))
            .route("/v1/topology", get(topology::topology))
            .route(
                "/v1/consumers/{consumer}/deliveries",
                get(deliveries::deliveries),
            )
            .route("/v1/consumers/{consumer}/series", get(deliveries::series))
            .layer(Extension(pulse))
            .layer(Extension(live))
            .layer(Extension(tail::Close(tasks.close().clone())))
            .layer(Extension(guard.clone()))
            .route_layer(from_fn_with_state(guard.clone(), operators));
        let for_readers = Router::new()
            .route("/v1/components", get(components))
            .route("/v1/status", get(whole))
            .layer(Extension(guard.clone()))
            .route("/v1/consumers", get(consumers))
            .route("/v1/consumers/{consumer}/demand", get(demand::demand))
            .route("/v1/hosts", get(hosts::hosts))
            .route_layer(from_fn_with_state(guard.clone(), readers));
        let of_this_host = Router::new()
            .merge(commands::routes(&guard, &sources))
            .merge(dead::routes(&guard, &sources))
            .merge(for_operators)
            .merge(for_readers)
            .route_layer(meant)
            .merge(login::routes(&guard, &sources))
            .merge(page::routes())
            .route("/v1/openapi.json", get(openapi::openapi));
        let routes = of_this_host
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .fallback(unknown)
            .method_not_allowed_fallback(not_allowed)
            .layer(map_response(careful))
            .with_state(sources);
        if SystemTime::now() < UNIX_EPOCH {
            // hyper writes the date of each answer, and panics where there is none.
            Fact::AdminMute {}.emit();
        }
        let close = tasks.close().clone();
        tasks.spawn_service(async move {
            let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(self.0, routes).into_future();
            tokio::select! {
                () = close.cancelled() => {}
                ended = serving => {
                    Fact::AdminEnded { ended: &ended }.emit();
                }
            }
        });
    }
}

/// What every answer tells a browser: run nothing but the scripts of this server, show nothing in a frame, keep nothing.
async fn careful(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let none = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(none);
    answer
}

async fn unknown(uri: Uri) -> Response {
    let error = format!(
        "there is no {}; docs/operations.md lists the paths",
        uri.path()
    );
    (StatusCode::NOT_FOUND, Json(ErrorView::new(None, error))).into_response()
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let error = format!(
        "{} does not take {method}: what is read is a GET, and a command is a POST",
        uri.path()
    );
    (
        StatusCode::METHOD_NOT_ALLOWED,
        Json(ErrorView::new(None, error)),
    )
        .into_response()
}

/// The process answers, whatever the broker does: restarting it would heal nothing.
async fn livez() -> &'static str {
    "alive\n"
}

/// 200 while every consumer that is wanted consumes, 503 while one does not, with its reason.
async fn readyz(State(sources): State<Sources>) -> Response {
    let status = (sources.status)();
    let code = match status.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(Readiness::from(&status))).into_response()
}

/// Every component with the version that serves, and a canary or a shadow where there is one.
async fn components(
    State(sources): State<Sources>,
    Extension(guard): Extension<Guard>,
    headers: HeaderMap,
) -> Response {
    let status = (sources.status)();
    let shows = guard.shows(&headers, &sources);
    let components = status.components.iter();
    let components: Vec<_> = components
        .map(|component| ComponentView::of(component, shows))
        .collect();
    Json(components).into_response()
}

/// Everything that there is to know at this moment, for `hive-host status`.
async fn whole(
    State(sources): State<Sources>,
    Extension(guard): Extension<Guard>,
    headers: HeaderMap,
) -> Response {
    let status = (sources.measured)().await;
    let shows = guard.shows(&headers, &sources);
    Json(StatusView::of(&status, &sources, shows)).into_response()
}

/// Every consumer of the plan: whether it consumes, and why not.
async fn consumers(State(sources): State<Sources>) -> Response {
    let status = (sources.measured)().await;
    let consumers: Vec<_> = status.consumers.iter().map(ConsumerView::from).collect();
    Json(consumers).into_response()
}

async fn metrics(State(sources): State<Sources>) -> Response {
    let Sources {
        measured,
        telemetry,
        ..
    } = sources;
    let status = measured().await;
    for link in &status.links {
        telemetry.link_state(&link.connection, link.role, link.state);
    }
    for series in Series::of(&status) {
        series.tell(&telemetry);
    }
    for shared in &status.shared_queues {
        let depth = &shared.depth;
        let messages = depth.messages.as_ref().ok().copied().map(u64::from);
        telemetry.shared_queue_depth(&shared.connection, &depth.queue, depth.purpose, messages);
    }
    match telemetry.render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            Fact::MetricsFailed { error: &error }.emit();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
