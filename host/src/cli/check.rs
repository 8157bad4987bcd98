//! `hive-host check`: every fault of a hive.toml and of its components, before anything runs; and what a
//! broker has of it.

mod at_the_broker;
mod findings;
mod retries;

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Args;
use hive_config::Environment;
use hive_config::plan::Plan;
use hive_core::codes::Coded;
use hive_lifecycle::Tasks;
use hive_sandbox::Compiling;
use hive_store::{Clock, Memory, Store};

use self::findings::Findings;
use super::{Exit, PlanFile, progress, say};
use crate::app::{self, StartFault};

pub(super) const EXAMPLES: &str = "Examples:\n  hive-host check hive.toml\n  \
                                   hive-host check hive.toml --broker --json";

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    plan: PlanFile,
    /// Also compares exchanges and queues with those at the broker, without changing them
    #[arg(long)]
    broker: bool,
    /// Prints the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Check) -> Exit {
    progress::show();
    super::block_on(async { check(arguments).await.unwrap_or_else(|exit| exit) })
}

async fn check(arguments: &Check) -> Result<Exit, Exit> {
    let mut findings = Findings::default();
    let colour = std::io::stderr().is_terminal();
    match hive_config::load(&arguments.plan.file, &Environment::of_process()) {
        Ok(loaded) => {
            if !arguments.json && !loaded.warnings.is_empty() {
                say::note(&hive_config::render(&loaded.warnings, colour));
            }
            findings.read(&loaded.warnings);
            look_at(&loaded.plan, arguments.broker, &mut findings).await?;
        }
        Err(problems) => {
            if !arguments.json {
                say::problems(&problems);
            }
            findings.read(problems.iter());
        }
    }
    match arguments.json {
        true => say::json(&format_args!("{:#}", findings.json())),
        false => findings.print(),
    }
    Ok(findings.exit())
}

async fn look_at(plan: &Plan, broker: bool, findings: &mut Findings) -> Result<(), Exit> {
    let tasks = Tasks::new();
    let telemetry = super::telemetry()?;
    hive_store::has_code_for(&plan.store)
        .map_err(|fault| super::refuse(&StartFault::Host(Coded::new(fault.code(), &fault))))?;
    // The file of the plan may be in use by the host that is to be checked for.
    let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
    let engine = app::engine(plan, Compiling::Alone, &tasks, &telemetry, &store)
        .map_err(|fault| super::refuse(&fault))?;
    match app::load(plan, &engine).await {
        Ok(slots) => findings.can_be_run(plan, &slots),
        Err(faults) => findings.cannot_be_run(&faults),
    }
    if broker {
        findings.brokers = at_the_broker::compare(plan).await?;
    }
    Ok(())
}
