//! Runs as processes of their own: each begins with nothing, so that a seed says everything about it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result};
use serde_json::Value;

/// What names a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Another order of the threads for the same schedule.
    pub(crate) choices: u64,
    /// Steps of the schedule that are left out.
    pub(crate) without: Vec<usize>,
}

/// What a run printed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) run: Run,
    pub(crate) told: Value,
}

/// Where runs find what they need.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) guests: PathBuf,
    pub(crate) folder: PathBuf,
    /// Every fact that a host tells is shown.
    pub(crate) traced: bool,
}

impl Report {
    pub(crate) fn is_good(&self) -> bool {
        self.told["good"].as_bool() == Some(true)
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.told[name].as_u64().unwrap_or_default()
    }
}

impl Run {
    pub(crate) fn of_seed(seed: u64) -> Self {
        Self {
            seed,
            choices: 0,
            without: Vec::new(),
        }
    }

    /// The arguments that repeat it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--seed".to_owned(), self.seed.to_string()];
        if self.choices > 0 {
            arguments.extend(["--choices".to_owned(), self.choices.to_string()]);
        }
        if !self.without.is_empty() {
            let places: Vec<String> = self.without.iter().map(usize::to_string).collect();
            arguments.extend(["--without".to_owned(), places.join(",")]);
        }
        arguments
    }

    /// Runs it in a process of its own.
    pub(crate) fn carry_out(&self, place: &Place) -> Result<Report> {
        let program = std::env::current_exe().context("this program's own file")?;
        let mut command = Command::new(program);
        command.arg("--inside").args(self.arguments());
        command.arg("--guests").arg(&place.guests);
        command.arg("--folder").arg(&place.folder);
        if place.traced {
            command.arg("--trace");
        }
        let output = command.output().context("a run cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        if place.traced {
            crate::say(&text);
        }
        let told = match serde_json::from_str(last) {
            Ok(told) if output.status.success() => told,
            _ => {
                let error = String::from_utf8_lossy(&output.stderr);
                let error: String = error.chars().take(4000).collect();
                serde_json::json!({ "good": false, "broken": format!("{}: {text}{error}", output.status) })
            }
        };
        Ok(Report {
            run: self.clone(),
            told,
        })
    }
}

/// Runs seeds, so many at a time, and shows each report as it comes.
pub(crate) fn all(
    seeds: std::ops::Range<u64>,
    jobs: usize,
    place: &Place,
    mut show: impl FnMut(Report),
) -> Result<()> {
    let next = AtomicU64::new(seeds.start);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if tell.send(Run::of_seed(seed).carry_out(place)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for report in told {
            show(report?);
        }
        Ok(())
    })
}

/// The fewest steps with which a run still fails, as far as leaving out one after the other finds them.
pub(crate) fn shrunk(failed: &Report, steps: usize, place: &Place) -> Result<Report> {
    /// Orders of the threads that are tried for each schedule: a fault may need one of few.
    const ORDERS: u64 = 4;
    let mut best = failed.clone();
    let mut place_in_schedule = 0;
    while place_in_schedule < steps {
        if !best.run.without.contains(&place_in_schedule) {
            for choices in 0..ORDERS {
                let mut run = best.run.clone();
                run.without.push(place_in_schedule);
                run.choices = (best.run.choices + choices) % (ORDERS * 2);
                let report = run.carry_out(place)?;
                if !report.is_good() {
                    best = report;
                    break;
                }
            }
        }
        place_in_schedule += 1;
    }
    Ok(best)
}

/// Writes the component that a swap brings: the same code, in a file with other octets.
pub(crate) fn write_other(component: &Path, other: &Path) -> Result<()> {
    let mut octets = std::fs::read(component)
        .with_context(|| format!("{} (scripts/simulate builds it)", component.display()))?;
    // A custom section: its number, its size, and its name (the component model's binary format).
    octets.extend_from_slice(&[0, 6, 5]);
    octets.extend_from_slice(b"other");
    std::fs::write(other, octets).context("the folder of the runs cannot be written")
}
