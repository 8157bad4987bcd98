//! The lines of a component, and of the host meanwhile, kept to be shown with the answer.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use hive_core::escape;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::cli::event::{fields, follow};
use crate::log::OURS;

/// Whose line it is, where the host has something to say.
const HOST: &str = "host";

/// One line.
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
    /// Keeps what is logged from here on.
    pub(super) fn start() -> Self {
        let log = Self::default();
        let kept = tracing_subscriber::registry()
            .with(LevelFilter::INFO)
            .with(log.clone());
        follow(kept, "what the component prints");
        log
    }

    /// Keeps what is logged on this thread, as long as the guard lives.
    pub(in crate::cli) fn of_this_thread() -> (Self, DefaultGuard) {
        let log = Self::default();
        let kept = tracing_subscriber::registry()
            .with(LevelFilter::INFO)
            .with(log.clone());
        let guard = tracing::subscriber::set_default(kept);
        (log, guard)
    }

    /// The lines since the last time.
    pub(in crate::cli) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let source = match metadata.target() {
            "guest" if *metadata.level() == Level::INFO => "stdout",
            "guest" => "stderr",
            target if target.starts_with(OURS) => HOST,
            _ => return,
        };
        let text = fields(event).remove("message").unwrap_or_default();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { source, text });
    }
}
