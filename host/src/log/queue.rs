//! The lines of the log that wait to be written: bounded, and adding one never waits.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_telemetry::LogTelemetry;

/// How much may wait, with what is being written. Lines lie one after the other in one buffer and cost
/// nothing beside their bytes, so that a bound in bytes bounds everything.
pub(super) const LIMIT: usize = 4 * 1024 * 1024;

/// A buffer that grew beyond this in a burst is given back.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// Whether this thread is the one that writes. What it adds itself, it adds beyond the limit: it says
    /// how many lines were dropped.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Many threads add lines, one takes them.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There are lines, or there will be no more.
    changed: Condvar,
    /// Signalled when everything is written.
    idle: Condvar,
    telemetry: LogTelemetry,
}

#[derive(Debug, Default)]
struct State {
    /// The lines, each with its line end.
    lines: Vec<u8>,
    /// Bytes that the writer has taken and not yet finished with.
    taken: usize,
    /// Dropped, and not yet reported.
    dropped: u64,
    ended: bool,
}

impl Queue {
    pub(super) fn new(telemetry: LogTelemetry) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            idle: Condvar::new(),
            telemetry,
        }
    }

    /// Adds lines, or drops and counts them if there is no room for all of them.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.state();
        let used = state.lines.len() + state.taken;
        if used + lines.len() > LIMIT && !WRITES.get() {
            let dropped = count(lines);
            state.dropped += dropped;
            self.telemetry.dropped(dropped);
            return;
        }
        // The writer does not wait while something is there.
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(lines);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Waits for lines and takes all that are there, in the place of those in `taken`, of which `dropped`
    /// could not be written. Returns false when the log has ended and nothing is left.
    pub(super) fn next(&self, taken: &mut Vec<u8>, dropped: u64) -> bool {
        WRITES.set(true);
        taken.clear();
        taken.shrink_to(KEPT);
        self.telemetry.dropped(dropped);
        let mut state = self.state();
        state.taken = 0;
        state.dropped += dropped;
        if state.lines.is_empty() {
            self.idle.notify_all();
        }
        let mut state = self
            .changed
            .wait_while(state, |state| state.lines.is_empty() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, taken);
        state.taken = taken.len();
        !taken.is_empty()
    }

    /// Reports how many lines were dropped, now that lines are written again.
    pub(super) fn report(&self) {
        let dropped = std::mem::take(&mut self.state().dropped);
        if dropped > 0 {
            self.telemetry.report_dropped(dropped);
        }
    }

    /// Waits until everything in the queue is written, for at most `timeout`.
    pub(super) fn end(&self, timeout: Duration) {
        let mut state = self.state();
        state.ended = true;
        self.changed.notify_one();
        let unwritten = |state: &mut State| !state.lines.is_empty() || state.taken > 0;
        // At the end of that time the process ends all the same.
        let _state = self.idle.wait_timeout_while(state, timeout, unwritten);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many lines begin in these bytes; the last one may lack its end.
pub(super) fn count(lines: &[u8]) -> u64 {
    let ends = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    ends + u64::from(lines.last().is_some_and(|byte| *byte != b'\n'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hive_telemetry::Telemetry;

    use super::*;

    fn queue() -> (Telemetry, Arc<Queue>) {
        let telemetry = Telemetry::new().expect("its metrics have names of their own");
        let queue = Arc::new(Queue::new(telemetry.log()));
        (telemetry, queue)
    }

    fn counted(telemetry: &Telemetry) -> u64 {
        let metrics = telemetry.render().unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("hive_log_lines_dropped_total "));
        line.expect("it is there from the start").parse().unwrap()
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted_and_the_writer_says_so() {
        let (telemetry, queue) = queue();
        assert_eq!(counted(&telemetry), 0);
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let room = LIMIT / line.len();
        for _ in 0..room + 3 {
            queue.push(&line);
        }
        assert_eq!(counted(&telemetry), 3);
        std::thread::scope(|threads| {
            let writer = threads.spawn(|| {
                let mut taken = Vec::new();
                assert!(queue.next(&mut taken, 0));
                assert_eq!(taken.len(), LIMIT);
                // As its report does.
                queue.push(b"beyond the limit\n");
                taken
            });
            let mut taken = writer.join().unwrap();
            // Lines that are being written take room too.
            queue.push(&line);
            assert_eq!(counted(&telemetry), 4);
            assert!(queue.next(&mut taken, 2));
            assert_eq!(taken, b"beyond the limit\n");
            assert_eq!(counted(&telemetry), 6);
        });
    }

    #[test]
    fn the_end_waits_for_what_is_queued_and_no_longer_than_it_may() {
        let (_, queue) = queue();
        queue.push(b"one\n");
        let writer = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let (mut taken, mut written) = (Vec::new(), Vec::new());
                while queue.next(&mut taken, 0) {
                    written.extend_from_slice(&taken);
                }
                written
            }
        });
        queue.push(b"two\n");
        queue.end(Duration::from_secs(60));
        assert_eq!(writer.join().unwrap(), b"one\ntwo\n");
        // The writer has ended.
        queue.push(b"three\n");
        queue.end(Duration::from_millis(10));
    }

    #[test]
    fn a_line_without_its_end_is_a_line() {
        let counts = [&b""[..], b"a", b"a\n", b"a\nb", b"\n\n"].map(count);
        assert_eq!(counts, [0, 1, 1, 2, 2]);
    }
}
