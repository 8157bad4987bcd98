//! Whom of lapin a socket wakes: [`Wakers`].
//!
//! lapin's loop sleeps when it has nothing to read and no frame of its own to write, and before it sleeps it takes in all that its
//! wakers have told it. To hear that it may write does not keep it awake without a frame of its own, and publications are not its
//! own. To hear that it may read does, and it flushes before it reads (`io_loop.rs` and `socket_state.rs` of lapin 4.12). So its
//! waker for reading is woken where there are publications to write, and both are where the socket takes octets again.

use std::sync::Arc;
use std::task::{Wake, Waker};

#[derive(Debug, Default)]
pub(super) struct Wakers {
    reader: Option<Waker>,
    both: Option<(Arc<Both>, Waker)>,
}

#[derive(Debug)]
struct Both {
    reader: Waker,
    writer: Waker,
}

impl Wakers {
    /// lapin reads.
    pub(super) fn reads(&mut self, waker: &Waker) {
        keep(&mut self.reader, waker);
    }

    /// Has it come back to flush, given the waker that it flushes with.
    pub(super) fn to_flush<'a>(&'a self, writer: &'a Waker) -> &'a Waker {
        self.reader.as_ref().unwrap_or(writer)
    }

    /// For what it waits for while it flushes with this waker.
    pub(super) fn both(&mut self, writer: &Waker) -> Waker {
        // Before it has read, it is in the handshake, and has something to write.
        let Some(reader) = &self.reader else {
            return writer.clone();
        };
        let is_same = |both: &Both| both.reader.will_wake(reader) && both.writer.will_wake(writer);
        match &self.both {
            Some((both, waker)) if is_same(both) => waker.clone(),
            _ => {
                let both = Arc::new(Both {
                    reader: reader.clone(),
                    writer: writer.clone(),
                });
                let waker = Waker::from(Arc::clone(&both));
                self.both = Some((both, waker.clone()));
                waker
            }
        }
    }
}

fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *kept = Some(waker.clone());
    }
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.writer.wake_by_ref();
        self.reader.wake_by_ref();
    }
}
