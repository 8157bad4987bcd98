//! The tables of docs/languages.md: the first minute, how long a newcomer waits at each step of a project, and what
//! components of each language cost.

mod cost;
mod first;
mod steps;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use hive_tests::{Broker, Language, PROJECT_LANGUAGES};

/// Measures projects and components of each language.
#[derive(Debug, Parser)]
struct Options {
    /// Deliveries that the time of one is averaged over
    #[arg(long, default_value_t = 2000)]
    messages: usize,
    /// One table instead of all
    #[arg(long, value_name = "TABLE")]
    only: Option<Table>,
    /// Languages to measure, by the names in the tables; all of them without any
    languages: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    First,
    Steps,
    Cost,
}

impl Options {
    fn asks_for(&self, table: Table, language: &str) -> bool {
        self.only.is_none_or(|only| only == table)
            && (self.languages.is_empty() || self.languages.iter().any(|name| name == language))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let first = |language: &str| options.asks_for(Table::First, language);
    if PROJECT_LANGUAGES
        .iter()
        .any(|language| first(language.lang))
    {
        say(&first::demo().await?);
        head(&first::HEAD);
        for language in PROJECT_LANGUAGES {
            if first(language.lang) {
                say(&first::line(language).await?);
            }
        }
        say(&load()?);
    }
    let steps = |language: &str| options.asks_for(Table::Steps, language);
    if PROJECT_LANGUAGES
        .iter()
        .any(|language| steps(language.lang))
    {
        head(&steps::HEAD);
        for language in PROJECT_LANGUAGES {
            if steps(language.lang) {
                say(&steps::line(language).await?);
            }
        }
        say(&load()?);
    }
    let cost = |language: &str| options.asks_for(Table::Cost, language);
    if Language::ALL.iter().any(|language| cost(language.name)) {
        let broker = Broker::private().await?;
        head(&cost::HEAD);
        for language in Language::ALL {
            if cost(language.name) {
                say(&cost::line(&broker, language, options.messages).await?);
            }
        }
        say(&load()?);
    }
    Ok(())
}

fn head<const N: usize>(columns: &[&str; N]) {
    say(&row(columns.map(str::to_owned)));
    say(&format!("|{}", "---|".repeat(N)));
}

fn row<const N: usize>(cells: [String; N]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// How busy the machine was: a table says little without it.
fn load() -> Result<String> {
    let averages = std::fs::read_to_string("/proc/loadavg")?;
    let last: Vec<&str> = averages.split_whitespace().take(3).collect();
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "\nOn {cores} cores; load averages of the last 1, 5 and 15 minutes: {}\n",
        last.join(", ")
    ))
}

#[expect(clippy::print_stdout, reason = "the tables are the program's output")]
fn say(line: &str) {
    println!("{line}");
}
