//! The page docs/brokers.md: each promise of docs/reliability.md against each RabbitMQ, with the tests
//! that show it. Made from `tests/promises.toml` and from what the tests of the last recorded runs said. And how many
//! scenarios each broker ran, for docs/broker.md.

mod counts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::broker::Version;
use crate::build::workspace;

pub use self::counts::{
    Counts, IN_PROCESS_ONLY, NEEDS_RABBITMQ, NEWEST_AND_IN_PROCESS, NEWEST_ONLY, NIGHTLY_ONLY,
};

const PROMISES: &str = "tests/promises.toml";
const RESULTS: &str = "tests/broker-results.txt";
const PAGE: &str = "docs/brokers.md";

/// The page without its matrix, which replaces this mark.
const TEXT: &str = include_str!("matrix/page.md");
const MARK: &str = "{matrix}";

/// The matrix: promises, each with what shows it.
#[derive(Debug)]
pub struct Matrix {
    promises: Vec<Promise>,
}

#[derive(Debug)]
struct Promise {
    text: String,
    shown: Vec<Shown>,
}

/// One way in which a promise is tried.
#[derive(Debug)]
struct Shown {
    what: String,
    /// Scenarios, as in `killed::a_host_that`.
    tests: Vec<String>,
    /// The difference on a version, in words.
    notes: BTreeMap<String, String>,
}

/// The tests that passed, by the name of the version.
#[derive(Debug, Default)]
pub struct Results {
    passed: BTreeMap<String, BTreeSet<String>>,
}

impl Matrix {
    /// Reads `tests/promises.toml`.
    ///
    /// # Errors
    /// When it cannot be read, or says something that is not known.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(workspace().join(PROMISES))?;
        let table: Value = toml::from_str(&text).context(PROMISES)?;
        let promises = list(&table["promise"])?.iter().map(promise);
        Ok(Self {
            promises: promises.collect::<Result<_>>().context(PROMISES)?,
        })
    }

    /// The scenarios that it names.
    pub fn tests(&self) -> BTreeSet<&str> {
        let shown = self.promises.iter().flat_map(|promise| &promise.shown);
        shown
            .flat_map(|shown| &shown.tests)
            .map(String::as_str)
            .collect()
    }

    /// The gaps in `results`: each way, and the version on which one of its tests did not pass.
    pub fn gaps(&self, results: &Results) -> Vec<String> {
        let shown = self.promises.iter().flat_map(|promise| &promise.shown);
        let gaps = shown.flat_map(|shown| {
            Version::ALL
                .into_iter()
                .filter(|version| !results.hold(*version, &shown.tests))
                .map(|version| format!("`{}` on {version}", shown.what))
        });
        gaps.collect()
    }

    /// The whole page.
    pub fn page(&self, results: &Results) -> String {
        let mut text = String::new();
        for (number, promise) in self.promises.iter().enumerate() {
            self.section(&mut text, number + 1, promise, results)
                .expect("a String takes everything");
        }
        TEXT.replace(MARK, text.trim())
    }

    fn section(
        &self,
        text: &mut String,
        number: usize,
        promise: &Promise,
        results: &Results,
    ) -> std::fmt::Result {
        writeln!(text, "\n### {number}. {}\n", promise.text)?;
        let versions = Version::ALL.map(Version::release);
        writeln!(text, "| tried by | {} | shown by |", versions.join(" | "))?;
        writeln!(text, "|---|---|---|---|---|")?;
        for shown in &promise.shown {
            let cells = Version::ALL.map(|version| cell(shown, version, results));
            let tests: Vec<String> = shown.tests.iter().map(|test| format!("`{test}`")).collect();
            let (what, cells, tests) = (&shown.what, cells.join(" | "), tests.join(", "));
            writeln!(text, "| {what} | {cells} | {tests} |")?;
        }
        Ok(())
    }
}

fn cell(shown: &Shown, version: Version, results: &Results) -> String {
    let held = match results.hold(version, &shown.tests) {
        true => "holds",
        false => "**not shown**",
    };
    shown
        .notes
        .get(version.name())
        .map_or_else(|| held.to_owned(), |note| format!("{held}: {note}"))
}

impl Results {
    /// Reads the recorded runs.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(workspace().join(RESULTS))?;
        let mut results = Self::default();
        for line in text.lines() {
            let (version, test) = line.split_once(' ').context(RESULTS)?;
            results.add(version, test);
        }
        Ok(results)
    }

    /// Takes in the output of a run of the scenarios on one version: what passed is recorded, what
    /// failed is taken out of the record, and what did not run stays as it was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take_in(&mut self, version: Version, output: &Path) -> Result<()> {
        for (test, passed) in verdicts(output)? {
            if passed {
                self.add(version.name(), &test);
            } else if let Some(all) = self.passed.get_mut(version.name()) {
                all.remove(&test);
            }
        }
        Ok(())
    }

    fn add(&mut self, version: &str, test: &str) {
        self.passed
            .entry(version.to_owned())
            .or_default()
            .insert(test.to_owned());
    }

    fn hold(&self, version: Version, tests: &[String]) -> bool {
        let passed = self.passed.get(version.name());
        passed.is_some_and(|passed| tests.iter().all(|test| passed.contains(test)))
    }

    /// Writes the results that concern the matrix to the record, and the page again.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn record(&self, matrix: &Matrix) -> Result<()> {
        let named = matrix.tests();
        let mut text = String::new();
        for (version, tests) in &self.passed {
            for test in tests.iter().filter(|test| named.contains(test.as_str())) {
                writeln!(text, "{version} {test}")?;
            }
        }
        std::fs::write(workspace().join(RESULTS), text)?;
        std::fs::write(workspace().join(PAGE), matrix.page(self))?;
        Ok(())
    }
}

/// The tests in the output of a run, and whether each passed.
fn verdicts(output: &Path) -> Result<Vec<(String, bool)>> {
    // Hosts print what messages hold, which need not be text.
    let output = std::fs::read(output)?;
    let output = String::from_utf8_lossy(&output);
    let verdicts = output.lines().filter_map(|line| {
        let (test, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
        Some((test.to_owned(), verdict.trim() == "ok"))
    });
    Ok(verdicts.collect())
}

/// The page as it is in the repository.
///
/// # Errors
/// When it cannot be read.
pub fn written_page() -> Result<String> {
    Ok(std::fs::read_to_string(workspace().join(PAGE))?)
}

fn promise(value: &Value) -> Result<Promise> {
    Ok(Promise {
        text: text(&value["text"])?,
        shown: list(&value["shown"])?
            .iter()
            .map(shown)
            .collect::<Result<_>>()?,
    })
}

fn shown(value: &Value) -> Result<Shown> {
    let tests = list(&value["tests"])?.iter().map(text);
    let mut notes = BTreeMap::new();
    if let Some(all) = value["on"].as_object() {
        for (version, note) in all {
            // A slip in a version's name would be a note that is never shown.
            let version: Version = version.parse()?;
            notes.insert(version.name().to_owned(), text(note)?);
        }
    }
    let shown = Shown {
        what: text(&value["what"])?,
        tests: tests.collect::<Result<_>>()?,
        notes,
    };
    ensure!(!shown.tests.is_empty(), "`{}` names no test", shown.what);
    Ok(shown)
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("a list is missing")
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a text is missing")?.to_owned())
}
