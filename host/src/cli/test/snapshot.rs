//! Answers as they were once: a file beside each test file, rewritten by `--update`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::compare::{Difference, differs, snapshots};
use crate::cli::Exit;
use crate::cli::say::fault;

/// The snapshots of a test file, by the name of the case.
pub(super) struct Snapshots {
    path: PathBuf,
    kept: Map<String, Value>,
}

impl Snapshots {
    /// Those of the test file at `path`, as in `orders.test.snap.json` for `orders.test.toml`.
    pub(super) fn read(path: &Path) -> Result<Self, Exit> {
        let path = path.with_extension("snap.json");
        let kept = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let path = path.display();
                fault!("{path} is not a file of snapshots: {error}; delete it, and `hive-host test --update` writes a new one");
                Exit::Misused
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => {
                fault!("{} cannot be read: {error}", path.display());
                return Err(Exit::Misused);
            }
        };
        Ok(Self { path, kept })
    }

    /// How the answers of a case differ from what is kept.
    pub(super) fn differences(&self, case: &str, got: &Value) -> Vec<Difference> {
        match self.kept.get(case) {
            Some(kept) => snapshots(kept, got),
            None => {
                let words = "there is none yet; `hive-host test --update` keeps this answer";
                vec![differs("snapshot", format!("{words}\n{got:#}"))]
            }
        }
    }

    /// Keeps what came now, and forgets cases that are in the file no more. Says whether that changes the file.
    pub(super) fn update(
        &mut self,
        got: Vec<(String, Value)>,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<bool, Exit> {
        let before = self.kept.clone();
        self.kept.retain(|case, _| is_known(case));
        self.kept.extend(got);
        if self.kept == before {
            return Ok(false);
        }
        let written = match self.kept.is_empty() {
            true => std::fs::remove_file(&self.path),
            false => {
                let text = format!("{:#}\n", Value::from(self.kept.clone()));
                std::fs::write(&self.path, text)
            }
        };
        written.map(|()| true).map_err(|error| {
            fault!("{} cannot be written: {error}", self.path.display());
            Exit::Failed
        })
    }
}
