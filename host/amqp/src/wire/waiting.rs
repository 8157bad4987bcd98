//! How long a connection is not read because a body has no room in memory.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use super::endings::Endings;
use super::screen::Screen;

/// What comes behind on the connection, for other consumers too, waits no longer than this in all. Answers of the broker are
/// waited for twice as long (`session/looks.rs`, `session/limits.rs`): lapin ends a connection over an answer on a channel
/// that was given up.
const LONGEST: Duration = Duration::from_millis(500);

/// The waits of one connection.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Where its timer runs.
    reactor: Handle,
    rooms: Endings,
    /// How long it has waited since it was last read to the end. What the broker has sent meanwhile is still behind that.
    so_far: Duration,
    /// The wait of now: since when, and until when at most.
    now: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Waiting {
    pub(super) fn new(reactor: Handle, rooms: Endings) -> Self {
        Self {
            reactor,
            rooms,
            so_far: Duration::ZERO,
            now: None,
        }
    }

    /// All that the broker has sent is read.
    pub(super) fn caught_up(&mut self) {
        self.so_far = Duration::ZERO;
    }

    /// Ready when the screen goes on: there is room, or the channel gets nothing more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, screen: &mut Screen) -> Poll<()> {
        let Some(first) = screen.held() else {
            return Poll::Ready(());
        };
        // Before the look, so that no room is missed that is made meanwhile.
        self.rooms.in_flight().wake(cx.waker());
        screen.look_again();
        if screen.held() != Some(first) {
            self.ends();
            return Poll::Ready(());
        }
        let rest = LONGEST.saturating_sub(self.so_far);
        let (_, over) = self.now.get_or_insert_with(|| {
            let _entered = self.reactor.enter();
            (Instant::now(), Box::pin(tokio::time::sleep(rest)))
        });
        if !rest.is_zero() && over.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.ends();
        self.rooms.are_full(first.channel, first.bytes);
        screen.look_again();
        Poll::Ready(())
    }

    fn ends(&mut self) {
        if let Some((since, _)) = self.now.take() {
            self.so_far += since.elapsed();
        }
    }
}
