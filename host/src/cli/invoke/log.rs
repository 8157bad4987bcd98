//! The lines of a component, and of the host meanwhile, kept to be shown with the answer.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use hive_core::escape;
use hive_telemetry::{Fact, Here, Observer, observe, observe_here};
use serde_json::{Value, json};
use tracing::Level;

use crate::cli::progress;

/// Whose line it is, where the host has something to say.
const HOST: &str = "host";

/// One line that the component logged or printed.
#[derive(Debug, PartialEq)]
pub(in crate::cli) struct Line {
    source: &'static str,
    text: String,
}

/// The lines since the last time. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Log(Arc<Mutex<Vec<Line>>>);

impl Line {
    pub(super) fn object(&self) -> Value {
        let Self { source, text } = self;
        json!({ "source": source, "line": text })
    }

    /// The line behind its source.
    pub(in crate::cli) fn text(&self) -> String {
        format!("{:<6} {}", self.source, self.text)
    }

    /// The line, if the component printed it.
    pub(in crate::cli) fn printed(&self) -> Option<&str> {
        (self.source != HOST).then_some(self.text.as_str())
    }

    pub(super) fn write(&self, text: &mut String) {
        writeln!(text, "  {:<6} {}", self.source, escape::line(&self.text))
            .expect("a String takes all");
    }
}

impl Log {
    /// Keeps what is reported from here on.
    pub(super) fn start() -> Self {
        let log = Self::default();
        observe(Arc::new(log.clone()));
        log
    }

    /// Keeps what is reported on this thread, as long as the guard lives.
    pub(in crate::cli) fn of_this_thread() -> (Self, Here) {
        let log = Self::default();
        let guard = observe_here(Arc::new(log.clone()));
        (log, guard)
    }

    /// The lines since the last time.
    pub(in crate::cli) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Log {
    fn observe(&self, fact: &Fact<'_>) {
        let (source, text) = match fact {
            Fact::PrintedOut { line, .. } => ("stdout", (*line).to_owned()),
            Fact::PrintedErr { line, .. } => ("stderr", (*line).to_owned()),
            fact if progress::words(fact).is_some() => return,
            fact if fact.level() <= Level::INFO => (HOST, fact.to_string()),
            _ => return,
        };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { source, text });
    }
}
