//! One connection: reads frames, writes what the broker has for the client, and keeps the heartbeats.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Shared;
use crate::state::{Flow, Phase, State};
use crate::wire::Decoder;

/// How many octets are read at once.
const PIECE: usize = 64 * 1024;

/// How long a client gets to log in.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a client gets to agree that its connection is closed.
const FAREWELL: Duration = Duration::from_secs(3);

/// State shared by the two halves of a connection.
struct Client<'a> {
    shared: &'a Shared,
    id: u64,
    wake: Arc<Notify>,
    unblocked: Arc<Notify>,
    /// There is nothing more to read; the writer ends after the rest of its data.
    is_ending: AtomicBool,
}

/// Serves a client on a socket of any kind until one of them has had enough.
pub(crate) async fn serve<S>(shared: &Shared, socket: S, peer: String, from_loopback: bool)
where
    S: AsyncRead + AsyncWrite,
{
    let client = shared.with(|state| {
        let id = state.connect(peer, from_loopback);
        let connection = &state.connections[&id];
        Client {
            shared,
            id,
            wake: connection.wake.clone(),
            unblocked: connection.unblocked.clone(),
            is_ending: AtomicBool::new(false),
        }
    });
    // Also where this task is aborted.
    let leave = Leave {
        shared,
        id: client.id,
    };
    let (mut reader, mut writer) = tokio::io::split(socket);
    {
        let write = client.write(&mut writer);
        tokio::pin!(write);
        tokio::select! {
            _ended = &mut write => return,
            () = client.read(&mut reader) => {}
        }
        client.is_ending.store(true, Ordering::Relaxed);
        client.wake.notify_one();
        let Ok(Ok(())) = timeout(FAREWELL, write).await else {
            return;
        };
    }
    drop(leave);
    farewell(&mut reader, &mut writer).await;
}

/// Closes the socket so that the client reads the broker's last words: octets that are not read would have
/// the system throw them away.
async fn farewell<S>(reader: &mut ReadHalf<S>, writer: &mut WriteHalf<S>)
where
    S: AsyncRead + AsyncWrite,
{
    if writer.shutdown().await.is_err() {
        return;
    }
    let mut rest = vec![0; PIECE];
    let drained = async {
        while let Ok(count) = reader.read(&mut rest).await
            && count > 0
        {}
    };
    let _either = timeout(FAREWELL, drained).await;
}

struct Leave<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| state.disconnect(self.id));
    }
}

/// The writer's next step.
enum Next {
    Write(Vec<u8>),
    /// There is nothing to write; a heartbeat is due after this long.
    Wait(Option<Duration>),
    Cut,
}

impl Client<'_> {
    /// Reads until there is nothing more to read.
    async fn read<S: AsyncRead>(&self, reader: &mut ReadHalf<S>) {
        let mut decoder = Decoder::default();
        loop {
            match self.shared.with(|state| state.input(self.id, &mut decoder)) {
                Flow::Ended => return,
                // The bytes that were already read are processed afterwards.
                Flow::Blocked => {
                    while self.shared.with(|state| state.holds(self.id)) {
                        self.unblocked.notified().await;
                    }
                    continue;
                }
                Flow::More => {}
            }
            let patience = self.shared.with(|state| patience(state, self.id));
            decoder.buffer().reserve(PIECE);
            let read = reader.read_buf(decoder.buffer());
            let read = match patience {
                Some(patience) => timeout(patience, read).await,
                None => Ok(read.await),
            };
            if !matches!(read, Ok(Ok(1..))) {
                return;
            }
        }
    }

    /// Writes until the client is cut off or the reader has ended and nothing is left.
    async fn write<S: AsyncWrite>(&self, writer: &mut WriteHalf<S>) -> io::Result<()> {
        loop {
            match self.shared.with(|state| next(state, self.id)) {
                Next::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
                Next::Write(octets) => writer.write_all(&octets).await?,
                Next::Wait(_) if self.is_ending.load(Ordering::Relaxed) => return Ok(()),
                Next::Wait(None) => self.wake.notified().await,
                Next::Wait(Some(pause)) => {
                    if timeout(pause, self.wake.notified()).await.is_err() {
                        self.shared.with(|state| {
                            if let Some(connection) = state.connections.get_mut(&self.id) {
                                connection.send_heartbeat();
                            }
                        });
                    }
                }
            }
        }
    }
}

/// How long the client may be silent.
fn patience(state: &State, id: u64) -> Option<Duration> {
    let connection = state.connections.get(&id)?;
    match connection.phase {
        Phase::Running => {
            let heartbeat = u64::from(connection.heartbeat);
            (heartbeat > 0).then(|| Duration::from_secs(2 * heartbeat))
        }
        Phase::Closing | Phase::Closed => Some(FAREWELL),
        _ => Some(HANDSHAKE),
    }
}

fn next(state: &mut State, id: u64) -> Next {
    let octets = state.take_out(id);
    let Some(connection) = state.connections.get(&id) else {
        return Next::Cut;
    };
    if connection.cut {
        return Next::Cut;
    }
    if !octets.is_empty() {
        return Next::Write(octets);
    }
    let heartbeat = match connection.phase {
        Phase::Running => u64::from(connection.heartbeat),
        _ => 0,
    };
    Next::Wait((heartbeat > 0).then(|| Duration::from_millis(heartbeat * 500)))
}
