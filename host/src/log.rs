//! The log of a host: lines are formatted where an event happens, wait in a queue, and a separate thread writes
//! them to standard error.
//!
//! Logging never stops, slows or fails a delivery. The code that logs puts a line into a bounded queue and
//! continues; a reader that stalls, a pipe without a reader and a full disk affect the writer only. Lines that
//! find the queue full, or that cannot be written, are dropped and counted.

mod fields;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use hive_config::plan::{HostPlan, LogFormat};
use hive_core::escape;
use hive_telemetry::{Fact, LogTelemetry};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::fields::Escaped;
use self::queue::Queue;

/// How long the end of the process waits for lines to be written. A reader that takes longer is stalled.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The queue of the log that runs in this process.
static RUNNING: OnceLock<Arc<Queue>> = OnceLock::new();

/// The log that was started. When it is dropped, the lines that are queued get a second to be written.
#[derive(Debug)]
pub struct Log(Arc<Queue>);

/// Starts the log of this process, as `plan` says.
///
/// # Errors
///
/// An invalid filter, a machine without threads or file descriptors, or a log that runs already.
pub fn start(plan: &HostPlan, telemetry: LogTelemetry) -> anyhow::Result<Log> {
    // RUST_LOG, which wins over `host.log`, is in the plan already.
    let filter = EnvFilter::try_new(&plan.log).with_context(|| {
        format!(
            "{:?} is not a log filter; an example: info,hive=debug",
            plan.log
        )
    })?;
    // The descriptor and not the handle of the standard library: that one has a lock, which a write that
    // does not return would hold against everybody.
    let output = io::stderr().as_fd().try_clone_to_owned();
    let output = output.context("standard error cannot be opened for the log")?;
    let queue = Arc::new(Queue::new(telemetry));
    writer::start(File::from(output), &queue).context("the log's thread could not be started")?;
    let log = tracing_subscriber::fmt().with_env_filter(quiet_libraries(filter)?);
    let lines = Lines(Arc::clone(&queue));
    let started = match plan.log_format {
        LogFormat::Text => log
            .fmt_fields(Escaped)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(lines)
            .try_init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_writer(JsonLines(lines))
            .try_init(),
    };
    started.map_err(|error| anyhow!("there is a log already: {error}"))?;
    RUNNING.set(Arc::clone(&queue)).ok();
    panic::set_hook(Box::new(tell_panic));
    Ok(Log(queue))
}

/// Puts a text into the log as it stands. Returns whether a log runs: otherwise nothing was done.
pub fn put(text: &str) -> bool {
    let running = RUNNING.get();
    running
        .inspect(|queue| queue.push(text.as_bytes()))
        .is_some()
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.end(END_TIMEOUT);
    }
}

/// lapin logs the whole of every returned message, and logs as errors what this host recovers from and logs
/// itself. A filter that names lapin gets it all the same.
fn quiet_libraries(filter: EnvFilter) -> anyhow::Result<EnvFilter> {
    if filter.to_string().contains("lapin") {
        return Ok(filter);
    }
    Ok(filter.add_directive("lapin=off".parse().context("the filter of lapin's lines")?))
}

/// A panic is a line of the log like any other. The hook of the standard library writes by itself, and
/// would wait for a reader that stalls.
fn tell_panic(panic: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let payload = panic.payload_as_str();
    Fact::Panicked {
        thread: std::thread::current().name(),
        location: panic.location().map(|place| place.to_string()).as_deref(),
        backtrace: backtrace.map(|trace| trace.to_string()).as_deref(),
        payload: payload.unwrap_or("with something that is no text"),
    }
    .emit();
}

/// Where the formatter puts its lines: each in one piece.
struct Lines(Arc<Queue>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

/// The same for lines of JSON, in which no character acts on a terminal either.
struct JsonLines(Lines);

impl<'a> MakeWriter<'a> for JsonLines {
    type Writer = Json<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Json(self.0.make_writer())
    }
}

struct Json<'a>(&'a Queue);

impl Write for Json<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The formatter hands over text.
        let text = String::from_utf8_lossy(line);
        self.0.push(escape::json(&text).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
