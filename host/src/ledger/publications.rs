//! Which publications of one delivery are not repeats.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_store::StoreFault;

use super::{Claim, Known, Lease, Ledger, commit};

/// Which publications are to go out, with the claims on them. Dropped without a commit, the claims are
/// given back.
pub struct Fresh {
    ledger: Arc<Ledger>,
    leases: Vec<Lease>,
    is_fresh: Vec<bool>,
}

impl Ledger {
    /// Claims the keys of a delivery's publications; a publication may have no key. Of two with the same key
    /// the first is published. If another delivery is publishing one now, this waits for it.
    ///
    /// # Errors
    ///
    /// If the store does not answer; then nothing is claimed.
    pub async fn claim_publications(
        self: &Arc<Self>,
        wanted: &[Option<Known>],
    ) -> Result<Fresh, StoreFault> {
        let mut is_fresh = vec![true; wanted.len()];
        let mut first = BTreeMap::new();
        for (index, known) in wanted.iter().enumerate() {
            if let Some(known) = known
                && *first.entry(*known).or_insert(index) != index
            {
                is_fresh[index] = false;
            }
        }
        let mut leases = Vec::new();
        // Always in the order of the keys: two deliveries that publish the same would otherwise wait for one
        // another.
        for (known, index) in first {
            let mut looks = 0;
            loop {
                match self.claim(known).await? {
                    Claim::Fresh(lease) => leases.push(lease),
                    Claim::Done => is_fresh[index] = false,
                    Claim::Busy(wait) => {
                        wait.over(looks).await;
                        looks += 1;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(Fresh {
            ledger: Arc::clone(self),
            leases,
            is_fresh,
        })
    }
}

impl Fresh {
    /// Whether the publication of this index is to go out.
    pub fn is_fresh(&self, index: usize) -> bool {
        self.is_fresh.get(index).copied().unwrap_or(true)
    }

    /// How many are not to.
    pub fn repeats(&self) -> usize {
        self.is_fresh.iter().filter(|fresh| !**fresh).count()
    }

    /// Remembers those that went out, since the broker has confirmed all of them.
    ///
    /// # Errors
    ///
    /// A store that failed: they may or may not be remembered.
    pub async fn commit(&self) -> Result<(), StoreFault> {
        match self.leases.is_empty() {
            true => Ok(()),
            false => commit(&self.ledger, &self.leases).await,
        }
    }
}
