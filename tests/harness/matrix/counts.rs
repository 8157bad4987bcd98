//! How many scenarios each broker runs: the table in docs/broker.md, from the last recorded whole runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::verdicts;
use crate::build::workspace;
use crate::house::{Scenarios, listed};

/// What the gate runs on the broker in the process alone, in `tests/`.
pub const IN_PROCESS_ONLY: &str = "in-process-only.txt";

/// The modules that the newest RabbitMQ alone runs, in `tests/`.
pub const NEWEST_ONLY: &str = "newest-broker-only.txt";

/// The modules that the gate runs on the broker in the process and on the newest RabbitMQ, in `tests/`.
pub const NEWEST_AND_IN_PROCESS: &str = "newest-and-in-process.txt";

/// The modules that the gate does not run, in `tests/`.
pub const NIGHTLY_ONLY: &str = "nightly-only.txt";

/// What the broker in the process does not run, in `tests/`.
pub const NEEDS_RABBITMQ: &str = "needs-rabbitmq.txt";

const COUNTS: &str = "tests/broker-counts.txt";
const PAGE: &str = "docs/broker.md";
const BEGIN: &str = "<!-- begin counts -->\n";
const END: &str = "<!-- end counts -->";

/// The brokers: the value of `HIVE_BROKER`, the name in the table, and the lists that its runs skip.
const BROKERS: [(&str, &str, &[&str]); 4] = [
    (
        "memory",
        "`hive-host broker`",
        &[NEWEST_ONLY, NEEDS_RABBITMQ, NIGHTLY_ONLY],
    ),
    (
        "3.10",
        "RabbitMQ 3.10.8",
        &[
            IN_PROCESS_ONLY,
            NEWEST_ONLY,
            NEWEST_AND_IN_PROCESS,
            NIGHTLY_ONLY,
        ],
    ),
    (
        "4.0",
        "RabbitMQ 4.0.5",
        &[
            IN_PROCESS_ONLY,
            NEWEST_ONLY,
            NEWEST_AND_IN_PROCESS,
            NIGHTLY_ONLY,
        ],
    ),
    ("4.3", "RabbitMQ 4.3.6", &[NIGHTLY_ONLY]),
];

/// How many scenarios passed on each broker, in the last whole run that was recorded.
#[derive(Debug)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    /// Reads the record.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(workspace().join(COUNTS))?;
        let line = |line: &str| {
            let (broker, count) = line.split_once(' ').context(COUNTS)?;
            Ok((broker.to_owned(), count.parse().context(COUNTS)?))
        };
        Ok(Self(text.lines().map(line).collect::<Result<_>>()?))
    }

    /// Takes in the output of a run of the scenarios on a broker. Gives how many of those that the broker is to run did
    /// not pass, or were not in the run: the count is only taken where none is missing.
    ///
    /// # Errors
    /// If it cannot be read, or there is no such broker.
    pub fn take_in(&mut self, broker: &str, output: &Path) -> Result<usize> {
        let known = BROKERS.iter().find(|(name, ..)| *name == broker);
        let (_, _, lists) = known.with_context(|| format!("there is no broker `{broker}`"))?;
        let lists = lists.iter().map(|list| listed(list));
        let scenarios = Scenarios::read()?;
        let wanted = scenarios.left_by(&lists.collect::<Result<Vec<_>>>()?);
        let passed = verdicts(output)?.into_iter().filter(|(_, passed)| *passed);
        let passed: BTreeSet<String> = passed.map(|(test, _)| test).collect();
        let missing = wanted.difference(&passed).count();
        if missing == 0 {
            // Those that a macro makes are in no list of functions, and count too.
            let modules = scenarios.modules();
            let is_scenario = |test: &&String| {
                let module = test.rsplit_once("::").map(|(module, _)| module);
                module.is_some_and(|module| modules.contains(module))
            };
            let count = passed.iter().filter(is_scenario).count();
            self.0.insert(broker.to_owned(), count);
        }
        Ok(missing)
    }

    /// Writes the record, and the table in the page.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn record(&self) -> Result<()> {
        let mut text = String::new();
        for (broker, count) in &self.0 {
            writeln!(text, "{broker} {count}")?;
        }
        std::fs::write(workspace().join(COUNTS), text)?;
        std::fs::write(workspace().join(PAGE), self.page()?)?;
        Ok(())
    }

    /// The whole page with the table as it is to be.
    ///
    /// # Errors
    /// If the page cannot be read, or has no place for the table.
    pub fn page(&self) -> Result<String> {
        let page = Self::written_page()?;
        let (before, rest) = page.split_once(BEGIN).context(PAGE)?;
        let (_, after) = rest.split_once(END).context(PAGE)?;
        Ok(format!("{before}{BEGIN}{}{END}{after}", self.table()?))
    }

    /// The page as it is in the repository.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn written_page() -> Result<String> {
        Ok(std::fs::read_to_string(workspace().join(PAGE))?)
    }

    fn table(&self) -> Result<String> {
        let mut table = "| broker | scenarios |\n|---|---|\n".to_owned();
        for (broker, title, _) in BROKERS {
            let count = self.0.get(broker);
            let count = count.with_context(|| format!("no whole run on {broker} is recorded"))?;
            writeln!(table, "| {title} | {count} |")?;
        }
        ensure!(
            self.0.len() == BROKERS.len(),
            "{COUNTS} names another broker"
        );
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper;

    #[test]
    fn only_a_whole_run_is_counted() {
        let lists = [IN_PROCESS_ONLY, NEWEST_ONLY, NEWEST_AND_IN_PROCESS];
        let lists = lists.map(|list| listed(list).unwrap());
        let wanted = Scenarios::read().unwrap().left_by(&lists);
        let file = keeper::scratch("counts").join("4.0.txt");
        let mut output: String = wanted
            .iter()
            .map(|name| format!("test {name} ... ok\n"))
            .collect();
        std::fs::write(&file, &output).unwrap();
        let mut counts = Counts(BTreeMap::new());
        assert_eq!(counts.take_in("4.0", &file).unwrap(), 0);
        assert_eq!(counts.0["4.0"], wanted.len());

        output = output.replacen(" ok\n", " FAILED\n", 1);
        std::fs::write(&file, &output).unwrap();
        let mut counts = Counts(BTreeMap::new());
        assert_eq!(counts.take_in("4.0", &file).unwrap(), 1);
        assert!(counts.0.is_empty());
        assert!(counts.take_in("5.0", &file).is_err());
    }
}
