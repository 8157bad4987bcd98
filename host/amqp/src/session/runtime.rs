//! The runtime that lapin runs on, apart from the one that runs components.
//!
//! A component that keeps every thread busy for longer than two heartbeats must not cost the
//! connection. So lapin's tasks, timers and sockets live here, and nothing else does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use tokio::runtime::Handle;

use crate::wire::in_flight::InFlight;
use crate::wire::network::Network;
use crate::wire::socket::{Dialling, Socket};

/// Lapin does little here: it reads and writes on its own threads, one for each connection.
const THREADS: usize = 1;

/// Owns the threads; dropped last.
#[derive(Debug)]
pub(crate) struct LapinRuntime {
    runtime: Option<tokio::runtime::Runtime>,
    handle: Handle,
    network: Option<Arc<dyn Network>>,
    in_flight: Arc<InFlight>,
}

impl LapinRuntime {
    /// `network` stands in for the machine's.
    pub(crate) fn start(
        network: Option<Arc<dyn Network>>,
        in_flight: InFlight,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("hive-amqp")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self {
            runtime: Some(runtime),
            handle,
            network,
            in_flight: Arc::new(in_flight),
        })
    }

    /// What sockets are made with.
    pub(crate) fn dialling(&self) -> Dialling<'_> {
        Dialling {
            reactor: &self.handle,
            network: self.network.as_deref(),
        }
    }

    /// The memory for the bodies of deliveries.
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    pub(crate) fn kit(&self) -> async_rs::Runtime<Kit> {
        async_rs::Runtime::new(Kit(Tokio::default().with_handle(self.handle.clone())))
    }
}

impl Drop for LapinRuntime {
    /// Without waiting: this may run on a thread of the other runtime, which must not block.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Tokio as lapin wants it, with sockets of our own kind.
#[derive(Debug, Clone)]
pub(crate) struct Kit(Tokio);

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        computation: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(computation)
    }
}

impl Reactor for Kit {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H>(
        &self,
        socket: H,
    ) -> io::Result<impl futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin + 'static>
    where
        H: io::Read + io::Write + std::os::fd::AsFd + std::os::fd::AsRawFd + Send + 'static,
    {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(
        &self,
        duration: Duration,
    ) -> impl futures_util::Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a connection is opened over a socket that is connected already",
        )))
    }
}
