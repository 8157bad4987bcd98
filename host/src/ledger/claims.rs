//! The keys in flight in this host, one delivery each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Known;

/// The keys in flight, each with the signal of its end.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<Known, CancellationToken>>);

/// One key in flight. Tasks that wait for it continue when this is dropped.
pub(super) struct Place {
    claims: Arc<Claims>,
    known: Known,
}

impl Claims {
    /// Claims a key. The error is the signal of the end of the current holder.
    pub(super) fn take(self: &Arc<Self>, known: Known) -> Result<Place, CancellationToken> {
        let mut claims = self.lock();
        if let Some(over) = claims.get(&known) {
            return Err(over.clone());
        }
        claims.insert(known, CancellationToken::new());
        Ok(Place {
            claims: Arc::clone(self),
            known,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Known, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let over = self.claims.lock().remove(&self.known);
        if let Some(over) = over {
            over.cancel();
        }
    }
}
