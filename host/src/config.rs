//! hive.toml: as written (`keys`, `written`), as meant ([`plan`]), and every fault on the way
//! between, told in one run.
//!
//! A file goes through three steps. `read` walks the parsed TOML along the table of known keys
//! and yields a tree of typed values. `meaning` turns that tree into a [`plan::Plan`]. Both put
//! what they find wrong into `faults`, go on, and leave the telling to `problem` and `render`.

use std::path::Path;

use toml::de::DeTable;

mod environment;
mod problem;

mod keys;
mod unbuilt;

mod faults;
mod interpolate;
mod meaning;
mod nearest;
mod read;
mod redact;
mod render;
mod units;
mod url;
mod written;

pub mod plan;

pub use environment::Environment;
pub use problem::{Problem, Problems, Severity};
pub use render::render;

use faults::Faults;
use plan::Plan;
use read::Reader;

/// A file that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What to run.
    pub plan: Plan,
    /// What is odd about it, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads the file at `path`. On failure every fault of the file is in the answer, not only the
/// first one, and so are the warnings.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
    match std::fs::read_to_string(path) {
        Ok(text) => load_text(path, &text, environment),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// As [`load`], for a text that is already in memory; `path` is where it says it is.
fn load_text(path: &Path, text: &str, environment: &Environment) -> Result<Loaded, Problems> {
    let (document, broken) = DeTable::parse_recoverable(text);
    let mut faults = Faults::new();
    for error in &broken {
        faults.syntax(error.message(), error.span());
    }
    let base = path.parent().unwrap_or(Path::new(""));
    let written = Reader::new(environment, base, &mut faults).read(document.get_ref());
    let plan = meaning::plan(&written, environment, base, &mut faults);
    let failed = faults.any_error();
    let problems = faults.finish(path, text);
    match plan {
        Some(plan) if !failed => Ok(Loaded {
            plan,
            warnings: problems,
        }),
        _ => Err(Problems::new(problems)),
    }
}

/// The answer for a file that cannot be read at all.
fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    let mut faults = Faults::new();
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "name the file to read, as in `hive-host run hive.toml`",
        std::io::ErrorKind::InvalidData => "save the file as UTF-8",
        _ => "name a file that this user may read",
    };
    let message = format!("cannot read {}: {error}", path.display());
    faults.elsewhere("", message, remedy);
    Problems::new(faults.finish(path, ""))
}

#[cfg(test)]
mod tests;
