//! Whether the last reader of a stream died: a stream does not say that a message is a redelivery.
//!
//! A reader has a marker of its own in the store, for as long as it reads. A marker that it finds when it
//! starts, of a run that is over, is the trace of a death. Then the first messages that it reads were in flight
//! in that run, and each of them is a suspect.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long a reader that follows a death suspects what it reads. The stored offset is some 200 ms old,
/// so what the last one had in flight comes within moments.
const SUSPICION_TIME: Duration = Duration::from_secs(10);

/// The fate of the last reader; unknown before the first message.
#[derive(Default)]
pub(super) struct LastReader(OnceCell<Option<Instant>>);

impl LastReader {
    /// Whether messages are suspects now; `None` if that must still be looked up.
    pub(super) fn is_suspected(&self) -> Option<bool> {
        let until = self.0.get()?;
        Some(until.is_some_and(|until| Instant::now() < until))
    }

    /// Records whether it died, by `look_up`.
    pub(super) async fn look_up(&self, look_up: impl Future<Output = bool>) -> bool {
        let until = self.0.get_or_init(|| async {
            let died = look_up.await;
            died.then(|| Instant::now() + SUSPICION_TIME)
        });
        until.await.is_some()
    }
}

/// The key of the marker that the readers of a group have in turn.
pub(super) fn key(group: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"reader of a stream: ");
    hash.update(group);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_is_suspected_only_behind_a_death() {
        for died in [true, false] {
            let last = LastReader::default();
            assert_eq!(last.is_suspected(), None);
            assert_eq!(last.look_up(async { died }).await, died);
            assert_eq!(last.is_suspected(), Some(died));
            // Once.
            assert_eq!(last.look_up(async { !died }).await, died);
        }
    }
}
