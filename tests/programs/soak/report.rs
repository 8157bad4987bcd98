//! The table at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hive_tests::Version;

use crate::account::Verdict;

/// The events of the run.
pub(crate) struct Report {
    version: Version,
    nodes: usize,
    messages: u32,
    seed: u64,
    silences: BTreeMap<&'static str, Vec<Duration>>,
}

impl Report {
    pub(crate) fn new(version: Version, nodes: usize, messages: u32, seed: u64) -> Self {
        Self {
            version,
            nodes,
            messages,
            seed,
            silences: BTreeMap::new(),
        }
    }

    /// A fault happened, and the host was silent for so long after it.
    pub(crate) fn fault(&mut self, kind: &'static str, silence: Duration) {
        self.silences.entry(kind).or_default().push(silence);
    }

    /// The report in Markdown, for the documentation.
    pub(crate) fn table(&self, verdict: &Verdict, took: Duration) -> String {
        let mut all: Vec<Duration> = self.silences.values().flatten().copied().collect();
        let mut text = String::from("\n| | |\n|---|---:|\n");
        let mut row = |what: &str, value: String| {
            writeln!(text, "| {what} | {value} |").expect("a String takes everything");
        };
        row("RabbitMQ", self.version.to_string());
        row("nodes", self.nodes.to_string());
        row("messages", self.messages.to_string());
        for (what, (asked, arrived)) in &verdict.arrived {
            row(&format!("— {what}"), format!("{arrived} of {asked}"));
        }
        row(
            "faults",
            format!("{} of {} kinds", all.len(), self.silences.len()),
        );
        for (kind, silences) in &mut self.silences.clone() {
            let (median, longest) = median_and_longest(silences);
            let count = silences.len();
            row(
                &format!("— {kind}: silence after it, median and longest"),
                format!("{count}: {median:.1} s, {longest:.1} s"),
            );
        }
        row("lost", verdict.lost.len().to_string());
        row("astray", verdict.astray.len().to_string());
        row("came out more than once", verdict.repeated.to_string());
        row(
            "— sent more than once by the soak itself",
            verdict.sent_again.to_string(),
        );
        let (median, longest) = median_and_longest(&mut all);
        row("silence after a fault, median", format!("{median:.1} s"));
        row("silence after a fault, longest", format!("{longest:.1} s"));
        row("seed", self.seed.to_string());
        row("took", format!("{:.0} s", took.as_secs_f64()));
        text
    }
}

/// The median and the longest, in seconds; zero if there was no silence.
fn median_and_longest(silences: &mut [Duration]) -> (f64, f64) {
    silences.sort_unstable();
    let at = |index: usize| silences.get(index).copied().unwrap_or_default();
    let longest = at(silences.len().saturating_sub(1));
    (at(silences.len() / 2).as_secs_f64(), longest.as_secs_f64())
}
