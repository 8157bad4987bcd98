//! `hive-host check`: every fault of a hive.toml and of its components, before anything runs.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::app::{self, StartFault};
use crate::config::plan::Plan;
use crate::lifecycle::Tasks;

/// Reads a hive.toml, compiles its components, and reports every fault.
///
/// Checks that each component exports a handler and imports only what the host has, and starts an
/// instance of it. Nothing is consumed, and no broker is asked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hive-host check hive.toml")]
pub(super) struct Arguments {
    /// The file to check
    #[arg(value_name = "HIVE.TOML", default_value = "hive.toml")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let plan = match super::load(&arguments.file) {
        Ok(loaded) => loaded.plan,
        Err(exit) => return exit,
    };
    super::block_on(check(&plan))
}

async fn check(plan: &Plan) -> Exit {
    let tasks = Tasks::new();
    let telemetry = match super::telemetry() {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let engine = match app::engine(plan, &tasks, &telemetry) {
        Ok(engine) => engine,
        Err(fault) => return super::refuse(&fault),
    };
    let slots = match app::load(plan, &engine).await {
        Ok(slots) => slots,
        Err(faults) => return super::refuse(&StartFault::Plan(faults)),
    };
    for (name, slot) in &slots {
        let generation = slot.current();
        println!("component {name}: sha256 {}", generation.hash());
        for import in generation.imports() {
            println!("  imports {import}");
        }
    }
    for (name, consumer) in &plan.consumers {
        println!(
            "consumer {name}: queue {} -> component {}, dead letters to {}",
            consumer.queue, consumer.component, consumer.dead_letter
        );
    }
    println!("no faults");
    Exit::Done
}
