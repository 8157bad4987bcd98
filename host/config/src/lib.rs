//! hive.toml: as written (`keys`, `written`; `schema` for editors), as meant ([`plan`]), and every fault on the way
//! between, told in one run.
//!
//! A file goes through these steps. `read` walks the parsed TOML along the table of known keys
//! and yields a tree of typed values. `include` joins to it the trees of the files that it
//! includes. `meaning` turns the whole into a [`plan::Plan`]. All put what they find wrong into
//! `faults`, go on, and leave the telling to `problem` and `render`.

use hive_core::codes::Code;
use std::path::Path;

use toml::de::DeTable;

pub mod authorities;
pub mod files;
pub mod tls;

mod asyncapi;
mod environment;
mod problem;

mod keys;

mod faults;
mod include;
mod interpolate;
mod meaning;
mod read;
mod redact;
mod render;
mod schema;
mod sources;
pub mod units;
mod url;
mod written;

pub mod cases;
pub mod diff;
pub mod plan;

pub use asyncapi::asyncapi;
pub use environment::Environment;
pub use problem::{Problem, Problems, Severity};
pub use render::render;
pub use schema::{cases_schema, schema};

use faults::Faults;
use keys::Key;
use plan::{HostPlan, Plan};
pub use read::LONGEST_RETRIED;
use read::Reader;
use sources::{Source, Sources};
use written::Node;

/// A file that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The plan to run.
    pub plan: Plan,
    /// The warnings, in the order of the files.
    pub warnings: Vec<Problem>,
    /// Whether the file or the environment says where a broker is. Where neither does, every connection
    /// has the default URL.
    pub names_a_broker: bool,
}

/// What a hive.toml may have, in bytes; the largest that anybody has shown us has a thousandth of it.
const LARGEST_FILE: usize = 64 << 20;

/// Reads the file at `path`, and those that it includes. On failure every fault of every file is in
/// the answer, not only the first one, and so are the warnings.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
    match files::read_text_at_most(path, LARGEST_FILE) {
        Ok(text) => load_text(path, &text, environment),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Reads only `[host]` of the file at `path`: a command that talks to a running host need not have the host's
/// environment.
///
/// # Errors
///
/// The faults of that section, and of a file that is not TOML.
pub fn load_host(path: &Path, environment: &Environment) -> Result<HostPlan, Problems> {
    let text =
        files::read_text_at_most(path, LARGEST_FILE).map_err(|error| unreadable(path, &error))?;
    let sources = Sources::new(path, &text);
    let mut faults = Faults::new();
    let written = read(sources.main(), keys::ROOT, environment, &mut faults);
    let plan = meaning::host_plan(&written, environment, &sources, &mut faults);
    faults.keep(|key| key.is_empty() || key == "host" || key.starts_with("host."));
    match plan {
        Some(plan) if !faults.any_error() => Ok(plan),
        _ => Err(Problems::new(faults.finish(&sources))),
    }
}

/// As [`load`], for a text that is already in memory; `path` is where it says it is.
fn load_text(path: &Path, text: &str, environment: &Environment) -> Result<Loaded, Problems> {
    let mut sources = Sources::new(path, text);
    let mut faults = Faults::new();
    let main = read(sources.main(), keys::ROOT, environment, &mut faults);
    let mut included = Vec::new();
    for (path, text) in include::texts(&main, path, &mut faults) {
        sources.add(path, text);
        included.push(read(
            sources.last(),
            keys::INCLUDED,
            environment,
            &mut faults,
        ));
    }
    let written = include::merged(main, included, &sources, &mut faults);
    let plan = meaning::plan(&written, environment, &sources, &mut faults);
    let failed = faults.any_error();
    let problems = faults.finish(&sources);
    match plan {
        Some(plan) if !failed => Ok(Loaded {
            plan,
            warnings: problems,
            names_a_broker: meaning::names_a_broker(&written, environment),
        }),
        _ => Err(Problems::new(problems)),
    }
}

/// The tree of one file, which may have these keys.
fn read(
    source: &Source,
    keys: &'static [Key],
    environment: &Environment,
    faults: &mut Faults,
) -> Node {
    let (document, broken) = DeTable::parse_recoverable(&source.text);
    for error in &broken {
        faults.syntax(error.message(), error.span(), source);
    }
    Reader::new(environment, source, faults).read(document.get_ref(), keys)
}

/// The answer for a file that cannot be read at all.
fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    let mut faults = Faults::new();
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => {
            let looked_for = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            format!(
                "there is no {}; go to the folder of your hive.toml, or name the file, as in \
                 `hive-host run folder/hive.toml`",
                looked_for.display()
            )
        }
        std::io::ErrorKind::InvalidData => "save the file as UTF-8".to_owned(),
        _ => "name a file that this user may read".to_owned(),
    };
    let message = format!("cannot read {}: {error}", path.display());
    faults.elsewhere(Code::FileUnreadable, "", message, remedy);
    Problems::new(faults.finish(&Sources::new(path, "")))
}

#[cfg(test)]
mod tests;
