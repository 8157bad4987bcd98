//! How the commands print: results to standard output, errors to standard error, each in one way.
//!
//! If the reader of results goes away, the command ends: there is nothing left to do. If the reader of errors
//! goes away, it continues. Texts from outside are escaped here, whatever a command prints.

use std::collections::BTreeSet;
use std::fmt::{Arguments, Display};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hive_config::{Problem, Problems, Severity};
use hive_core::codes::Code;
use hive_core::escape;

use crate::log;

/// The exit code that a shell reports for a program that SIGPIPE has ended, 128 and the number of the signal: a
/// pipeline with `pipefail` then sees that not everything was read, as with any other tool.
const READER_IS_GONE: i32 = 128 + 13;

/// The codes of the errors that were printed.
static CODES: Mutex<BTreeSet<Code>> = Mutex::new(BTreeSet::new());

/// The cursor to the beginning of its line, and the line cleared (ECMA-48, EL).
const CLEARED: &str = "\r\u{1b}[K";

/// There is a line of [`progress`] at the terminal.
static HAS_PROGRESS: AtomicBool = AtomicBool::new(false);

/// Prints one line of a result.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::say::line(format_args!($($text)*))
    };
}

/// Prints an error, behind `error: `; with a code in brackets first, behind `error[HIVE-0103]: `.
macro_rules! fault {
    ([$code:expr] $($text:tt)*) => {
        $crate::cli::say::wrong("error", $code, format_args!($($text)*))
    };
    ($($text:tt)*) => {
        $crate::cli::say::wrong("error", None, format_args!($($text)*))
    };
}

/// Prints a warning, behind `warning: `, or with its code as for an error.
macro_rules! warning {
    ([$code:expr] $($text:tt)*) => {
        $crate::cli::say::wrong("warning", $code, format_args!($($text)*))
    };
    ($($text:tt)*) => {
        $crate::cli::say::wrong("warning", None, format_args!($($text)*))
    };
}

pub(super) use {fault, out, warning};

/// See [`out`].
pub(super) fn line(text: Arguments<'_>) {
    let text = text.to_string();
    result(&format!("{}\n", escape::line(&text)));
}

/// Prints a result of several lines. The caller has escaped the text within each line.
pub(super) fn lines(text: &impl Display) {
    let text = text.to_string();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    result(&format!("{}\n", escape::lines(text)));
}

/// Prints a result as JSON.
pub(super) fn json(value: &impl Display) {
    let text = value.to_string();
    result(&format!("{}\n", escape::json(&text)));
}

/// Shows a line that the next one takes the place of, whatever prints that. For a terminal alone.
pub(super) fn progress(text: &str) {
    let line = escape::line(text);
    // A line that goes anyway.
    let _shown = io::stderr().write_all(format!("{CLEARED}{line}").as_bytes());
    HAS_PROGRESS.store(true, Ordering::Release);
}

/// Takes the line of [`progress`] away, if there is one.
fn end_progress() {
    if HAS_PROGRESS.swap(false, Ordering::AcqRel) {
        let _cleared = io::stderr().write_all(CLEARED.as_bytes());
    }
}

/// Prints a result as it stands: with what moves a terminal's cursor or colours a line.
pub(super) fn result(text: &str) {
    end_progress();
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    match written.and_then(|()| output.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(READER_IS_GONE),
        Err(error) => {
            fault!("standard output cannot be written: {error}");
            process::exit(1);
        }
    }
}

/// See [`fault`] and [`warning`]. A text of several lines is printed whole.
pub(super) fn wrong(what: &str, code: impl Into<Option<Code>>, text: Arguments<'_>) {
    let code = code.into();
    if what == "error" {
        has_printed(code);
    }
    let code = code.map_or(String::new(), |code| format!("[{code}]"));
    note(&format!(
        "{what}{code}: {}",
        escape::paragraph(&text.to_string())
    ));
}

/// Prints the errors of a file, each with its line and its remedy.
pub(super) fn problems(problems: &Problems) {
    note(&problems.render(io::stderr().is_terminal()));
    let errors = problems.iter();
    let errors = errors.filter(|problem| problem.severity() == Severity::Error);
    has_printed(errors.map(Problem::code));
}

/// Notes the codes of errors that were printed, for [`explain_errors`].
fn has_printed(codes: impl IntoIterator<Item = Code>) {
    codes_printed().extend(codes);
}

/// Prints where the errors that were printed are explained. The last line of a command that failed.
pub(super) fn explain_errors() {
    if let Some(hint) = hint(&std::mem::take(&mut codes_printed())) {
        note(&hint);
    }
}

fn codes_printed() -> MutexGuard<'static, BTreeSet<Code>> {
    CODES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hint(codes: &BTreeSet<Code>) -> Option<String> {
    let first = codes.first()?;
    if codes.len() == 1 {
        return Some(format!(
            "`hive-host explain {first}` describes the error and what to do about it"
        ));
    }
    let codes: Vec<_> = codes.iter().map(ToString::to_string).collect();
    Some(format!(
        "`hive-host explain CODE` describes an error and what to do about it; the codes: {}",
        codes.join(", ")
    ))
}

/// Writes a text to standard error unchanged; while a log runs, through the log, after the lines that wait
/// there. If it cannot be written, there is no way to report that.
pub(super) fn note(text: &str) {
    end_progress();
    let text = format!("{text}\n");
    if !log::put(&text) {
        io::stderr().write_all(text.as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_each_code_once() {
        let of = |codes: &[Code]| hint(&codes.iter().copied().collect());
        assert_eq!(of(&[]), None);
        let one = of(&[Code::UnknownKey, Code::UnknownKey]);
        assert!(one.is_some_and(|hint| hint.contains("`hive-host explain HIVE-0103`")));
        let two = of(&[Code::MissingKey, Code::UnknownKey]);
        assert!(two.is_some_and(|hint| hint.ends_with("HIVE-0103, HIVE-0104")));
    }
}
