//! `hive-host check`: every fault of a hive.toml and of its components, before anything runs.

use std::sync::Arc;

use super::Exit;
use crate::app::{self, StartFault};
use crate::config::plan::Plan;
use crate::guest::Access;
use crate::lifecycle::Tasks;
use crate::policy::OnError;
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
        let failed = match consumer.stream.as_ref().map(|stream| stream.on_error) {
            None | Some(OnError::DeadLetter) => {
                format!("dead letters to {}", consumer.dead_letter)
            }
            Some(OnError::Stop) => "stops at a message that fails".to_owned(),
            Some(OnError::Skip) => "passes over messages that fail".to_owned(),
        };
        let batches = consumer.batch.map_or_else(String::new, |batch| {
            format!(
                " in batches of {} or what came in {:?}",
                batch.size, batch.wait
            )
        });
        println!(
            "consumer {name}: queue {} -> component {}{batches}, {failed}",
            consumer.queue, consumer.component
        );
    }
    println!("no faults");
    Exit::Done
}
