//! Gathers what is wrong while the loader goes on, so that one run tells everything.

use std::ops::Range;
use std::path::Path;

use super::problem::{Problem, Severity};
use super::redact;
use super::written::Node;

/// What was found so far.
pub(crate) struct Faults {
    found: Vec<Found>,
    /// Where the values of secret keys stand.
    secrets: Vec<Range<usize>>,
    /// The text did not parse as a whole, so something that is not there may just not be seen.
    incomplete: bool,
}

/// A problem whose line is not looked up yet: which parts of a line are secret is known only once
/// the whole file has been read.
struct Found {
    severity: Severity,
    key: String,
    span: Option<Range<usize>>,
    message: String,
    remedy: String,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self {
            found: Vec::new(),
            secrets: Vec::new(),
            incomplete: false,
        }
    }

    /// The text is not TOML here.
    pub(crate) fn syntax(&mut self, message: &str, span: Option<Range<usize>>) {
        let duplicate = message.contains("duplicate key");
        self.incomplete |= !duplicate;
        let remedy = match duplicate {
            true => "keep one of them, and merge the rest into it",
            false => "correct the TOML here; https://toml.io shows its syntax",
        };
        let message = format!("the file is not valid TOML: {message}");
        self.push(Severity::Error, "", span, message, remedy);
    }

    /// The value of this node is wrong.
    pub(crate) fn error(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let span = Some(node.span.clone());
        self.push(Severity::Error, &node.key, span, message, remedy);
    }

    /// A key that should stand in this node, a table, is not there. Not told of a text that does
    /// not parse as a whole.
    pub(crate) fn missing(&mut self, table: &Node, key: &str, remedy: impl Into<String>) {
        if self.incomplete {
            return;
        }
        let key = match table.key.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let span = (!table.key.is_empty()).then(|| table.span.clone());
        self.push(Severity::Error, &key, span, "is missing", remedy);
    }

    /// The value of this node names something that is not there. As with [`Faults::missing`].
    pub(crate) fn dangling(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.incomplete {
            self.error(node, message, remedy);
        }
    }

    /// The key of this node is not one of its table's. The keys behind a broken table header come
    /// out at the top of the file, where nothing is said of them.
    pub(crate) fn unknown(&mut self, node: &Node, remedy: impl Into<String>) {
        let displaced = self.incomplete && !node.key.contains('.');
        if !displaced {
            self.error(node, "is not a known key", remedy);
        }
    }

    /// Something outside of the file is wrong: an environment variable, the file itself.
    pub(crate) fn elsewhere(
        &mut self,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, key, None, message, remedy);
    }

    /// The value of this node can be run, and is odd.
    pub(crate) fn warning(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let span = Some(node.span.clone());
        self.push(Severity::Warning, &node.key, span, message, remedy);
    }

    /// What stands here is never shown.
    pub(crate) fn secret(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    /// Whether the file cannot be run.
    pub(crate) fn any_error(&self) -> bool {
        self.found.iter().any(|f| f.severity == Severity::Error)
    }

    /// Everything that was found, in the order of the file; what is in no line of it comes last.
    pub(crate) fn finish(mut self, path: &Path, text: &str) -> Vec<Problem> {
        self.found
            .sort_by_key(|found| found.span.as_ref().map_or(usize::MAX, |span| span.start));
        self.found
            .into_iter()
            .map(|found| Problem {
                severity: found.severity,
                file: path.to_owned(),
                key: found.key,
                message: found.message,
                remedy: found.remedy,
                excerpt: found
                    .span
                    .map(|span| redact::excerpt(text, &span, &self.secrets)),
            })
            .collect()
    }

    fn push(
        &mut self,
        severity: Severity,
        key: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.found.push(Found {
            severity,
            key: key.to_owned(),
            span,
            message: message.into(),
            remedy: remedy.into(),
        });
    }
}
