//! The output of a component: log lines with its name, and the tail of stderr that explains a trap.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hive_core::trace::Carried;
use hive_telemetry::{Fact, Heard, Printed};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

mod rate;

pub(crate) use rate::LineRate;

/// A longer line is cut into several.
const LONGEST_LINE: usize = 8 * 1024;
/// How much of stderr is kept to explain a failure.
const LONGEST_TAIL: usize = 3 * 1024;
/// How much a component may write at once; it comes again for the rest.
const LARGEST_WRITE: usize = 64 * 1024;

/// Both outputs of one instance. Clones share everything.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    component: Arc<str>,
    rate: Arc<LineRate>,
    consumer: String,
    delivery: String,
    /// The generation, if it is a shadow.
    shadow: Option<u64>,
    /// The ids of the trace and of the span.
    trace: Option<(String, String)>,
    /// Where the lines of this call are kept, if someone watches.
    heard: Option<Arc<Heard>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The end of what was written to stderr in this call.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Stdout,
    Stderr,
}

impl Source {
    fn printed(self) -> Printed {
        match self {
            Self::Stdout => Printed::Stdout,
            Self::Stderr => Printed::Stderr,
        }
    }
}

impl Output {
    /// `shadow` is the generation of a shadow.
    pub(crate) fn new(component: Arc<str>, rate: Arc<LineRate>, shadow: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            component,
            rate,
            consumer: String::new(),
            delivery: String::new(),
            shadow,
            trace: None,
            heard: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            tail: Vec::new(),
        })))
    }

    /// From here on, lines belong to this call.
    pub(crate) fn begin(
        &self,
        consumer: &str,
        delivery: &dyn fmt::Display,
        trace: Option<&Carried>,
        heard: Option<&Arc<Heard>>,
    ) {
        let mut lines = self.lines();
        lines.consumer.clear();
        lines.consumer.push_str(consumer);
        lines.delivery.clear();
        // Writing to a String fails only if the Display does, and then the label is shorter.
        let _label = write!(lines.delivery, "{delivery}");
        lines.trace = trace.map(|trace| {
            let (trace_id, span_id) = (trace.trace_id.clone(), trace.span_id.clone());
            (trace_id, span_id)
        });
        lines.heard = heard.cloned();
        lines.tail.clear();
    }

    /// Ends the call: a last line without a newline is logged too.
    pub(crate) fn end(&self) {
        let mut lines = self.lines();
        lines.tell_rest(Source::Stdout);
        lines.tell_rest(Source::Stderr);
        lines.heard = None;
    }

    /// The end of what the call wrote to stderr, if anything.
    pub(crate) fn stderr_tail(&self) -> Option<String> {
        let lines = self.lines();
        let text = String::from_utf8_lossy(&lines.tail);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(crate) fn stdout(&self) -> impl StdoutStream + 'static {
        Printer(self.clone(), Source::Stdout)
    }

    pub(crate) fn stderr(&self) -> impl StdoutStream + 'static {
        Printer(self.clone(), Source::Stderr)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing below leaves the lines half-changed, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn write(&mut self, source: Source, bytes: &[u8]) {
        if matches!(source, Source::Stderr) {
            self.tail.extend_from_slice(bytes);
            let excess = self.tail.len().saturating_sub(LONGEST_TAIL);
            self.tail.drain(..excess);
        }
        for mut piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            while !piece.is_empty() {
                let buffer = self.buffer(source);
                let room = LONGEST_LINE - buffer.len();
                let (part, rest) = piece.split_at(room.min(piece.len()));
                buffer.extend_from_slice(part);
                piece = rest;
                if part.ends_with(b"\n") {
                    self.tell_rest(source);
                } else if buffer.len() == LONGEST_LINE {
                    // The next line begins with the character that does not fit.
                    let rest = buffer.split_off(whole_characters(buffer));
                    self.tell_rest(source);
                    *self.buffer(source) = rest;
                }
            }
        }
    }

    fn buffer(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        }
    }

    fn tell_rest(&mut self, source: Source) {
        let line = std::mem::take(self.buffer(source));
        if line.is_empty() {
            return;
        }
        let text = line.trim_ascii_end();
        if text.is_empty() {
            return;
        }
        if let Some(heard) = &self.heard {
            heard.note(source.printed(), &String::from_utf8_lossy(text));
        }
        if !self.rate.tells() {
            return;
        }
        let text = String::from_utf8_lossy(text);
        let Self {
            component,
            consumer,
            delivery,
            shadow,
            trace,
            ..
        } = self;
        let shadow = *shadow;
        let line = &*text;
        let (trace_id, span_id) = match trace {
            Some((trace_id, span_id)) => (Some(&**trace_id), Some(&**span_id)),
            None => (None, None),
        };
        match source {
            Source::Stdout => Fact::PrintedOut {
                consumer,
                component,
                delivery,
                shadow,
                trace_id,
                span_id,
                line,
            },
            Source::Stderr => Fact::PrintedErr {
                consumer,
                component,
                delivery,
                shadow,
                trace_id,
                span_id,
                line,
            },
        }
        .emit();
    }
}

/// How many of these bytes, the beginning of a longer text, are whole characters.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes
        .utf8_chunks()
        .last()
        .map_or(&[][..], |last| last.invalid());
    let is_cut = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    bytes.len() - if is_cut { last.len() } else { 0 }
}

/// One output of an instance, as wasmtime wants it.
///
/// Not its `MemoryOutputPipe`: a component that writes past that one's capacity traps.
#[derive(Clone)]
struct Printer(Output, Source);

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this one, and the host does not link it.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl Pollable for Printer {
    async fn ready(&mut self) {}
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lines().write(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LARGEST_WRITE)
    }
}

#[cfg(test)]
mod tests {
    use hive_lifecycle::Tasks;
    use hive_telemetry::Telemetry;

    use super::*;

    fn output() -> Output {
        let telemetry = Telemetry::new().expect("its metrics have names of their own");
        let rate = LineRate::new(
            "c".into(),
            100,
            &Tasks::new(),
            &telemetry.component(&"c".into()),
        );
        Output::new("c".into(), rate, None)
    }

    #[tokio::test]
    async fn who_watches_hears_the_lines_of_the_call_beyond_those_of_the_log() {
        let output = output();
        let heard = Arc::new(Heard::default());
        output.begin("consumer", &1, None, Some(&heard));
        for _ in 0..150 {
            output.lines().write(Source::Stderr, b"a line\n\n");
        }
        output.end();
        output.lines().write(Source::Stdout, b"of no call\n");
        let heard = heard.lines();
        assert_eq!(heard.lines.len() as u64 + heard.left_out, 150);
        assert_eq!(heard.lines[0], (Printed::Stderr, "a line".to_owned()));
    }

    #[test]
    fn the_tail_of_stderr_is_this_calls_and_bounded() {
        let output = output();
        output.begin("consumer", &1, None, None);
        output
            .lines()
            .write(Source::Stderr, b"from the call before\n");
        output.begin("consumer", &2, None, None);
        assert_eq!(output.stderr_tail(), None);
        output.lines().write(Source::Stdout, b"not this\n");
        output
            .lines()
            .write(Source::Stderr, &[b'x'; 3 * LONGEST_TAIL]);
        output.lines().write(Source::Stderr, b" the end\n");
        let tail = output.stderr_tail().unwrap();
        assert!(tail.len() <= LONGEST_TAIL && tail.ends_with("the end"));
    }

    #[test]
    fn lines_are_split_and_long_ones_cut() {
        let output = output();
        output.lines().write(Source::Stdout, b"one\ntwo");
        assert_eq!(output.lines().stdout, b"two");
        output
            .lines()
            .write(Source::Stdout, &[b'x'; 3 * LONGEST_LINE]);
        // Three whole lines with "two", whatever the pieces that it is written in.
        assert_eq!(output.lines().stdout, b"xxx");
        for _ in 0..9 {
            output.lines().write(Source::Stdout, &[b'x'; 1000]);
        }
        assert_eq!(output.lines().stdout.len(), 3 + 9000 - LONGEST_LINE);
        output.end();
        assert!(output.lines().stdout.is_empty());
    }

    #[test]
    fn a_line_is_cut_between_two_characters() {
        let whole = |text: &[u8]| whole_characters(text);
        assert_eq!(whole("a☕".as_bytes()), 4);
        assert_eq!(whole(&"a☕".as_bytes()[..3]), 1);
        assert_eq!(whole(b"\xff\xe2\x98"), 1);
        assert_eq!(whole(b"a\xff"), 2);
        assert_eq!(whole(b""), 0);
        let output = output();
        let text = [&[b'x'; LONGEST_LINE - 1][..], "☕".as_bytes()].concat();
        output.lines().write(Source::Stdout, &text);
        assert_eq!(output.lines().stdout, "☕".as_bytes());
    }
}
