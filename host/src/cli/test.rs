//! `hive-host test`: cases of test files, against components and against the whole hive.toml.

mod answers;
mod buckets;
mod compare;
mod component;
mod files;
#[cfg(feature = "broker")]
mod flow;
mod objects;
mod offline;
mod pool;
mod replies;
mod report;
mod snapshot;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hive_config::Environment;
use hive_config::cases::{self, Cases, ComponentCase, FlowCase};
use hive_config::plan::Plan;
use hive_lifecycle::Tasks;
use hive_sandbox::{Compiling, Engine, EngineLimits};
use hive_store::{Clock, Memory, Store};
use tokio::time::Instant;

use self::component::{Bench, Ran};
use self::files::Given;
use self::report::{Ended, EndedFile};
use self::snapshot::Snapshots;
use super::broker::told_to_stop;
use super::dev::build::{Built, build};
use super::dev::folder;
use super::dev::sources::Sources;
use super::say::{self, fault, out, warning};
use super::{Exit, progress};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host test\n  \
    hive-host test hive.toml orders.test.toml --filter 'unknown price'\n  \
    hive-host test --build --junit report.xml\n  \
    hive-host test --watch";

/// One that is called, one that is stopping, and some to spare, for each thread.
const INSTANCES: u32 = 4;

#[derive(Debug, Clone, Args)]
pub(super) struct Test {
    /// hive.toml, and test files; default: hive.toml of this folder, and each *.test.toml beside it
    #[arg(value_name = "HIVE.TOML | FILE.test.toml")]
    files: Vec<PathBuf>,
    /// Runs only cases with this text in `FILE: NAME`; may be repeated
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Runs the `build` command of each component first, as `dev` does
    #[arg(long)]
    build: bool,
    /// Keeps the answers of cases with `snapshot = true` as the ones to compare with
    #[arg(long)]
    update: bool,
    /// Writes a report that CI systems read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Builds and runs again whenever a source, a test file or hive.toml changes
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Cases that run at once; default: as many as the machine has cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Prints a JSON object for each case
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Test) -> Result<Exit, Exit> {
    let given = files::given(&arguments.files)?;
    progress::show();
    if !arguments.watch {
        return round(arguments, &given);
    }
    Ok(super::block_on(async {
        tokio::select! {
            exit = watch(arguments, &given) => exit,
            () = told_to_stop() => Exit::Done,
        }
    }))
}

/// Runs everything again after each change.
async fn watch(arguments: &Test, given: &Given) -> Exit {
    let tasks = Tasks::new();
    let folder = folder(&given.hive_toml).to_owned();
    let plan = plan(given).ok();
    let components = plan.iter().flat_map(|plan| plan.components.values());
    let mut made: Vec<PathBuf> = components.map(|one| one.path.clone()).collect();
    // The report is another one after each run, and is no source. In the current folder, sources are named with `./`.
    if let Some(report) = &arguments.junit {
        made.extend([report.clone(), Path::new(".").join(report)]);
    }
    let mut sources = Sources::new(vec![folder], made);
    loop {
        sources.look(&tasks).await;
        let (arguments, given) = (arguments.clone(), given.clone());
        let ran = tasks.spawn_blocking(move || round(&arguments, &given));
        if ran.await.is_err() {
            return Exit::Failed;
        }
        out!("waiting for a change");
        sources.changed(&tasks).await;
    }
}

/// Reads everything and runs it once.
fn round(arguments: &Test, given: &Given) -> Result<Exit, Exit> {
    let plan = plan(given)?;
    let files = read(given, &plan)?;
    let chosen = choose(&files, &arguments.filter)?;
    if arguments.build || arguments.watch {
        build_all(&plan, given)?;
    }
    let begun = Instant::now();
    let ran = super::block_on_result(components(&plan, &chosen, arguments))?;
    let mut snapshots = Vec::new();
    for one in &chosen {
        snapshots.push(Snapshots::read(&one.file.path)?);
    }
    let mut ended = settle(&chosen, ran, &mut snapshots, arguments)?;
    for (file, flows) in ended.iter_mut().zip(flows(&chosen, given, arguments)?) {
        file.cases.extend(flows);
        file.cases.sort_by_key(|case| case.line);
    }
    let took = begun.elapsed();
    match arguments.json {
        true => report::objects(&ended).for_each(|object| say::json(&object)),
        false => say::lines(&report::text(&ended, took)),
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report::junit(&ended, took)).map_err(|error| {
            fault!("{} cannot be written: {error}", path.display());
            Exit::Failed
        })?;
    }
    Ok(match report::count(&ended) {
        (_, 0) => Exit::Done,
        _ => Exit::Failed,
    })
}

/// The hive.toml. Its warnings are for `check`: here they would stand before each run.
fn plan(given: &Given) -> Result<Plan, Exit> {
    let loaded = super::load_in(&given.hive_toml, &Environment::of_process())?;
    Ok(loaded.plan)
}

/// Every test file; the faults of all of them in one run.
fn read(given: &Given, plan: &Plan) -> Result<Vec<Cases>, Exit> {
    let mut read = Vec::new();
    let mut is_faulty = false;
    for path in &given.tests {
        match cases::load(path, plan) {
            Ok(cases) => read.push(cases),
            Err(problems) => {
                say::problems(&problems);
                is_faulty = true;
            }
        }
    }
    match is_faulty {
        false => Ok(read),
        true => Err(Exit::Misused),
    }
}

/// A file with those of its cases that the filter lets through.
struct ChosenFile<'a> {
    file: &'a Cases,
    components: Vec<&'a ComponentCase>,
    flows: Vec<&'a FlowCase>,
}

type Chosen<'a> = Vec<ChosenFile<'a>>;

fn choose<'a>(files: &'a [Cases], filter: &[String]) -> Result<Chosen<'a>, Exit> {
    let mut chosen = Chosen::new();
    for file in files {
        let shown = file.path.display();
        let is_chosen = |name: &str| {
            let full = format!("{shown}: {name}");
            filter.is_empty() || filter.iter().any(|text| full.contains(text.as_str()))
        };
        let (components, flows) = (file.components.iter(), file.flows.iter());
        let one = ChosenFile {
            file,
            components: components.filter(|case| is_chosen(&case.name)).collect(),
            flows: flows.filter(|case| is_chosen(&case.name)).collect(),
        };
        if !one.components.is_empty() || !one.flows.is_empty() {
            chosen.push(one);
        }
    }
    if chosen.is_empty() {
        match filter {
            [] => warning!("the test files have no case"),
            _ => {
                fault!("no case has {} in its name", filter.join(" or "));
                return Err(Exit::Misused);
            }
        }
    }
    Ok(chosen)
}

/// Builds what has a `build`; a failure was told.
fn build_all(plan: &Plan, given: &Given) -> Result<(), Exit> {
    let folder = folder(&given.hive_toml);
    super::block_on_result(async {
        for component in plan.components.values() {
            if build(component, folder).await == Built::Failed {
                return Err(Exit::Failed);
            }
        }
        Ok(())
    })
}

/// Runs the component cases, side by side; what came of each in their order.
async fn components(
    plan: &Plan,
    chosen: &Chosen<'_>,
    arguments: &Test,
) -> Result<Vec<Vec<Ran>>, Exit> {
    if chosen.iter().all(|one| one.components.is_empty()) {
        return Ok(chosen.iter().map(|_| Vec::new()).collect());
    }
    let jobs = jobs(arguments);
    let tasks = Tasks::new();
    let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
    let threads = u32::try_from(jobs).unwrap_or(u32::MAX);
    let limits = EngineLimits {
        instances: threads.saturating_mul(INSTANCES),
    };
    let compiling = match arguments.watch {
        true => Compiling::Repeatedly,
        false => Compiling::Alone,
    };
    let engine =
        Engine::new(limits, compiling, &tasks, &super::telemetry()?, &store).map_err(|error| {
            fault!("{error:#}");
            Exit::Failed
        })?;
    let cases = || chosen.iter().flat_map(|one| one.components.iter().copied());
    let names: BTreeSet<&Arc<str>> = cases()
        .filter_map(|case| case.handler.component())
        .collect();
    let bench = Bench::load(engine, &tasks, plan, names)
        .await
        .map_err(|faults| {
            for fault in &faults {
                fault!([fault.code()] "{fault}");
            }
            say::note("build the components first, or with `hive-host test --build`");
            Exit::Misused
        })?;
    let all: Vec<&ComponentCase> = cases().collect();
    let mut ran = component::run_all(&bench, &all, jobs)?.into_iter();
    let of_file = |one: &ChosenFile<'_>| ran.by_ref().take(one.components.len()).collect();
    Ok(chosen.iter().map(of_file).collect())
}

/// Runs the flow cases, side by side; what came of each in their order.
#[cfg(feature = "broker")]
fn flows(chosen: &Chosen<'_>, given: &Given, arguments: &Test) -> Result<Vec<Vec<Ended>>, Exit> {
    let all = chosen.iter().flat_map(|one| one.flows.iter().copied());
    let all: Vec<&FlowCase> = all.collect();
    let ran = flow::run_all(&all, &given.hive_toml, jobs(arguments))?;
    let mut ran = ran.into_iter();
    let of_file = |one: &ChosenFile<'_>| ran.by_ref().take(one.flows.len()).collect();
    Ok(chosen.iter().map(of_file).collect())
}

/// There is no broker to run them on.
#[cfg(not(feature = "broker"))]
fn flows(chosen: &Chosen<'_>, _: &Given, _: &Test) -> Result<Vec<Vec<Ended>>, Exit> {
    if chosen.iter().all(|one| one.flows.is_empty()) {
        return Ok(Vec::new());
    }
    fault!(
        "this hive-host cannot run cases of the whole hive.toml: it was built without its cargo feature `broker`"
    );
    say::note("`--filter TEXT` runs other cases");
    Err(Exit::Misused)
}

fn jobs(arguments: &Test) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    arguments.jobs.map_or_else(cores, usize::from)
}

/// Compares with snapshots, or keeps them; gives what is to be told.
fn settle(
    chosen: &Chosen<'_>,
    ran: Vec<Vec<Ran>>,
    snapshots: &mut [Snapshots],
    arguments: &Test,
) -> Result<Vec<EndedFile>, Exit> {
    let mut files = Vec::new();
    for ((ChosenFile { file, .. }, ran), snapshots) in chosen.iter().zip(ran).zip(snapshots) {
        let mut ended = Vec::new();
        let mut kept = Vec::new();
        for Ran {
            ended: mut one,
            snapshot,
        } in ran
        {
            match snapshot {
                Some(got) if arguments.update => kept.push((one.name.clone(), got)),
                Some(got) => {
                    let differences = snapshots.differences(&one.name, &got);
                    one.differences.extend(differences);
                }
                None => {}
            }
            ended.push(one);
        }
        let has_snapshot = |name: &str| {
            let mut cases = file.components.iter();
            cases.any(|case| case.name == name && case.has_snapshot())
        };
        if arguments.update && snapshots.update(kept, has_snapshot)? {
            out!("{}: snapshots written", file.path.display());
        }
        files.push(EndedFile {
            file: shown(&file.path),
            cases: ended,
        });
    }
    Ok(files)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
