//! Runs the whole host against the broker in the process with faults from a seed, one thread at a time, on a clock that
//! turns, and accounts for every message. `docs/development/simulation.md` tells how it works and what it leaves out.
#![expect(
    clippy::disallowed_methods,
    reason = "they are banned in the host; here the clock is the simulation's, and who leads a run waits on a thread of its own"
)]

mod account;
mod host;
mod interposed;
mod link;
mod network;
mod runs;
mod schedule;
mod store;
mod threads;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;

use self::runs::{Place, Report, Run};
use self::schedule::{Fault, Schedule, Step};
use self::world::Components;

/// Failures that are shrunk and shown with their schedules; of further ones only the seed is told.
const SHOWN: usize = 3;

/// Breaks a simulated world on purpose, seed after seed, and accounts for each message
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 200, value_name = "N")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    from: u64,
    /// How many at a time; one for each processor unless given
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Ends at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Runs this seed alone, twice, and shows its schedule
    #[arg(long)]
    seed: Option<u64>,
    /// Another order of the threads for the same schedule
    #[arg(long, default_value_t = 0, requires = "seed", value_name = "N")]
    choices: u64,
    /// Steps of the schedule to leave out, by their places
    #[arg(long, value_delimiter = ',', requires = "seed", value_name = "N")]
    without: Vec<usize>,
    /// Shows everything that the hosts tell, with its time
    #[arg(long, requires = "seed")]
    trace: bool,
    /// The folder of the compiled components of the tests
    #[arg(
        long,
        default_value = "target/wasm32-wasip2/release/examples",
        value_name = "FOLDER"
    )]
    guests: PathBuf,
    /// The folder for what hosts read; a temporary one unless given
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// One run, in this process
    #[arg(long, hide = true, requires = "seed", requires = "folder")]
    inside: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = options.folder.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("hive-simulation-{}", std::process::id()))
    });
    let place = Place {
        guests: options.guests.clone(),
        folder,
        traced: false,
    };
    let run = options.seed.map(|seed| Run {
        seed,
        choices: options.choices,
        without: options.without.clone(),
    });
    if options.inside {
        return inside(&run.context("a seed")?, &place, options.trace);
    }
    std::fs::create_dir_all(&place.folder).context("the folder of the runs cannot be made")?;
    runs::write_other(
        &place.guests.join("soak.wasm"),
        &place.folder.join("other.wasm"),
    )?;
    interposed::fix_addresses();
    // The first run compiles the components, the others find that done.
    Run::of_seed(0).carry_out(&place)?;
    let done = match run {
        Some(run) => one(&run, &place, options.trace),
        None => many(&options, &place),
    };
    std::fs::remove_dir_all(&place.folder).context("the folder of the runs cannot be removed")?;
    done
}

/// One run, in this process and its threads.
fn inside(run: &Run, place: &Place, traced: bool) -> Result<()> {
    let schedule = Schedule::new(run.seed, &run.without);
    let components = Components {
        soak: place.guests.canonicalize()?.join("soak.wasm"),
        batch: place.guests.canonicalize()?.join("batch.wasm"),
        other: place.folder.join("other.wasm"),
    };
    let own = place.folder.join(std::process::id().to_string());
    std::fs::create_dir_all(&own)?;
    interposed::begin(run.seed ^ run.choices.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let outcome = world::run(run.seed, &schedule, &components, &own, traced);
    std::fs::remove_dir_all(&own)?;
    let verdict = &outcome.verdict;
    let kinds: Vec<&str> = schedule.faults().into_iter().map(Fault::kind).collect();
    let (steps, digest) = threads::with(|threads| (threads.steps(), threads.digest()));
    let told = json!({
        "good": verdict.is_good() && outcome.broken.is_none(),
        "lost": verdict.lost,
        "astray": verdict.astray,
        "silent": verdict.silent,
        "overtaken": verdict.overtaken,
        "repeated": verdict.repeated,
        "broken": outcome.broken,
        "messages": outcome.messages,
        "kinds": kinds,
        "simulated_ms": outcome.simulated.as_millis() as u64,
        "steps": steps,
        "digest": format!("{digest:016x}"),
    });
    say(&told.to_string());
    // The threads of the run wait for ever.
    std::process::exit(0);
}

/// One seed, twice: it has to come out the same.
fn one(run: &Run, place: &Place, traced: bool) -> Result<()> {
    show_schedule(run);
    let shown = Place {
        traced,
        ..place.clone()
    };
    let first = run.carry_out(&shown)?;
    let second = run.carry_out(place)?;
    say(&format!("{:#}", first.told));
    let differs = "the seed ran another way the second time";
    ensure!(first == second, "{differs}: {:#}", second.told);
    ensure!(first.is_good(), "the seed fails");
    Ok(())
}

fn many(options: &Options, place: &Place) -> Result<()> {
    let begun = Instant::now();
    let jobs = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let mut sums = Sums::default();
    let mut failed = Vec::new();
    let end = options.from + options.seeds;
    let mut from = options.from;
    while from < end && (failed.is_empty() || !options.first) {
        let portion = if options.first { 50 } else { options.seeds };
        let seeds = from..end.min(from + portion);
        from = seeds.end;
        runs::all(seeds, jobs, place, |report| {
            sums.add(&report);
            if !report.is_good() {
                say(&format!("seed {} fails: {}", report.run.seed, report.told));
                failed.push(report);
            }
        })?;
    }
    sums.show(begun.elapsed());
    for report in failed.iter().take(SHOWN) {
        let steps = Schedule::new(report.run.seed, &[]).steps.len();
        let began = Instant::now();
        let shrunk = runs::shrunk(report, steps, place)?;
        say(&format!(
            "\nseed {} shrunk from {steps} steps to {} within {:.1} s; scripts/simulate {}",
            report.run.seed,
            steps - shrunk.run.without.len(),
            began.elapsed().as_secs_f64(),
            shrunk.run.arguments().join(" ")
        ));
        show_schedule(&shrunk.run);
        say(&shrunk.told.to_string());
    }
    ensure!(failed.is_empty(), "{} of the seeds fail", failed.len());
    Ok(())
}

fn show_schedule(run: &Run) {
    let whole = Schedule::new(run.seed, &[]);
    say(&format!(
        "seed {}, {} runtime threads",
        run.seed, whole.workers
    ));
    for (place, (step, pause)) in whole.steps.iter().enumerate() {
        if run.without.contains(&place) {
            continue;
        }
        let text = match step {
            Step::Publish(messages) => {
                let messages: Vec<String> = messages
                    .iter()
                    .map(|message| {
                        let (number, queue) = (message.number, message.queue);
                        format!("{queue} {number} {}", message.behaviour.word())
                    })
                    .collect();
                format!("publish {}", messages.join(", "))
            }
            Step::Fault(fault) => fault.to_string(),
        };
        say(&format!("{place:>4}  {text}; then {pause:?}"));
    }
}

/// What all runs come to.
#[derive(Debug, Default)]
struct Sums {
    seeds: u64,
    messages: u64,
    repeated: u64,
    lost: usize,
    astray: usize,
    silent: usize,
    overtaken: usize,
    broken: usize,
    simulated: Duration,
    steps: u64,
    kinds: BTreeMap<String, u64>,
}

impl Sums {
    fn add(&mut self, report: &Report) {
        let count = |name: &str| report.told[name].as_array().map_or(0, Vec::len);
        self.seeds += 1;
        self.messages += report.number("messages");
        self.repeated += report.number("repeated");
        self.steps += report.number("steps");
        self.simulated += Duration::from_millis(report.number("simulated_ms"));
        self.lost += count("lost");
        self.astray += count("astray");
        self.silent += count("silent");
        self.overtaken += count("overtaken");
        self.broken += usize::from(!report.told["broken"].is_null());
        for kind in report.told["kinds"].as_array().into_iter().flatten() {
            let kind = kind.as_str().unwrap_or_default().to_owned();
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    fn show(&self, took: Duration) {
        let faults: u64 = self.kinds.values().sum();
        say(&format!(
            "{} seeds, {} messages, {faults} faults of {} kinds, {:.1} simulated days in {:.0} s ({} steps of threads)",
            self.seeds,
            self.messages,
            self.kinds.len(),
            self.simulated.as_secs_f64() / 86_400.0,
            took.as_secs_f64(),
            self.steps,
        ));
        for (kind, count) in &self.kinds {
            say(&format!("{count:>8}  {kind}"));
        }
        say(&format!(
            "lost {}, astray {}, silent {}, overtaken {}, never at rest {}, repeated {}",
            self.lost, self.astray, self.silent, self.overtaken, self.broken, self.repeated
        ));
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(text: &str) {
    println!("{text}");
}
