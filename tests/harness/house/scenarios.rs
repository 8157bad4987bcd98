//! The scenarios by name, as the test runner spells them: `subject::module::function`. The lists of `tests/` and the
//! documents name scenarios, and cargo runs what there is of a list without a word about the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build::workspace;

/// Attributes that make a function a test.
const TESTS: [&str; 2] = ["#[test]", "#[tokio::test"];

/// The modules of `tests/scenarios` and their tests.
#[derive(Debug, Default)]
pub struct Scenarios {
    modules: BTreeMap<String, BTreeSet<String>>,
}

impl Scenarios {
    /// Reads the sources: a folder for each subject, with a file for each module.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read() -> Result<Self> {
        let mut modules = BTreeMap::new();
        for subject in entries(&folder())?.iter().filter(|path| path.is_dir()) {
            for file in entries(subject)? {
                let text = std::fs::read_to_string(&file)?;
                let name = format!("{}::{}", stem(subject)?, stem(&file)?);
                modules.insert(name, tests(&text));
            }
        }
        Ok(Self { modules })
    }

    /// The modules, as `subject::module`.
    pub fn modules(&self) -> BTreeSet<&str> {
        self.modules.keys().map(String::as_str).collect()
    }

    /// Whether there is a scenario of this whole name.
    pub fn has(&self, name: &str) -> bool {
        let parts = name.rsplit_once("::");
        parts.is_some_and(|(module, function)| {
            let functions = self.modules.get(module);
            functions.is_some_and(|functions| functions.contains(function))
        })
    }

    /// The functions that show a numbered behaviour, as `s17_…`.
    pub fn numbered(&self) -> BTreeSet<&str> {
        let functions = self.modules.values().flatten().map(String::as_str);
        functions
            .filter(|name| super::documents::is_numbered(name))
            .collect()
    }

    /// All scenarios, by their whole names.
    pub fn names(&self) -> BTreeSet<String> {
        let of_module = |(module, functions): (&String, &BTreeSet<String>)| -> Vec<String> {
            let names = functions.iter().map(|name| format!("{module}::{name}"));
            names.collect()
        };
        self.modules.iter().flat_map(of_module).collect()
    }

    /// The scenarios that a line of a list is meant to leave out: of a subject, of a module, or one.
    pub fn meant_by(&self, listed: &str) -> BTreeSet<String> {
        let mut names = self.names();
        names.retain(|name| {
            let rest = name.strip_prefix(listed);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        });
        names
    }

    /// The scenarios that the test runner leaves out for that line: those whose names contain a text.
    pub fn skipped_by(&self, listed: &str) -> BTreeSet<String> {
        let is_scenario = listed.split("::").count() == 3;
        let text = match is_scenario {
            true => listed.to_owned(),
            false => format!("{listed}::"),
        };
        let mut names = self.names();
        names.retain(|name| name.contains(&text));
        names
    }

    /// The scenarios that a run leaves over that skips these lists.
    pub fn left_by(&self, lists: &[Vec<Listed>]) -> BTreeSet<String> {
        let mut names = self.names();
        for listed in lists.iter().flatten() {
            for skipped in self.skipped_by(&listed.name) {
                names.remove(&skipped);
            }
        }
        names
    }
}

/// A line of a list of scenarios that a run leaves out.
#[derive(Debug)]
pub struct Listed {
    /// A subject, a module or a scenario.
    pub name: String,
    /// Why it is left out.
    pub reason: String,
}

/// Reads a list of `tests/`: a name and a reason in each line that is not empty and does not begin with `#`.
///
/// # Errors
/// If it cannot be read.
pub fn listed(file: &str) -> Result<Vec<Listed>> {
    let text = std::fs::read_to_string(workspace().join("tests").join(file))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !line.is_empty()).map(|line| {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        Listed {
            name: name.to_owned(),
            reason: reason.trim().to_owned(),
        }
    });
    Ok(lines.collect())
}

/// The modules that `main.rs` declares. A file that it does not declare is not compiled.
///
/// # Errors
/// If it cannot be read.
pub fn declared() -> Result<BTreeSet<String>> {
    let main = std::fs::read_to_string(folder().join("main.rs"))?;
    Ok(declared_in(&main))
}

fn declared_in(main: &str) -> BTreeSet<String> {
    let mut subject = "";
    let mut modules = BTreeSet::new();
    for line in main.lines().map(str::trim) {
        let Some((_, name)) = line.split_once("mod ") else {
            continue;
        };
        if let Some(name) = name.strip_suffix(" {") {
            subject = name;
        } else if let Some(name) = name.strip_suffix(';') {
            modules.insert(format!("{subject}::{name}"));
        }
    }
    modules
}

/// The names of the tests in a source.
fn tests(source: &str) -> BTreeSet<String> {
    let mut lines = source.lines();
    let mut names = BTreeSet::new();
    while let Some(line) = lines.next() {
        if TESTS.iter().any(|test| line.trim().starts_with(test)) {
            // Other attributes may stand between.
            let head = lines.by_ref().find_map(|line| line.split_once("fn "));
            let name = head.and_then(|(_, rest)| rest.split(['(', '<']).next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

fn folder() -> PathBuf {
    workspace().join("tests/scenarios")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn stem(path: &Path) -> Result<&str> {
    path.file_stem()
        .and_then(OsStr::to_str)
        .context("a name of ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_their_helpers() {
        let source = "async fn helper() {}\n#[tokio::test(flavor = \"multi_thread\")]\n#[cfg(unix)]\nasync fn one() {}\n    #[test]\n    fn two() {}\n";
        assert_eq!(tests(source), ["one".to_owned(), "two".to_owned()].into());
    }

    #[test]
    fn modules_are_read_with_their_subject() {
        let main = "mod retry {\n    mod dead;\n    pub(crate) mod retries;\n}\nmod cli {\n    mod new;\n}\n";
        let expected = ["cli::new", "retry::dead", "retry::retries"].map(str::to_owned);
        assert_eq!(declared_in(main), expected.into());
    }

    #[test]
    fn a_list_skips_subjects_modules_and_scenarios() {
        let functions = ["it_works", "it_works_twice"].map(str::to_owned);
        let functions = BTreeSet::from(functions);
        let names = ["change::swap", "change::reload", "cli::hot_swap"];
        let modules = names.map(|name| (name.to_owned(), functions.clone()));
        let scenarios = Scenarios {
            modules: modules.into(),
        };
        for listed in ["change", "change::swap", "change::swap::it_works_twice"] {
            assert_eq!(
                scenarios.skipped_by(listed),
                scenarios.meant_by(listed),
                "{listed}"
            );
        }
        assert_eq!(scenarios.meant_by("change").len(), 4);
        // A text that is in other names too.
        assert_eq!(scenarios.meant_by("swap").len(), 0);
        assert_eq!(scenarios.skipped_by("swap").len(), 4);
        assert_eq!(scenarios.skipped_by("change::swap::it_works").len(), 2);
        let left = scenarios.left_by(&[vec![Listed {
            name: "change".to_owned(),
            reason: String::new(),
        }]]);
        assert_eq!(left, scenarios.meant_by("cli"));
        assert!(scenarios.has("cli::hot_swap::it_works"));
        assert!(!scenarios.has("hot_swap::it_works"));
    }
}
