//! Which files a run is about.

use std::path::{Path, PathBuf};

use crate::cli::Exit;
use crate::cli::dev::folder;
use crate::cli::say::fault;

/// How a test file's name ends.
const END: &str = ".test.toml";

/// The files of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) hive_toml: PathBuf,
    /// The test files; at least one.
    pub(super) tests: Vec<PathBuf>,
}

/// Tells hive.toml from test files by their names, and looks beside hive.toml where no test file is named.
pub(super) fn given(named: &[PathBuf]) -> Result<Given, Exit> {
    let (tests, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        named.iter().partition(|path| is_test(path));
    let hive_toml = match &others[..] {
        [] => match tests.first() {
            Some(test) => folder(test).join("hive.toml"),
            None => PathBuf::from("hive.toml"),
        },
        [one] => (*one).clone(),
        [_, second, ..] => {
            let second = second.display();
            fault!("{second}: name one hive.toml; the name of a test file ends in {END}");
            return Err(Exit::Misused);
        }
    };
    let tests = match tests.is_empty() {
        false => tests.into_iter().cloned().collect(),
        true => beside(&hive_toml)?,
    };
    Ok(Given { hive_toml, tests })
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().ends_with(END)
}

/// The test files in the folder of a hive.toml, by name.
fn beside(hive_toml: &Path) -> Result<Vec<PathBuf>, Exit> {
    let here = folder(hive_toml);
    let entries = std::fs::read_dir(here).map_err(|error| {
        fault!("{} cannot be read: {error}", here.display());
        Exit::Misused
    })?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut tests: Vec<PathBuf> = paths.filter(|path| is_test(path)).collect();
    tests.sort();
    if tests.is_empty() {
        let here = here.display();
        fault!("{here} has no test file; write one whose name ends in {END} (docs/testing.md)");
        return Err(Exit::Misused);
    }
    // As they would be named: without `./` where hive.toml is named so.
    let without_dot = |path: PathBuf| match path.strip_prefix("./") {
        Ok(path) => path.to_owned(),
        Err(_) => path,
    };
    Ok(tests.into_iter().map(without_dot).collect())
}
