//! Leases on a store that several hosts share: entries with an owner and an expiry.
//!
//! A lease expires [`LEASE`] after it was made or renewed, so that the keys of a host that was killed are free
//! again soon. Within one host `claims` keeps two deliveries from one key, so a lease of this run that no
//! delivery holds has no owner, and is taken over at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_lifecycle::Tasks;
use hive_store::{Bucket, Operation, StoreFault, Value, Write};
use hive_telemetry::Fact;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{COMMITTED, Known, TICK};

/// How long a claim stands without being renewed: some [`TICK`]s.
const LEASE: Duration = Duration::from_secs(10);

/// Claims that are given back in one write.
const TOGETHER: usize = 256;

/// The owner of a lease: the run of a host, and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token(Vec<u8>);

/// The current state of a key.
pub(super) enum Standing {
    /// Our claim.
    Ours(Token),
    /// Another host has claimed the key.
    Theirs,
    /// The key was committed.
    Committed,
}

/// The claims of this host on one ledger.
pub(super) struct Shared {
    /// A random id of this run of the host.
    run: [u8; 16],
    next: AtomicU64,
    held: Mutex<HashMap<Known, Token>>,
    given_up: mpsc::UnboundedSender<(Known, Token)>,
}

impl Shared {
    /// Renews claims, and gives them back, until `tasks` close.
    pub(super) fn start(bucket: &Bucket, tasks: &Tasks) -> Arc<Self> {
        let (given_up, to_give_back) = mpsc::unbounded_channel();
        let shared = Arc::new(Self {
            run: rand::random(),
            next: AtomicU64::new(0),
            held: Mutex::default(),
            given_up,
        });
        let (keeper, bucket) = (Arc::clone(&shared), bucket.clone());
        let close = tasks.close().clone();
        tasks.spawn_service(async move { keeper.keep(&bucket, to_give_back, &close).await });
        shared
    }

    /// Claims a key that no delivery of this host holds.
    pub(super) async fn claim(
        &self,
        bucket: &Bucket,
        known: Known,
    ) -> Result<Standing, StoreFault> {
        let token = self.token();
        let value = || Value::passing(token.0.clone(), LEASE);
        let is_ours = match bucket.claim(&known.0, value()).await? {
            Ok(()) => true,
            Err(there) if there == COMMITTED => return Ok(Standing::Committed),
            // Asked twice, since the first answer was lost.
            Err(there) if there == token.0 => true,
            Err(there) if there.starts_with(&self.run) => {
                bucket.swap(&known.0, Some(there), value()).await?
            }
            Err(_) => false,
        };
        if !is_ours {
            return Ok(Standing::Theirs);
        }
        self.held().insert(known, token.clone());
        Ok(Standing::Ours(token))
    }

    fn token(&self) -> Token {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Token([&self.run[..], &number.to_be_bytes()].concat())
    }

    /// Ends the renewal of a key that was committed.
    pub(super) fn forget(&self, known: Known) {
        self.held().remove(&known);
    }

    /// Releases a key that was not committed, so that another host may have it.
    pub(super) fn give_up(&self, known: Known, token: Token) {
        self.forget(known);
        if self.given_up.send((known, token)).is_err() {
            tracing::debug!("a claim was dropped while the host stopped; it ends by itself");
        }
    }

    async fn keep(
        &self,
        bucket: &Bucket,
        mut given_up: mpsc::UnboundedReceiver<(Known, Token)>,
        close: &CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered = Vec::new();
        loop {
            let writes = tokio::select! {
                biased;
                _some = given_up.recv_many(&mut gathered, TOGETHER) => {
                    gathered.drain(..).map(deletion).collect()
                }
                () = close.cancelled() => return,
                _now = tick.tick() => self.renewals(),
            };
            tell(bucket, writes).await;
        }
    }

    fn renewals(&self) -> Vec<Write> {
        let held = self.held();
        let renewal = |(known, token): (&Known, &Token)| Write {
            key: known.0.to_vec(),
            operation: Operation::Swap {
                expected: Some(token.0.clone()),
                value: Value::passing(token.0.clone(), LEASE),
            },
        };
        held.iter().map(renewal).collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Known, Token>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refused write means that the lease has ended, or that the key was committed meanwhile.
async fn tell(bucket: &Bucket, writes: Vec<Write>) {
    if writes.is_empty() {
        return;
    }
    if let Err(fault) = bucket.write(writes).await {
        Fact::LeasesFailed { fault: &fault }.emit();
    }
}

fn deletion((known, Token(token)): (Known, Token)) -> Write {
    Write {
        key: known.0.to_vec(),
        operation: Operation::DeleteIf(token),
    }
}
