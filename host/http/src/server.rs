//! The connections of clients: how many, how long, and how they end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use hive_amqp::Connection;
use hive_config::plan::HttpPlan;
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, HttpTelemetry, Telemetry};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::memory::Memory;
use crate::service::Service;
use crate::table::{Helps, Table};

/// How long an answer may take to be written once every message of the host is settled.
const FAREWELL: Duration = Duration::from_secs(1);

/// The pause after the system gave no connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 128;

/// A bound address, at which nothing is taken yet.
#[derive(Debug)]
pub struct Listener(TcpListener);

/// The server: what it serves can be changed while it runs.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    tls: Arc<ArcSwapOption<ServerConfig>>,
    telemetry: HttpTelemetry,
}

/// What holds for each connection.
struct Terms {
    /// Of connections that are made now; without TLS if there is none.
    tls: Arc<ArcSwapOption<ServerConfig>>,
    connections: u32,
    header: usize,
    timeout: Duration,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// Another program has the port, or the address is not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }
}

impl Server {
    /// Takes requests at `listener` until `tasks` drain; those that were taken are answered by their close.
    pub fn start(
        listener: Listener,
        plan: &HttpPlan,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> Self {
        let telemetry = telemetry.http();
        let service = Arc::new(Service {
            table: ArcSwapOption::empty(),
            memory: Memory::new(plan.memory_in_flight),
            timeout: plan.timeout,
            tasks: tasks.clone(),
            unrouted: telemetry.route(&Arc::from("")),
        });
        if let Ok(address) = listener.0.local_addr() {
            let routes = plan.routes.len();
            Fact::HttpListens { address, routes }.emit();
        }
        let tls = Arc::new(ArcSwapOption::new(tls_of(plan)));
        let terms = Terms {
            tls: Arc::clone(&tls),
            connections: plan.max_connections,
            header: usize::try_from(plan.max_header).unwrap_or(usize::MAX),
            timeout: plan.timeout,
        };
        let server = Self {
            service,
            tls,
            telemetry,
        };
        let accepting = accept(
            listener.0,
            Arc::clone(&server.service),
            Arc::new(terms),
            server.telemetry.clone(),
        );
        drop(tasks.spawn_service(accepting));
        server
    }

    /// From now on the routes are those of `plan`, over these connections; each new one gets its keys and its component
    /// of the host. The certificate is that of `plan` for connections that are made from now on.
    pub fn follow(
        &self,
        plan: &HttpPlan,
        connection: impl Fn(&str) -> Option<Arc<Connection>>,
        host: &impl Helps,
    ) {
        let Self {
            service,
            tls,
            telemetry,
        } = self;
        tls.store(tls_of(plan));
        let before = service.table.load_full().unwrap_or_default();
        let table = Table::of(plan, connection, host, &before, &service.tasks, telemetry);
        service.table.store(Some(Arc::new(table)));
    }
}

fn tls_of(plan: &HttpPlan) -> Option<Arc<ServerConfig>> {
    plan.tls.as_ref().map(|tls| Arc::clone(&tls.server))
}

/// Accepts connections until the host drains.
async fn accept(
    listener: TcpListener,
    service: Arc<Service>,
    terms: Arc<Terms>,
    telemetry: HttpTelemetry,
) {
    let tasks = service.tasks.clone();
    let room = Arc::new(Semaphore::new(terms.connections as usize));
    let mut is_full = false;
    let accepting = async {
        loop {
            let place = place(&room, terms.connections, &mut is_full).await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let counted = telemetry.connected();
                    let (service, terms) = (Arc::clone(&service), Arc::clone(&terms));
                    drop(tasks.spawn_service(async move {
                        attend(stream, service, &terms).await;
                        drop((place, counted));
                    }));
                }
                // The client was gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    Fact::HttpAcceptFailed { error: &error }.emit();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = tasks.drain().cancelled() => {}
        () = accepting => {}
    }
}

/// Waits for the right to have one more connection.
async fn place(room: &Arc<Semaphore>, most: u32, is_full: &mut bool) -> OwnedSemaphorePermit {
    let at_once = Arc::clone(room).try_acquire_owned();
    if let Ok(place) = at_once {
        // Not before there is some room: otherwise each connection that ends would be logged.
        *is_full &= room.available_permits() < most as usize / 10;
        return place;
    }
    if !*is_full {
        Fact::HttpFull { connections: most }.emit();
        *is_full = true;
    }
    let place = Arc::clone(room).acquire_owned().await;
    place.expect("the semaphore is never closed")
}

/// The requests of one connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request in the host.
struct Begun(Arc<Activity>);

impl Begun {
    fn on(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end: the client's, an idle time, or the host's.
async fn attend(stream: TcpStream, service: Arc<Service>, terms: &Terms) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "answers of a connection may be delayed");
    }
    let Some(tls) = terms.tls.load_full() else {
        serve(stream, service, terms).await;
        return;
    };
    let tasks = service.tasks.clone();
    let shaken = tokio::select! {
        shaken = timeout(terms.timeout, TlsAcceptor::from(tls).accept(stream)) => shaken,
        () = tasks.drain().cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve(stream, service, terms).await,
        Ok(Err(error)) => tracing::debug!(%error, "a client and the host found no common TLS"),
        Err(_) => tracing::debug!("a client did not end its TLS handshake in time"),
    }
}

async fn serve<S>(stream: S, service: Arc<Service>, terms: &Terms)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tasks = service.tasks.clone();
    let activity = Arc::<Activity>::default();
    let handle = service_fn(|request| {
        let (service, begun) = (Arc::clone(&service), Begun::on(&activity));
        async move {
            let answer = service.handle(request).await;
            drop(begun);
            answer
        }
    });
    let builder = builder(&tasks, terms);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), handle));
    let mut farewell = pin!(async {
        tasks.close().cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    });
    let mut idle = pin!(idle(&activity, terms.timeout));
    let mut is_leaving = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection of a client ended");
                }
                return;
            }
            () = tasks.drain().cancelled(), if !is_leaving => {
                is_leaving = true;
                serving.as_mut().graceful_shutdown();
            }
            () = idle.as_mut() => return,
            () = farewell.as_mut() => return,
        }
    }
}

/// Resolves when no request was in the host or began for this long: while the first octets are awaited, between
/// requests, and where a client does not read its answer.
async fn idle(activity: &Activity, timeout: Duration) {
    let mut before = activity.begun.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(timeout).await;
        let ended = activity.ended.load(Ordering::Relaxed);
        let begun = activity.begun.load(Ordering::Relaxed);
        if begun == before && ended == begun {
            return;
        }
        before = begun;
    }
}

fn builder(tasks: &Tasks, terms: &Terms) -> auto::Builder<Spawns> {
    // A machine whose clock says a time before 1970 has no date for HTTP.
    let has_date = SystemTime::now() >= UNIX_EPOCH;
    let mut builder = auto::Builder::new(Spawns(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.timeout)
        .max_buf_size(terms.header)
        .half_close(true)
        .auto_date_header(has_date);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(terms.header).unwrap_or(u32::MAX))
        .keep_alive_interval(terms.timeout)
        .auto_date_header(has_date);
    builder
}

/// Spawns the requests of HTTP/2 where all tasks of the host are.
#[derive(Clone)]
struct Spawns(Tasks);

impl<F> Executor<F> for Spawns
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        drop(self.0.spawn_service(task));
    }
}
