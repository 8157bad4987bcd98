//! The way into a publisher: bounded, and first come, first served.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

/// The queue of submissions. Clones share one queue.
#[derive(Debug)]
pub(super) struct Line<T> {
    room: mpsc::Sender<T>,
    turn: Arc<Mutex<()>>,
}

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self {
            room: self.room.clone(),
            turn: Arc::clone(&self.turn),
        }
    }
}

impl<T> Line<T> {
    /// A queue with this much room, and its receiver.
    pub(super) fn new(room: usize) -> (Self, mpsc::Receiver<T>) {
        let (room, taken) = mpsc::channel(room);
        let turn = Arc::default();
        (Self { room, turn }, taken)
    }

    /// Waits for room, behind all callers that began to wait earlier. False if the receiver is gone.
    pub(super) async fn stand(&self, one: T) -> bool {
        // Room alone is given in order too, but two who have it may come to use it in any.
        let _turn = self.turn.lock().await;
        self.room.send(one).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use hive_lifecycle::Tasks;
    use tokio::task::coop::unconstrained;

    use super::*;

    const MANY: usize = 20_000;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_wait_for_room_keep_their_order() {
        let (line, mut taken) = Line::new(4);
        let tasks = Tasks::new();
        for number in 0..MANY {
            let line = line.clone();
            let mut standing = Box::pin(async move { line.stand(number).await });
            if unconstrained(standing.as_mut()).now_or_never().is_none() {
                tasks.spawn_work(standing);
            }
        }
        for expected in 0..MANY {
            assert_eq!(taken.recv().await, Some(expected));
        }
    }
}
