//! The socket under a connection: dialled, tuned, encrypted and cut by us, spoken over by lapin.
//!
//! lapin can connect by itself, but then nothing bounds the TCP connect, nothing notices a peer
//! that is gone while there is nothing to read, and a handshake that never ends leaks a thread.
//! Here each of these has an end, and [`Cut`] ends them all.

mod wakers;

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hive_config::plan::{ConnectionPlan, Endpoint};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use self::wakers::Wakers;
use super::network::{Line, Network};
use super::posts::Part;
use super::screen::outbound::{Outbound, Step};
use super::screen::{BrokerSlot, Screen};
use super::transport::Transport;
use super::waiting::Waiting;
use crate::wire::endings::Endings;

/// Silence after which the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long sent bytes may stay unconfirmed when the plan has no heartbeat to take it from.
const UNCONFIRMED_FOR: Duration = Duration::from_secs(30);

/// So many octets of publications are written at once, about, before lapin has its turn.
const AT_ONCE: usize = 1 << 20;

/// So many are gathered for one write.
const PIECE: usize = 64 << 10;

/// A connected socket, whose frames are screened on their way between the broker and lapin.
#[derive(Debug)]
pub(crate) struct Socket {
    transport: Transport,
    screen: Screen,
    endings: Endings,
    outbound: Outbound,
    instead: Instead,
    waiting: Waiting,
    wakers: Wakers,
}

/// Bytes that are written in the place of some of lapin's, or between them.
#[derive(Debug, Default)]
struct Instead {
    bytes: Vec<u8>,
    written: usize,
    /// How many of lapin's bytes they replace. lapin is told that those are written once these are.
    stands_for: usize,
}

impl Instead {
    /// Writes the rest of them.
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            match ready!(transport.poll_write(cx, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.bytes.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

/// Cuts a socket that other code reads and writes, now or at the latest when it is dropped.
///
/// lapin's io loop is a thread that ends only when its socket does, so the code that opens a connection keeps
/// this beside it: no path out of a session leaves the thread behind.
pub(crate) enum Cut {
    Socket(std::net::TcpStream),
    /// Of a network that stands in for the machine's.
    Given(Box<dyn Fn() + Send + Sync>),
}

impl Cut {
    /// Ends the connection where it stands. A socket that is closed already stays so.
    pub(crate) fn now(&self) {
        match self {
            Self::Socket(socket) => {
                if let Err(error) = socket.shutdown(Shutdown::Both) {
                    tracing::trace!(%error, "the socket was closed already");
                }
            }
            Self::Given(cut) => cut(),
        }
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cut")
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.now();
    }
}

/// What sockets are made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialling<'a> {
    /// Serves the socket: lapin's own runtime.
    pub(crate) reactor: &'a Handle,
    /// Stands in for the machine's network.
    pub(crate) network: Option<&'a dyn Network>,
}

/// Connects to one endpoint of `plan`.
pub(crate) async fn dial(
    plan: &ConnectionPlan,
    endpoint: &Endpoint,
    dialling: Dialling<'_>,
    broker: BrokerSlot,
    endings: Endings,
) -> io::Result<(Socket, Cut)> {
    let (transport, cut) = match dialling.network {
        None => over_tcp(plan, endpoint, dialling.reactor).await?,
        Some(network) => {
            let connecting = network.connect(&endpoint.host, endpoint.port);
            let Line { stream, cut } =
                within(plan.connect_timeout, "the connection", connecting).await?;
            (Transport::Given(stream), Cut::Given(cut))
        }
    };
    let socket = Socket {
        transport,
        screen: Screen::new(broker, plan.frame_max).with_rooms(endings.clone()),
        waiting: Waiting::new(dialling.reactor.clone(), endings.clone()),
        endings,
        outbound: Outbound::default(),
        instead: Instead::default(),
        wakers: Wakers::default(),
    };
    Ok((socket, cut))
}

async fn over_tcp(
    plan: &ConnectionPlan,
    endpoint: &Endpoint,
    reactor: &Handle,
) -> io::Result<(Transport, Cut)> {
    let address = (endpoint.host.as_str(), endpoint.port);
    let stream = within(
        plan.connect_timeout,
        "the TCP connection",
        TcpStream::connect(address),
    )
    .await?;
    tune(&stream, plan.heartbeat)?;
    let stream = stream.into_std()?;
    let cut = Cut::Socket(stream.try_clone()?);
    let stream = {
        let _entered = reactor.enter();
        TcpStream::from_std(stream)?
    };
    let transport = match &plan.tls {
        None => Transport::Plain {
            stream,
            answered: false,
        },
        Some(tls) => {
            let connector = TlsConnector::from(tls.client.clone());
            let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
            let handshake = connector.connect(name, stream);
            let stream = within(plan.connect_timeout, "the TLS handshake", handshake).await?;
            Transport::Tls(Box::new(stream))
        }
    };
    Ok((transport, cut))
}

async fn within<T>(
    limit: Duration,
    what: &str,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what} took longer than connect_timeout = {limit:?}"),
        )),
    }
}

fn tune(stream: &TcpStream, heartbeat: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 3);
    socket.set_tcp_keepalive(&keepalive)?;
    let unconfirmed_for = match heartbeat {
        Duration::ZERO => UNCONFIRMED_FOR,
        heartbeat => heartbeat * 2,
    };
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unconfirmed_for))?;
    Ok(())
}

/// Those who wait for what was read know of it.
fn told(screen: &mut Screen, endings: &Endings) {
    endings.saw_all(screen.take_endings());
    if let Some(is_blocked) = screen.take_blocked() {
        endings.posts().are_blocked(is_blocked);
    }
    screen.wake();
}

impl Socket {
    /// Writes publications, between two frames of lapin's: about [`AT_ONCE`] octets of them, or all the rest of the one that
    /// is begun.
    fn poll_posts(&mut self, cx: &mut Context<'_>, part: Part) -> Poll<io::Result<()>> {
        let Self {
            transport,
            endings,
            outbound,
            instead,
            wakers,
            ..
        } = self;
        let mut room = match part {
            Part::All => AT_ONCE,
            Part::Begun => usize::MAX,
        };
        loop {
            ready!(instead.poll_written(cx, transport))?;
            let is_free = outbound.is_between_frames() && room > 0;
            let about = room.min(PIECE);
            if !is_free || !endings.posts().fill(&mut instead.bytes, about, part) {
                return Poll::Ready(Ok(()));
            }
            room = room.saturating_sub(instead.bytes.len());
            if room == 0 {
                // lapin's own frames come between.
                wakers.to_flush(cx.waker()).wake_by_ref();
            }
        }
    }
}

impl futures_io::AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self {
            transport,
            screen,
            endings,
            waiting,
            wakers,
            ..
        } = &mut *self;
        wakers.reads(cx.waker());
        loop {
            let handed_out = screen.take(out);
            if handed_out > 0 || out.is_empty() {
                return Poll::Ready(Ok(handed_out));
            }
            if screen.goes_on() {
                told(screen, endings);
                continue;
            }
            if screen.has_taken() {
                // lapin writes what it has to, and comes back.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if screen.held().is_some() {
                ready!(waiting.poll(cx, screen));
                told(screen, endings);
                continue;
            }
            let Poll::Ready(read) = transport.poll_read(cx, screen.room()) else {
                waiting.caught_up();
                return Poll::Pending;
            };
            let read = read?;
            if read == 0 {
                return Poll::Ready(Ok(screen.take_rest(out)));
            }
            screen.filled(read);
            told(screen, endings);
        }
    }
}

impl futures_io::AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return self.transport.poll_write(cx, bytes);
        }
        loop {
            ready!(self.poll_posts(cx, Part::Begun))?;
            let Self {
                transport,
                endings,
                outbound,
                instead,
                ..
            } = &mut *self;
            // lapin offers the same bytes again until they are reported as written.
            if instead.stands_for > 0 {
                return Poll::Ready(Ok(std::mem::take(&mut instead.stands_for)));
            }
            match outbound.next(bytes, endings.posts().has_some()) {
                Step::Pass(count) => {
                    let written = ready!(transport.poll_write(cx, &bytes[..count]))?;
                    outbound.passed(written);
                    return Poll::Ready(Ok(written));
                }
                Step::Kept(count) => return Poll::Ready(Ok(count)),
                Step::Instead(count, anew) => {
                    instead.bytes = anew;
                    instead.stands_for = count;
                }
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // lapin has two where its buffer begins again; a frame that goes over the seam is kept meanwhile.
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| slice))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Before the look, so that none is missed that comes meanwhile.
        let posted = self.wakers.to_flush(cx.waker());
        self.endings.posts().tell(posted);
        let both = self.wakers.both(cx.waker());
        let mut cx = Context::from_waker(&both);
        ready!(self.poll_posts(&mut cx, Part::All))?;
        self.transport.poll_flush(&mut cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            transport, instead, ..
        } = &mut *self;
        ready!(instead.poll_written(cx, transport))?;
        transport.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod turns;
