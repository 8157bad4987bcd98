//! The audit: which commands this host was given, when, by whom, and what came of each. A log line for each, and the last
//! ones in memory, for `GET /v1/audit`.
//!
//! Commands that were denied have a list of their own: whoever has no token must not push out what was done with one.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hive_core::codes::Code;
use hive_core::group::Wanted;
use hive_telemetry::Fact;
use tokio::time::Instant;

use crate::control::Refusal;

/// Commands that are remembered.
const COMMANDS: usize = 1_000;

/// Denied commands that are remembered.
const DENIED: usize = 100;

/// Of denied commands, one in this time is recorded: they come from anybody.
const BETWEEN_DENIED: Duration = Duration::from_secs(1);

/// Enough of a name that a client sends.
const LONGEST: usize = 200;

/// Who gave a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A client with `host.admin_token`.
    Admin,
    /// A client with `host.admin_viewer_token`, which may give none.
    Viewer,
    /// A client on this machine, of a host without a token.
    Local,
    /// A client that may not give commands.
    Unknown,
    /// A signal.
    Signal(&'static str),
    /// A host of the group, for all of them.
    Host(String),
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was refused with this code.
    Code(Code),
    /// It was refused for a reason without a code.
    Refused,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Who gave it.
    pub by: By,
    /// The address that it came from.
    pub from: Option<IpAddr>,
    /// The verb, as on the command line.
    pub command: String,
    /// The name of its consumer or component.
    pub subject: Option<String>,
    /// How: each name with its value.
    pub arguments: Vec<(String, String)>,
}

/// One command with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it had ended.
    pub at: SystemTime,
    /// The command.
    pub given: Given,
    /// What came of it.
    pub outcome: Outcome,
}

/// The record of one host. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Audit(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    commands: VecDeque<Entry>,
    denied: VecDeque<Entry>,
    last_denied: Option<Instant>,
}

impl Audit {
    /// Records a command that was carried out or refused.
    pub fn record(&self, given: Given, outcome: Outcome) {
        let entry = Entry::now(given, outcome);
        // Before its line, so that whoever has seen the line finds the entry.
        push(&mut self.lists().commands, entry.clone(), COMMANDS);
        entry.log();
    }

    /// Records a command of a client that may not give any.
    pub fn record_denied(&self, given: Given, outcome: Outcome) {
        self.denied_at(Instant::now(), given, outcome);
    }

    fn denied_at(&self, now: Instant, given: Given, outcome: Outcome) {
        let mut lists = self.lists();
        let next = lists.last_denied.map(|last| last + BETWEEN_DENIED);
        if next.is_some_and(|next| now < next) {
            return;
        }
        lists.last_denied = Some(now);
        let entry = Entry::now(given, outcome);
        push(&mut lists.denied, entry.clone(), DENIED);
        drop(lists);
        entry.log();
    }

    /// What is remembered, newest first.
    pub fn entries(&self) -> Vec<Entry> {
        let lists = self.lists();
        let mut entries: Vec<Entry> = lists
            .commands
            .iter()
            .chain(&lists.denied)
            .cloned()
            .collect();
        drop(lists);
        entries.sort_by_key(|entry| Reverse(entry.at));
        entries
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push(list: &mut VecDeque<Entry>, entry: Entry, most: usize) {
    if list.len() == most {
        list.pop_back();
    }
    list.push_front(entry);
}

impl Given {
    /// A command without a subject and arguments.
    pub fn plain(by: By, command: &str) -> Self {
        Self {
            by,
            from: None,
            command: command.to_owned(),
            subject: None,
            arguments: Vec::new(),
        }
    }

    /// A command of a host of the group for all hosts.
    pub(crate) fn of_group(by: &str, wanted: &Wanted) -> Self {
        let (command, subject) = match wanted {
            Wanted::Pause { consumer } => ("pause", Some(consumer)),
            Wanted::Resume { consumer } => ("resume", Some(consumer)),
            Wanted::Rescale { consumer, .. } => ("scale", Some(consumer)),
            Wanted::Reload => ("reload", None),
            Wanted::Swap { component, .. } => ("swap", Some(component)),
        };
        let mut arguments = vec![("all_hosts".to_owned(), "true".to_owned())];
        if let Wanted::Rescale { to, .. } = wanted {
            match to {
                None => arguments.push(("reset".to_owned(), "true".to_owned())),
                Some(bounds) => {
                    let named = bounds.named();
                    arguments.extend(named.map(|(name, to)| (name.to_owned(), to.to_string())));
                }
            }
        }
        Self {
            subject: subject.map(|subject| bounded(subject)),
            arguments,
            ..Self::plain(By::Host(bounded(by)), command)
        }
    }
}

/// As much of a text as is recorded.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

impl Entry {
    fn now(given: Given, outcome: Outcome) -> Self {
        Self {
            at: SystemTime::now(),
            given,
            outcome,
        }
    }

    fn log(&self) {
        let given = &self.given;
        let from = given.from.map(|address| address.to_string());
        let arguments = given.arguments.iter();
        let arguments: Vec<String> = arguments
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let arguments = arguments.join(", ");
        Fact::Audit {
            by: &given.by,
            from: from.as_deref(),
            command: &given.command,
            subject: given.subject.as_deref(),
            arguments: (!arguments.is_empty()).then_some(&*arguments),
            result: self.outcome.as_str(),
        }
        .emit();
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Viewer => f.write_str("viewer"),
            Self::Local => f.write_str("local"),
            Self::Unknown => f.write_str("unknown"),
            Self::Signal(name) => write!(f, "signal {name}"),
            Self::Host(name) => write!(f, "host {name}"),
        }
    }
}

impl Outcome {
    /// `ok`, the code of the error, or `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Code(code) => code.as_str(),
            Self::Refused => "refused",
        }
    }

    /// Of a refusal with this code.
    pub(crate) fn of_code(code: Option<Code>) -> Self {
        code.map_or(Self::Refused, Self::Code)
    }

    /// What came of a command.
    pub fn of<T>(answer: &Result<T, Refusal>) -> Self {
        match answer {
            Ok(_) => Self::Done,
            Err(refusal) => Self::of_code(refusal.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str) -> Given {
        Given::plain(By::Admin, name)
    }

    fn names(audit: &Audit) -> Vec<String> {
        let entries = audit.entries().into_iter();
        entries.map(|entry| entry.given.command).collect()
    }

    #[test]
    fn the_last_thousand_are_remembered_newest_first() {
        let audit = Audit::default();
        for number in 0..=COMMANDS {
            audit.record(given(&number.to_string()), Outcome::Done);
        }
        let names = names(&audit);
        assert_eq!(names.len(), COMMANDS);
        assert_eq!((&*names[0], &*names[COMMANDS - 1]), ("1000", "1"));
    }

    #[test]
    fn whoever_is_denied_pushes_out_nothing_and_fills_no_log() {
        let audit = Audit::default();
        audit.record(given("pause"), Outcome::Done);
        let start = Instant::now();
        let denied = |after: Duration| {
            let outcome = Outcome::Code(Code::TokenRefused);
            audit.denied_at(start + after, given("denied"), outcome);
        };
        for _ in 0..2 * COMMANDS {
            denied(Duration::ZERO);
        }
        assert_eq!(names(&audit).len(), 2);
        for number in 1..2 * 100 {
            denied(number * BETWEEN_DENIED);
        }
        let names = names(&audit);
        assert_eq!(names.len(), DENIED + 1);
        assert!(names.contains(&"pause".to_owned()));
    }
}
