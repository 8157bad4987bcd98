//! One thing that is wrong with a hive.toml: where, what, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hive_core::codes::Code;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be run.
    Error,
    /// The file can be run, and probably does not mean what it says.
    Warning,
}

/// One fault or oddity of a file. Holds no secret: user info and keys are struck out of it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) file: PathBuf,
    pub(super) key: String,
    pub(super) message: String,
    pub(super) remedy: String,
    pub(super) excerpt: Option<Excerpt>,
}

/// The line of a file that a problem is about, fit to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    /// Counted from 1.
    pub(super) line: usize,
    /// Without its line end, redacted.
    pub(super) text: String,
    /// The part of `text` that the caret marks, in bytes.
    pub(super) span: Range<usize>,
}

impl Problem {
    /// Whether the file can be run all the same.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The code of the problem, for `hive-host explain`.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The full dotted key, as in `consumers.orders.retry.delays[1]`; empty where the file as a
    /// whole is at fault, and the name of the variable where the environment is.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The file that it is in: hive.toml, or one that it includes.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line in the file, counted from 1; `None` if the fault has no line.
    pub fn line(&self) -> Option<usize> {
        self.excerpt.as_ref().map(|excerpt| excerpt.line)
    }

    /// The fault; reads as a sentence after [`Problem::key`].
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The remedy.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a file that cannot be run: at least one fault, and the warnings.
#[derive(Debug, Clone)]
pub struct Problems {
    problems: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// For a terminal: each problem with its line and its remedy, and how many there are.
    pub fn render(&self, colour: bool) -> String {
        super::render(&self.problems, colour)
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}
