//! A delivery as it was settled: what is known of it then, and what is kept of that for those who watch.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use hive_core::message::{Envelope, Publication};
use hive_core::moments;
use hive_core::version::Version;
use hive_telemetry::{Exit, Heard, HeardLines};

use super::message::{ShownMessage, shown};

/// The longest error, and the longest name of a delivery, an exchange or a routing key, in bytes.
const LONGEST_ERROR: usize = 4 << 10;
const LONGEST_NAME: usize = 255;

/// Publications of a delivery that are shown.
const PUBLICATIONS: usize = 10;

/// What a delivery carries for those who watch.
#[derive(Debug, Default)]
pub enum Notes {
    /// Nobody watched as it came.
    #[default]
    None,
    /// Nobody who watched had room.
    Unwanted,
    /// Its trail.
    Taken(Box<Trail>),
}

impl Notes {
    /// Its trail, if it has one.
    pub fn trail(&self) -> Option<&Trail> {
        match self {
            Self::None | Self::Unwanted => None,
            Self::Taken(trail) => Some(trail),
        }
    }

    /// The same, to note something.
    pub fn trail_mut(&mut self) -> Option<&mut Trail> {
        match self {
            Self::None | Self::Unwanted => None,
            Self::Taken(trail) => Some(trail),
        }
    }
}

/// What is noted of a delivery on its way, while someone watches.
#[derive(Debug, Default)]
pub struct Trail {
    /// What the component prints. Of a batch, the first delivery has it.
    pub heard: Option<Arc<Heard>>,
    /// The call; `None` for a delivery that no call was made for.
    pub called: Option<Called>,
    /// Where the first of its publications go: exchange and routing key.
    publications: Vec<(String, String)>,
}

/// The call that handled a delivery.
#[derive(Debug, Clone)]
pub struct Called {
    /// How long it took.
    pub took: Duration,
    /// The version of the component; `None` for routes.
    pub version: Option<Version>,
    /// How many deliveries it was about, if they were a batch.
    pub batch: Option<usize>,
}

impl Trail {
    /// Notes where it publishes to.
    pub fn publishes(&mut self, publications: &[Publication]) {
        let first = publications.iter().take(PUBLICATIONS);
        let name = |name: &str| cut(name, LONGEST_NAME);
        let targets = first.map(|one| (name(&one.exchange), name(&one.routing_key)));
        self.publications = targets.collect();
    }
}

/// A delivery at its settlement.
pub struct Settled<'a> {
    /// The consumer.
    pub consumer: &'a str,
    /// Its component; `None` for routes.
    pub component: Option<&'a str>,
    /// The delivery's name in log lines.
    pub delivery: &'a dyn fmt::Display,
    /// The message.
    pub envelope: &'a Envelope,
    /// Which way it leaves.
    pub exit: &'a Exit<'a>,
    /// False: its channel died, and the broker delivers it again.
    pub acknowledged: bool,
    /// It stays in the host until its retry is due, since later ones of its key must not overtake it.
    pub kept: bool,
    /// From its arrival on.
    pub took: Duration,
    /// What was noted of it.
    pub notes: &'a Notes,
}

impl Settled<'_> {
    pub(super) fn called(&self) -> Option<&Called> {
        self.notes.trail()?.called.as_ref()
    }

    /// The word for how it left, as metrics count it.
    pub(super) fn outcome(&self) -> &'static str {
        match self.acknowledged {
            true => self.exit.outcome(),
            false => "lost",
        }
    }

    /// The answer that this came of; `None` if it came of something else.
    pub(super) fn action(&self) -> Option<&'static str> {
        if let Exit::Acked { publications } = self.exit {
            return Some(match publications {
                0 => "ack",
                _ => "publish",
            });
        }
        let (failure, _) = self.exit.failure()?;
        Some(match failure.class {
            "retry" => "retry",
            "rejected" => "reject",
            _ => "failed",
        })
    }

    /// What is kept of it.
    pub(super) fn report(&self, with_message: bool) -> Report {
        let failure = self.exit.failure();
        let (publications, count) = match (self.exit, self.notes.trail()) {
            (Exit::Acked { publications }, Some(trail)) => {
                (trail.publications.clone(), *publications)
            }
            (Exit::Acked { publications }, None) => (Vec::new(), *publications),
            _ => (Vec::new(), 0),
        };
        let called = self.called();
        let properties = &self.envelope.message.properties;
        Report {
            at: moments::now(),
            consumer: self.consumer.to_owned(),
            component: self.component.map(str::to_owned),
            version: called.and_then(|called| called.version.clone()),
            queue: Arc::clone(&self.envelope.queue),
            delivery: cut(&self.delivery.to_string(), LONGEST_NAME),
            message_id: properties
                .message_id
                .as_deref()
                .map(|id| cut(id, LONGEST_NAME)),
            exchange: self.envelope.exchange.clone(),
            routing_key: self.envelope.routing_key.clone(),
            attempt: self.envelope.attempt.get(),
            redelivered: self.envelope.redelivered,
            outcome: self.outcome(),
            action: self.action(),
            count,
            publications,
            failure: failure.map(|(failure, _)| Failure {
                class: failure.class,
                code: failure.code,
                error: cut(failure.error, LONGEST_ERROR),
            }),
            reason: self.exit.reason().map(|reason| cut(reason, LONGEST_ERROR)),
            delay: failure.and_then(|(_, delay)| delay),
            kept: self.kept,
            call: called.map(|called| called.took),
            batch: called.and_then(|called| called.batch),
            took: self.took,
            log: self
                .notes
                .trail()
                .and_then(|trail| trail.heard.as_ref())
                .map(|heard| heard.lines())
                .unwrap_or_default(),
            message: with_message.then(|| shown(self.envelope)),
        }
    }
}

/// A delivery as it is shown.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it was settled.
    pub at: SystemTime,
    /// The consumer.
    pub consumer: String,
    /// Its component; `None` for routes.
    pub component: Option<String>,
    /// The version that handled it, where that is known.
    pub version: Option<Version>,
    /// The queue.
    pub queue: Arc<str>,
    /// Its name in log lines, cut.
    pub delivery: String,
    /// The property, cut.
    pub message_id: Option<String>,
    /// The exchange that it was published to.
    pub exchange: String,
    /// The routing key that it was published with.
    pub routing_key: String,
    /// Which attempt it was.
    pub attempt: u32,
    /// The broker had handed it out before.
    pub redelivered: bool,
    /// The word for how it left.
    pub outcome: &'static str,
    /// The answer that this came of.
    pub action: Option<&'static str>,
    /// How many publications it caused.
    pub count: usize,
    /// Where the first of them went: exchange and routing key.
    pub publications: Vec<(String, String)>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Why it went back to its queue.
    pub reason: Option<String>,
    /// How long its retry waits.
    pub delay: Option<Duration>,
    /// Its retry waits in the host.
    pub kept: bool,
    /// How long the call took, where that is known.
    pub call: Option<Duration>,
    /// How many deliveries the call was about.
    pub batch: Option<usize>,
    /// From its arrival to its settlement.
    pub took: Duration,
    /// What the component printed.
    pub log: HeardLines,
    /// The message, if it is wanted.
    pub message: Option<ShownMessage>,
}

/// A report on its way to those who watch. It is written once for all of them.
#[derive(Debug)]
pub struct Shown {
    report: Report,
    text: OnceLock<String>,
}

impl Shown {
    /// Its text, which the first who asks has written.
    pub fn text(&self, write: impl FnOnce(&Report) -> String) -> &str {
        self.text.get_or_init(|| write(&self.report))
    }
}

impl From<Report> for Shown {
    fn from(report: Report) -> Self {
        let text = OnceLock::new();
        Self { report, text }
    }
}

impl Deref for Shown {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}

/// A failure, cut.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its class.
    pub class: &'static str,
    /// The code of the class.
    pub code: &'static str,
    /// The error.
    pub error: String,
}

/// The beginning of a text, of at most this many bytes.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
