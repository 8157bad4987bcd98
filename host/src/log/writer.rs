//! The thread that writes the log: the only one that waits for its reader.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Queue, count};

/// The pause before a full pipe is tried again, if a process that shares standard error has made it
/// non-blocking.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(20);

/// Writes what comes into `queue` until the log ends.
pub(super) fn start(output: impl Write + Send + 'static, queue: &Arc<Queue>) -> io::Result<()> {
    let queue = Arc::clone(queue);
    let thread = std::thread::Builder::new().name("hive-log".to_owned());
    thread.spawn(move || write(output, &queue)).map(drop)
}

fn write(output: impl Write, queue: &Queue) {
    let mut output = Output {
        output,
        torn: false,
    };
    let mut lines = Vec::new();
    let mut dropped = 0;
    while queue.next(&mut lines, dropped) {
        dropped = output.write(&lines);
        if dropped == 0 {
            queue.report();
        }
    }
}

struct Output<W> {
    output: W,
    /// The last line was cut short; the next one must not continue it.
    torn: bool,
}

impl<W: Write> Output<W> {
    /// Writes lines; returns how many of them could not be written. What is wrong now (no reader, no space)
    /// concerns all that would follow, so they are not tried one by one.
    fn write(&mut self, lines: &[u8]) -> u64 {
        if self.torn {
            if self.put(b"\n") == 0 {
                return count(lines);
            }
            self.torn = false;
        }
        let written = self.put(lines);
        self.torn = written
            .checked_sub(1)
            .is_some_and(|last| lines[last] != b'\n');
        // A line that was cut short counts: its beginning was written before.
        let begun = lines[..written].iter().rposition(|byte| *byte == b'\n');
        match written == lines.len() {
            true => 0,
            false => count(&lines[begun.map_or(0, |end| end + 1)..]),
        }
    }

    /// Returns how many bytes could be written.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.output.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
                Err(_) => break,
            }
        }
        written
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread has nothing else to do"
)]
fn pause() {
    std::thread::sleep(FULL_PIPE_PAUSE);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A disk that takes what is said at each write, and then has no space, or breaks off.
    struct Disk {
        takes: Vec<Option<usize>>,
        has: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.takes.pop() {
                Some(Some(takes)) => {
                    let takes = takes.min(bytes.len());
                    self.has.extend_from_slice(&bytes[..takes]);
                    Ok(takes)
                }
                Some(None) => Err(ErrorKind::Interrupted.into()),
                None => Err(ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        /// Each line is written whole or counted, and none continues one that was cut short.
        #[test]
        fn each_line_is_written_or_counted(
            rounds in prop::collection::vec(
                (0..5_usize, prop::collection::vec(prop::option::weighted(0.9, 1..20_usize), 0..6)),
                1..8,
            ),
        ) {
            let disk = Disk { takes: Vec::new(), has: Vec::new() };
            let mut output = Output { output: disk, torn: false };
            let (mut number, mut dropped, mut failures) = (0, 0, 0);
            for (lines, takes) in rounds {
                output.output.takes = takes;
                let lines: String = (0..lines)
                    .map(|_| {
                        number += 1;
                        format!("<line {number}>\n")
                    })
                    .collect();
                if !lines.is_empty() {
                    let lost = output.write(lines.as_bytes());
                    dropped += lost;
                    failures += u64::from(lost > 0);
                }
            }
            let has = String::from_utf8(output.output.has).unwrap();
            let is_whole = |line: &&str| line.starts_with('<') && line.ends_with('>');
            let whole: Vec<&str> = has.split_terminator('\n').filter(is_whole).collect();
            // A line that lacks nothing but its end counts too: one at each failure.
            let told = whole.len() as u64 + dropped;
            prop_assert!((number..=number + failures).contains(&told), "{}: {}", told, number);
            for line in has.split('\n') {
                prop_assert!(line.matches('<').count() <= 1, "{}", line);
            }
        }
    }

    #[test]
    fn a_full_pipe_that_does_not_block_is_tried_again() {
        struct Pipe(Vec<u8>, bool);
        impl Write for Pipe {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                match self.1 {
                    true => Err(ErrorKind::WouldBlock.into()),
                    false => self.0.write(&bytes[..1]),
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let pipe = Pipe(Vec::new(), false);
        let mut output = Output {
            output: pipe,
            torn: false,
        };
        assert_eq!(output.write(b"a\nb\n"), 0);
        assert_eq!(output.output.0, b"a\nb\n");
    }
}
