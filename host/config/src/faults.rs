//! Collects faults while the loader continues, so that one run reports all of them.

use std::ops::Range;

use hive_core::codes::Code;

use super::problem::{Excerpt, Problem, Severity};
use super::redact;
use super::sources::{Source, Sources};
use super::written::Node;

/// The faults found so far.
pub(crate) struct Faults {
    found: Vec<Found>,
    /// Where the values of secret keys stand.
    secrets: Vec<Range<usize>>,
    /// Values that are not as they stand in a file, each with the environment variables that fill it in.
    filled: Vec<(Range<usize>, Vec<String>)>,
    /// The files that did not parse as a whole, so that something that is not there may just not be
    /// seen.
    incomplete: Vec<Range<usize>>,
    /// As in `incomplete`, for names that other tables refer to.
    names_are_missing: bool,
}

/// A problem whose line is not looked up yet: which parts of a line are secret is known only once
/// the whole file has been read.
struct Found {
    code: Code,
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
            filled: Vec::new(),
            incomplete: Vec::new(),
            names_are_missing: false,
        }
    }

    /// The text is not TOML here.
    pub(crate) fn syntax(&mut self, message: &str, span: Option<Range<usize>>, source: &Source) {
        let duplicate = message.contains("duplicate key");
        if !duplicate {
            self.incomplete.push(source.range());
            self.names_are_missing();
        }
        // A fault without a place would be reported for the main file.
        let span = Some(source.placed(span.unwrap_or(0..0)));
        let (code, remedy) = match duplicate {
            true => (
                Code::KeyTwice,
                "keep one of them, and merge the rest into it",
            ),
            false => (
                Code::NotToml,
                "correct the TOML here; https://toml.io shows its syntax",
            ),
        };
        let message = format!("the file is not valid TOML: {message}");
        self.push(Severity::Error, code, "", span, message, remedy);
    }

    /// The value of this node is wrong.
    pub(crate) fn error(
        &mut self,
        code: Code,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let span = Some(node.span.clone());
        self.push(Severity::Error, code, &node.key, span, message, remedy);
    }

    /// A name refers to a table that is missing only because its section could not be read.
    pub(crate) fn names_are_missing(&mut self) {
        self.names_are_missing = true;
    }

    /// Whether names may be missing because a file could not be read.
    pub(crate) fn may_miss_names(&self) -> bool {
        self.names_are_missing
    }

    /// A required key is missing in this table. Not reported for a text that does not parse as a whole; for the
    /// whole configuration, not reported if any text does not parse.
    pub(crate) fn missing(&mut self, table: &Node, key: &str, remedy: impl Into<String>) {
        let unseen = match table.key.is_empty() {
            true => self.names_are_missing,
            false => self.is_incomplete(table),
        };
        if unseen {
            return;
        }
        let key = match table.key.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let span = (!table.key.is_empty()).then(|| table.span.clone());
        self.push(
            Severity::Error,
            Code::MissingKey,
            &key,
            span,
            "is missing",
            remedy,
        );
    }

    /// The value of this node names something that is not there. As with [`Faults::missing`].
    pub(crate) fn dangling(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.names_are_missing {
            self.error(Code::UnknownReference, node, message, remedy);
        }
    }

    /// The key of this node is unknown in its table, or misplaced, as `code` says. The keys behind a broken table header appear at the top of
    /// the file, where they are not reported.
    pub(crate) fn unknown(&mut self, code: Code, node: &Node, remedy: impl Into<String>) {
        let displaced = self.is_incomplete(node) && !node.key.contains('.');
        if !displaced {
            self.error(code, node, "is not a known key", remedy);
        }
    }

    /// Something outside of the file is wrong: an environment variable, the file itself.
    pub(crate) fn elsewhere(
        &mut self,
        code: Code,
        key: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, code, key, None, message, remedy);
    }

    /// The value of this node can be run, and is odd.
    pub(crate) fn warning(
        &mut self,
        code: Code,
        node: &Node,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let span = Some(node.span.clone());
        self.push(Severity::Warning, code, &node.key, span, message, remedy);
    }

    /// The value at this place is never shown.
    pub(crate) fn secret(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    /// The value at this place has the values of these environment variables in it.
    pub(crate) fn filled(&mut self, span: Range<usize>, variables: Vec<String>) {
        if !variables.is_empty() {
            self.filled.push((span, variables));
        }
    }

    /// Drops the faults under keys that do not matter.
    pub(crate) fn keep(&mut self, matters: impl Fn(&str) -> bool) {
        self.found.retain(|found| matters(&found.key));
    }

    /// Whether the file cannot be run.
    pub(crate) fn any_error(&self) -> bool {
        self.found.iter().any(|f| f.severity == Severity::Error)
    }

    /// All faults, in the order of the files and of their lines; those without a line come last.
    pub(crate) fn finish(mut self, sources: &Sources) -> Vec<Problem> {
        self.found
            .sort_by_key(|found| found.span.as_ref().map_or(usize::MAX, |span| span.start));
        self.secrets.sort_by_key(|secret| secret.start);
        let secrets = self.secrets;
        for found in &mut self.found {
            let mut filled = self.filled.iter();
            let of_it = filled.find(|(span, _)| Some(span) == found.span.as_ref());
            if let Some((_, variables)) = of_it {
                found.remedy = format!("{}; {}", found.remedy, origin(variables));
            }
        }
        self.found
            .into_iter()
            .map(|found| Problem {
                severity: found.severity,
                code: found.code,
                file: match &found.span {
                    Some(span) => sources.of(span).path.clone(),
                    None => sources.main().path.clone(),
                },
                key: found.key,
                message: found.message,
                remedy: found.remedy,
                excerpt: found
                    .span
                    .map(|span| excerpt(sources.of(&span), &span, &secrets)),
            })
            .collect()
    }

    /// Whether the file of this node did not parse as a whole.
    fn is_incomplete(&self, node: &Node) -> bool {
        self.incomplete
            .iter()
            .any(|file| file.contains(&node.span.start))
    }

    fn push(
        &mut self,
        severity: Severity,
        code: Code,
        key: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.found.push(Found {
            severity,
            code,
            key: key.to_owned(),
            span,
            message: message.into(),
            remedy: remedy.into(),
        });
    }
}

/// What is in a value that does not stand in the file.
fn origin(variables: &[String]) -> String {
    match variables {
        [one] => format!("the environment variable {one} is part of the value"),
        many => format!(
            "the environment variables {} are part of the value",
            many.join(", ")
        ),
    }
}

/// The line of a file in which `span` begins; `secrets` are those of all files, sorted.
fn excerpt(source: &Source, span: &Range<usize>, secrets: &[Range<usize>]) -> Excerpt {
    let file = source.range();
    let first = secrets.partition_point(|secret| secret.start < file.start);
    let behind = secrets.partition_point(|secret| secret.start < file.end);
    let secrets: Vec<_> = secrets[first..behind]
        .iter()
        .map(|secret| source.within(secret))
        .collect();
    redact::excerpt(&source.text, &source.within(span), &secrets)
}
