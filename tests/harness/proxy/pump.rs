//! Carries the bytes of one connection one way, as the rules of the moment want it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::rules::{Allowance, Direction, Rules};

/// The size of one read.
const CHUNK: usize = 8 * 1024;
/// Chunks under way: what a slow link holds before it takes no more.
const UNDER_WAY: usize = 8;
/// A limited link is written to so often a second.
const PIECES_PER_SECOND: u64 = 64;

/// Why bytes go no further.
pub(super) enum Stop {
    /// A peer is gone, and word of it goes this way.
    Gone { word: Direction },
    /// All bytes of the allowance were sent.
    AllowanceSpent,
}

/// Bytes, and when they are at the other end.
type Chunk = (Instant, Vec<u8>);

/// One way of one connection.
pub(super) struct Pump<'a> {
    rules: &'a watch::Receiver<Rules>,
    connection: u64,
    way: Direction,
    /// The allowance that is being spent.
    allowance: Option<Allowance>,
}

impl<'a> Pump<'a> {
    pub(super) fn new(rules: &'a watch::Receiver<Rules>, connection: u64, way: Direction) -> Self {
        Self {
            rules,
            connection,
            way,
            allowance: None,
        }
    }

    /// Carries until the source has no more.
    pub(super) async fn run(
        mut self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
    ) -> Result<(), Stop> {
        let (depart, arrive) = mpsc::channel(UNDER_WAY);
        let reading = read(self.rules, self.way, from, depart);
        let writing = self.write(arrive, to);
        tokio::try_join!(reading, writing).map(|_| ())
    }

    async fn write(
        &mut self,
        mut arrive: mpsc::Receiver<Chunk>,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Stop> {
        while let Some((due, chunk)) = arrive.recv().await {
            sleep_until(due).await;
            let mut rest = chunk.as_slice();
            while !rest.is_empty() && !self.swallows() {
                let (piece, behind) = rest.split_at(self.most(rest.len()));
                let begun = Instant::now();
                to.write_all(piece).await.map_err(|_| self.unheard())?;
                sleep_until(begun + self.takes(piece.len())).await;
                self.spend(piece.len())?;
                rest = behind;
            }
        }
        if !self.swallows() {
            to.shutdown().await.map_err(|_| self.unheard())?;
        }
        Ok(())
    }

    fn swallows(&self) -> bool {
        self.rules.borrow().swallows(self.way, self.connection)
    }

    /// The receiver is gone; the other direction reports that.
    fn unheard(&self) -> Stop {
        Stop::Gone {
            word: self.way.back(),
        }
    }

    /// How many of these bytes may pass at once.
    fn most(&mut self, bytes: usize) -> usize {
        let rules = *self.rules.borrow();
        let piece = rules
            .bandwidth
            .map(|limit| limit.div_ceil(PIECES_PER_SECOND));
        let fresh = rules.allowance.filter(|_| self.way == Direction::ToClient);
        if fresh.map(|fresh| fresh.number) != self.allowance.map(|spent| spent.number) {
            self.allowance = fresh;
        }
        let left = self.allowance.map(|allowance| allowance.bytes);
        let most = piece.into_iter().chain(left).min();
        most.map_or(bytes, |most| {
            usize::try_from(most).map_or(bytes, |most| most.min(bytes))
        })
    }

    /// How long this many bytes keep the link busy.
    fn takes(&self, bytes: usize) -> Duration {
        let bandwidth = self.rules.borrow().bandwidth;
        let nanoseconds = |bandwidth| bytes as u64 * 1_000_000_000 / bandwidth;
        bandwidth.map_or(Duration::ZERO, |limit| {
            Duration::from_nanos(nanoseconds(limit))
        })
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        let Some(allowance) = &mut self.allowance else {
            return Ok(());
        };
        allowance.bytes = allowance.bytes.saturating_sub(bytes as u64);
        if allowance.bytes == 0 {
            return Err(Stop::AllowanceSpent);
        }
        Ok(())
    }
}

async fn read(
    rules: &watch::Receiver<Rules>,
    way: Direction,
    mut from: impl AsyncRead + Unpin,
    depart: mpsc::Sender<Chunk>,
) -> Result<(), Stop> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = from.read(&mut chunk).await;
        let length = read.map_err(|_| Stop::Gone { word: way })?;
        chunk.truncate(length);
        let due = Instant::now() + rules.borrow().latency;
        if length == 0 || depart.send((due, chunk)).await.is_err() {
            return Ok(());
        }
    }
}
