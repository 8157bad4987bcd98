//! `hive-host check`: every fault of a hive.toml and of its components, before anything runs.

use std::sync::Arc;

use super::Exit;
use crate::app::{self, StartFault};
use crate::config::plan::Plan;
use crate::guest::Access;
use crate::lifecycle::Tasks;
use crate::store::{Clock, Memory, Store};

pub(super) fn run(plan: Plan) -> Exit {
    super::block_on(check(&plan))
}

async fn check(plan: &Plan) -> Exit {
    let tasks = Tasks::new();
    let telemetry = match super::telemetry() {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    // The file of the plan may be in use by the host that is to be checked for.
    let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
    let engine = match app::engine(plan, &tasks, &telemetry, &store) {
        Ok(engine) => engine,
        Err(fault) => return super::refuse(&fault),
    };
    let slots = match app::load(plan, &engine).await {
        Ok(slots) => slots,
        Err(faults) => return super::refuse(&StartFault::Plan(faults)),
    };
    for (name, slot) in &slots {
        let generation = slot.current();
        println!("component {name}: sha256 {}", generation.version().sha256);
        for Access { import, granted } in generation.access() {
            println!("  imports {import}: {granted}");
        }
        println!("  publishes {}", generation.publications());
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
