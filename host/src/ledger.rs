//! What was dealt with already: so that a message that comes again is not handled again.
//!
//! A delivery whose key is new is *claimed*, then handled; once its outcome is confirmed by the broker
//! its key is *committed* to the store, and only then is it acknowledged. Whoever finds a committed key
//! acknowledges at once; whoever finds a claimed one waits for its end.
//!
//! **Nothing is lost by it.** A key is committed after the outcome of its delivery is confirmed and at no
//! other time, so what a committed key suppresses has happened already. Ended at any instant:
//!
//! | ended | what is there | what follows |
//! |---|---|---|
//! | before the commit | no key | the broker hands the delivery out again; it is handled (again) |
//! | between commit and ack | the key | it is handed out again, and acknowledged without being handled |
//!
//! So the one window in which something is handled twice is between the first effect of the handling and
//! the commit.
//!
//! **A retry copy is no duplicate of its original.** A delivery that was not handled commits nothing,
//! whether it is retried, rejected or goes back: its claim is dropped. Where the host ends between the
//! copy's confirmation and the original's ack, both are there and neither is committed: whichever is
//! handled first to its end is committed, and the other one is then a repeat of it. The attempt has no
//! part in the key. A dead letter that is published again is handled again, for the same reason.
//!
//! **Claims** of a store that only this host has are kept in its memory: those of a host that was killed
//! are gone with it. On a store that hosts share, a claim is an entry under the same key with an owner
//! and an end (`shared`), and one command claims it or tells what stands there.

mod claims;
mod publications;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hive_config::plan::{ConsumerPlan, DedupPlan, HttpDedupPlan};
use hive_core::message::{Envelope, Publication};
use hive_core::message_key::Key;
use hive_lifecycle::Tasks;
use hive_store::{Bucket, Namespace, Operation, Store, StoreFault, Value, Write};
use hive_telemetry::{LedgerTelemetry, Remembered};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::claims::{Claims, Place};
use self::shared::{Shared, Token};

pub use self::publications::Fresh;

/// The value of a committed key. No token of a lease is so short.
const COMMITTED: &[u8] = b"done";

/// How often leases on a shared store are renewed, and the size is reported.
const TICK: Duration = Duration::from_secs(3);

/// The pauses between looks at a claim of another host.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// See [`FIRST_LOOK`].
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The keys that one consumer remembers, of one kind.
pub struct Ledger {
    key: Key,
    period: Option<Duration>,
    bucket: Bucket,
    claims: Arc<Claims>,
    /// The part that hosts share, if the store is shared.
    shared: Option<Arc<Shared>>,
}

/// The keys of a consumer's deliveries, and of its component's publications.
#[derive(Default)]
pub struct Ledgers {
    /// `dedup`.
    pub deliveries: Option<Arc<Ledger>>,
    /// `publish_dedup`.
    pub publications: Option<Arc<Ledger>>,
}

/// A key as it is stored: a hash, so that all take the same room and reveal nothing of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Known([u8; 32]);

/// The state of a key.
pub enum Claim {
    /// Nobody has handled the key; the lease is ours now.
    Fresh(Lease),
    /// The message was handled already.
    Done,
    /// Another delivery holds the lease.
    Busy(Wait),
}

/// How to wait for the end of another delivery's lease.
pub enum Wait {
    /// Another delivery of this host has the lease.
    Here(CancellationToken),
    /// Another host has the lease, or had it.
    Elsewhere,
}

/// A claim that is ours. Dropped without a commit, it is given back.
pub struct Lease {
    ledger: Arc<Ledger>,
    known: Known,
    token: Option<Token>,
    is_committed: AtomicBool,
    _place: Place,
}

impl Ledgers {
    /// The ledger of this consumer, in `store`. `vhost` is that of its queue.
    pub fn of(
        plan: &ConsumerPlan,
        vhost: &str,
        store: &Arc<dyn Store>,
        tasks: &Tasks,
        telemetry: impl Fn(Remembered) -> LedgerTelemetry,
    ) -> Self {
        let open = |dedup: &Option<DedupPlan>, namespace: Namespace, of| {
            let dedup = dedup.as_ref()?;
            let bucket = Bucket::new(store, namespace.bounded(dedup.max_keys));
            Some(Ledger::open(dedup, bucket, tasks, telemetry(of)))
        };
        let (queue, name) = (&*plan.queue, &*plan.name);
        let handled = Namespace::handled(vhost, queue, name);
        let published = Namespace::published(vhost, queue, name);
        Self {
            deliveries: open(&plan.dedup, handled, Remembered::Deliveries),
            publications: open(&plan.publish_dedup, published, Remembered::Publications),
        }
    }
}

impl Ledger {
    fn open(
        plan: &DedupPlan,
        bucket: Bucket,
        tasks: &Tasks,
        telemetry: LedgerTelemetry,
    ) -> Arc<Self> {
        let shared = bucket.is_shared().then(|| Shared::start(&bucket, tasks));
        let ledger = Arc::new(Self {
            key: plan.key.clone(),
            period: plan.period,
            bucket,
            claims: Arc::default(),
            shared,
        });
        let (bucket, close) = (ledger.bucket.clone(), tasks.close().clone());
        tasks.spawn_service(async move {
            let mut tick = tokio::time::interval(TICK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while close.run_until_cancelled(tick.tick()).await.is_some() {
                match bucket.size().await {
                    Ok(size) => telemetry.keeps(size),
                    Err(fault) => tracing::debug!(%fault, "the size of the ledger is not known"),
                }
            }
        });
        ledger
    }

    /// The idempotency keys of a route, in `store`. `vhost` is where it publishes to.
    pub fn of_requests(
        (route, plan): (&str, &HttpDedupPlan),
        vhost: &str,
        store: &Arc<dyn Store>,
        tasks: &Tasks,
        telemetry: LedgerTelemetry,
    ) -> Arc<Self> {
        let namespace = Namespace::requested(vhost, route).bounded(plan.max_keys);
        let plan = DedupPlan {
            key: Key::MessageId,
            period: Some(plan.period),
            max_keys: plan.max_keys,
        };
        Self::open(&plan, Bucket::new(store, namespace), tasks, telemetry)
    }

    /// The key of a request, which is the message-id of what it publishes.
    pub fn known_request(&self, idempotency_key: &str) -> Known {
        self.hashed(&[idempotency_key.as_bytes()])
    }

    /// The key of a delivery; `None` if it has none, and so is never a repeat.
    pub fn known(&self, envelope: &Envelope) -> Option<Known> {
        let key = self.key.of(envelope)?;
        Some(self.hashed(&[&key]))
    }

    /// The key of a publication, with its destination: the same key to two destinations is not a repeat.
    /// `message_id` is the one that the host gives it if it has none of its own.
    pub fn known_publication(&self, publication: &Publication, message_id: &str) -> Option<Known> {
        let key = self.key.of_publication(publication, message_id)?;
        let Publication {
            exchange,
            routing_key,
            ..
        } = publication;
        Some(self.hashed(&[exchange.as_bytes(), routing_key.as_bytes(), &key]))
    }

    /// With the name of the key, so that keys that were kept under another one match none.
    fn hashed(&self, parts: &[&[u8]]) -> Known {
        let mut hash = Sha256::new();
        let name = self.key.to_string();
        for part in [&[name.as_bytes()], parts].concat() {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Known(hash.finalize().into())
    }

    /// Claims a key, or returns who holds it.
    ///
    /// # Errors
    ///
    /// If the store does not answer; then nothing is claimed.
    pub async fn claim(self: &Arc<Self>, known: Known) -> Result<Claim, StoreFault> {
        let place = match self.claims.take(known) {
            Ok(place) => place,
            Err(over) => return Ok(Claim::Busy(Wait::Here(over))),
        };
        let token = match &self.shared {
            None => match self.bucket.get(&known.0).await? {
                Some(_) => return Ok(Claim::Done),
                None => None,
            },
            Some(shared) => match shared.claim(&self.bucket, known).await? {
                shared::Standing::Ours(token) => Some(token),
                shared::Standing::Committed => return Ok(Claim::Done),
                shared::Standing::Theirs => return Ok(Claim::Busy(Wait::Elsewhere)),
            },
        };
        Ok(Claim::Fresh(Lease {
            ledger: Arc::clone(self),
            known,
            token,
            is_committed: AtomicBool::new(false),
            _place: place,
        }))
    }

    fn committing(&self, known: Known) -> Write {
        let value = Value {
            bytes: COMMITTED.to_vec(),
            lives: self.period,
        };
        Write {
            key: known.0.to_vec(),
            operation: Operation::Set(value),
        }
    }
}

impl Wait {
    /// Resolves when the claim may have ended; `looks` is how often it was looked at already.
    pub async fn over(self, looks: u32) {
        match self {
            Self::Here(over) => over.cancelled().await,
            Self::Elsewhere => {
                let pause = FIRST_LOOK.saturating_mul(1 << looks.min(8));
                tokio::time::sleep(pause.min(LONGEST_LOOK)).await;
            }
        }
    }
}

impl Lease {
    /// Commits the key: its delivery was handled, and everything that it caused is confirmed.
    ///
    /// # Errors
    ///
    /// If the store failed: the key may or may not be stored.
    pub async fn commit(&self) -> Result<(), StoreFault> {
        commit(&self.ledger, std::slice::from_ref(self)).await
    }
}

/// Remembers the keys of some claims on one ledger, all or none.
async fn commit(ledger: &Ledger, leases: &[Lease]) -> Result<(), StoreFault> {
    let writes = leases.iter().map(|lease| ledger.committing(lease.known));
    ledger.bucket.write(writes.collect()).await?;
    for lease in leases {
        lease.is_committed.store(true, Ordering::Relaxed);
    }
    Ok(())
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(shared), Some(token)) = (&self.ledger.shared, self.token.take()) {
            match self.is_committed.load(Ordering::Relaxed) {
                true => shared.forget(self.known),
                false => shared.give_up(self.known, token),
            }
        }
    }
}

#[cfg(test)]
mod tests;
