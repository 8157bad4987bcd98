//! What a component prints, and what the host has to say meanwhile, kept to be shown with the answer.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::cli::event::{fields, follow};
use crate::escape;
use crate::log::OURS;

/// One line.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    source: &'static str,
    text: String,
}

/// The lines since somebody took them. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Line>>>);

impl Line {
    pub(super) fn object(&self) -> Value {
        let Self { source, text } = self;
        json!({ "source": source, "line": text })
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

    /// What was logged since the last time.
    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let source = match metadata.target() {
            "guest" if *metadata.level() == Level::INFO => "stdout",
            "guest" => "stderr",
            target if target.starts_with(OURS) => "host",
            _ => return,
        };
        let text = fields(event).remove("message").unwrap_or_default();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { source, text });
    }
}
