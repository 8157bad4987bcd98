//! Lines between the host and the broker, in memory: pieces of any size, and whatever can go wrong with a line.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that are under way in one direction at most.
const ROOM: usize = 64 << 10;

/// The direction of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToBroker,
    ToHost,
}

/// A line, as who breaks it holds it.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

/// One end of a line.
#[derive(Debug)]
pub(crate) struct End {
    line: Line,
    /// The direction of what this end writes.
    writes: Way,
}

#[derive(Debug)]
struct State {
    to_broker: Pipe,
    to_host: Pipe,
    cut: bool,
    sizes: StdRng,
}

#[derive(Debug, Default)]
struct Pipe {
    octets: VecDeque<u8>,
    /// Nothing more comes.
    ended: bool,
    /// Nothing comes through for now.
    stalled: bool,
    /// Octets that pass before the line is cut.
    left: Option<usize>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::ToBroker => &mut self.to_broker,
            Way::ToHost => &mut self.to_host,
        }
    }

    /// Everybody who waits, to be woken when nothing is locked any more.
    fn take_wakers(&mut self) -> Vec<Waker> {
        let pipes = [&mut self.to_broker, &mut self.to_host];
        let wakers = pipes
            .into_iter()
            .flat_map(|pipe| [pipe.reader.take(), pipe.writer.take()]);
        wakers.flatten().collect()
    }

    /// How much of `most` is moved at once.
    fn piece(&mut self, most: usize) -> usize {
        match self.sizes.random_range(0..4) {
            0 => self.sizes.random_range(1..=most),
            _ => most,
        }
    }
}

impl Line {
    /// A line, with the host's end and the broker's.
    pub(crate) fn new(sizes: StdRng) -> (Self, End, End) {
        let state = State {
            to_broker: Pipe::default(),
            to_host: Pipe::default(),
            cut: false,
            sizes,
        };
        let line = Self(Arc::new(Mutex::new(state)));
        let end = |writes| End {
            line: line.clone(),
            writes,
        };
        let ends = (end(Way::ToBroker), end(Way::ToHost));
        (line, ends.0, ends.1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.state();
            let result = change(&mut state);
            (result, state.take_wakers())
        };
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Whether anything can come through.
    pub(crate) fn is_up(&self) -> bool {
        let state = self.state();
        !state.cut && !state.to_broker.ended && !state.to_host.ended
    }

    /// Both ends see an error, and what is under way is gone.
    pub(crate) fn cut(&self) {
        self.change(|state| state.cut = true);
    }

    /// The same, after so many octets more in one direction.
    pub(crate) fn cut_after(&self, way: Way, octets: usize) {
        self.change(|state| state.pipe(way).left = Some(octets));
    }

    /// Nothing comes through in one direction, or all of it again.
    pub(crate) fn stall(&self, way: Way, stalled: bool) {
        self.change(|state| state.pipe(way).stalled = stalled);
    }

    /// The host is gone: the broker may still read what was written.
    pub(crate) fn end(&self) {
        self.change(|state| {
            state.to_broker.ended = true;
            state.to_host.ended = true;
        });
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let from = match self.writes {
            Way::ToBroker => Way::ToHost,
            Way::ToHost => Way::ToBroker,
        };
        let (result, writer) = {
            let mut state = self.line.state();
            if state.cut {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let pipe = state.pipe(from);
            let there = pipe.octets.len().min(out.remaining());
            if pipe.stalled || (there == 0 && !pipe.ended) {
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if there > 0 {
                let count = state.piece(there);
                let pipe = state.pipe(from);
                let octets: Vec<u8> = pipe.octets.drain(..count).collect();
                out.put_slice(&octets);
            }
            (Poll::Ready(Ok(())), state.pipe(from).writer.take())
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        result
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let way = self.writes;
        let (count, wakers) = {
            let mut state = self.line.state();
            if state.cut || state.pipe(way).ended {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let pipe = state.pipe(way);
            let room = ROOM.saturating_sub(pipe.octets.len());
            if octets.is_empty() {
                return Poll::Ready(Ok(0));
            }
            if room == 0 {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut count = state.piece(room.min(octets.len()));
            let pipe = state.pipe(way);
            if let Some(left) = &mut pipe.left {
                count = count.min(*left);
                *left -= count;
            }
            pipe.octets.extend(&octets[..count]);
            if pipe.left == Some(0) {
                state.cut = true;
                (count.max(1), state.take_wakers())
            } else {
                let reader = pipe.reader.take();
                (count, reader.into_iter().collect())
            }
        };
        wakers.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let way = self.writes;
        self.line.change(|state| state.pipe(way).ended = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let end = |state: &mut State| {
            state.to_broker.ended = true;
            state.to_host.ended = true;
        };
        self.line.change(end);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn line() -> (Line, End, End) {
        Line::new(StdRng::seed_from_u64(1))
    }

    #[tokio::test]
    async fn what_is_written_is_read_whole_and_in_order() {
        let (_line, mut host, mut broker) = line();
        let sent: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let writing = async {
            host.write_all(&sent).await.unwrap();
            host.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, count) = tokio::join!(writing, broker.read_to_end(&mut read));
        assert_eq!(count.unwrap(), sent.len());
        assert!(read == sent);
    }

    #[tokio::test]
    async fn a_line_is_cut_at_an_octet() {
        let (line, mut host, mut broker) = line();
        line.cut_after(Way::ToBroker, 10);
        assert!(host.write_all(&[7; 100]).await.is_err());
        let error = broker.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(!line.is_up());
    }

    #[tokio::test]
    async fn nothing_comes_through_a_line_that_is_stalled() {
        let (line, mut host, mut broker) = line();
        line.stall(Way::ToBroker, true);
        host.write_all(b"late").await.unwrap();
        let mut read = [0; 4];
        let reading = tokio::spawn(async move { broker.read_exact(&mut read).await.map(|_| read) });
        tokio::task::yield_now().await;
        assert!(!reading.is_finished());
        line.stall(Way::ToBroker, false);
        assert_eq!(&reading.await.unwrap().unwrap(), b"late");
    }
}
