//! `hive-host invoke`: a message through a component or through routes, with no broker.

mod answer;
mod called;
mod input;
pub(super) mod log;
mod measure;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hive_config::plan::{ComponentPlan, Instances, Plan};
use hive_contracts::Contract;
use hive_core::answer::Answer;
use hive_core::message::Envelope;
use hive_core::nearest;
use hive_lifecycle::Tasks;
use hive_objects::Objects;
use hive_routes::Routes;
use hive_sandbox::{
    Call, Compiling, Engine, EngineLimits, Generation, Handed, Measured, Source, Surroundings,
};
use hive_store::{Clock, Memory, Store};
use tokio::time::Instant;

use self::called::Called;
use self::log::Log;
use self::measure::Measure;
use super::callee::Callee;
use super::message_flags::MessageFlags;
use super::say::{self, fault, out};
use super::{Exit, PlanFile, progress};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host invoke greeter.wasm --message message.json\n  \
    echo 'Ada' | hive-host invoke greeter.wasm -p content-type=text/plain\n  \
    hive-host invoke orders --config hive.toml --message order.json --json\n  \
    hive-host invoke greeter.wasm --message message.json --repeat 1000 --fresh";

/// The one that handles, the one that is stopping, and some to spare.
const INSTANCES: u32 = 4;

#[derive(Debug, Args)]
pub(super) struct Invoke {
    /// The component's file; with --config and no --name, its name in hive.toml, or that of a consumer with routes
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// One or more messages as JSON (docs/message-format.md); default: standard input, as with -
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "properties", "headers"])]
    message: Option<PathBuf>,
    /// The plain body of one message; -p and -H set the rest; - is standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    said: MessageFlags,
    /// Uses the grants, config and limits of the component in this file
    #[arg(long, value_name = "HIVE.TOML")]
    config: Option<PathBuf>,
    /// COMPONENT is a file that gets the grants of this name in hive.toml
    #[arg(long, value_name = "NAME", requires = "config")]
    name: Option<String>,
    /// Hands over all messages in one call; automatic if the component only handles batches
    #[arg(long)]
    batch: bool,
    /// Repeats the call N times and prints how long it took
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Makes a new instance for each call
    #[arg(long)]
    fresh: bool,
    /// Prints a JSON object for each message
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Invoke) -> Result<Exit, Exit> {
    let called = called(arguments)?;
    let mut deliveries = input::deliveries(arguments)?;
    if let Planned::Routes { queue, .. } = &called {
        for delivery in deliveries.iter_mut().filter(|one| one.queue.is_empty()) {
            delivery.queue = Arc::clone(queue);
        }
    }
    let log = Log::start();
    progress::show();
    Ok(super::block_on(async {
        match invoke(arguments, called, &deliveries, &log).await {
            Ok(exit) | Err(exit) => exit,
        }
    }))
}

/// What is called, as planned.
enum Planned {
    /// A component, with its grants and limits.
    Component(Box<ComponentPlan>),
    /// The routes of a consumer.
    Routes {
        routes: Arc<Routes>,
        /// The consumer's `schema`.
        contract: Option<Arc<Contract>>,
        /// The queue that the consumer reads.
        queue: Arc<str>,
    },
}

fn called(arguments: &Invoke) -> Result<Planned, Exit> {
    let Invoke {
        component,
        config,
        name,
        ..
    } = arguments;
    let mut plan = match config {
        None => {
            let name = component.file_stem().unwrap_or_default();
            let name = name.to_string_lossy().as_ref().into();
            ComponentPlan::of_file(name, component.clone())
        }
        Some(file) => {
            let named = name.clone();
            let named = named.unwrap_or_else(|| component.to_string_lossy().into_owned());
            let mut plan = match planned(file, &named)? {
                Planned::Component(plan) => *plan,
                routes => return Ok(routes),
            };
            if name.is_some() {
                plan.path.clone_from(component);
                // It is that of the file in hive.toml.
                plan.sha256 = None;
            }
            plan
        }
    };
    if arguments.fresh {
        plan.instances = Instances::Fresh;
    }
    // The user wants to read every line, and there is no flood to protect from.
    plan.log_lines = u32::MAX;
    Ok(Planned::Component(Box::new(plan)))
}

/// The component of this name, or else the consumer of this name that has routes.
fn planned(file: &Path, name: &str) -> Result<Planned, Exit> {
    let file = PlanFile {
        file: file.to_owned(),
    };
    let plan = file.load()?;
    if let Some(component) = plan.components.get(name) {
        return Ok(Planned::Component(Box::new(component.clone())));
    }
    if let Some(routes) = routes(&plan, name) {
        return Ok(routes);
    }
    let with_routes = plan.consumers.values();
    let with_routes = with_routes.filter(|consumer| consumer.handler.routes().is_some());
    let names = with_routes.map(|consumer| &consumer.name);
    let names = plan.components.keys().chain(names).map(|name| &**name);
    let advice = nearest::advice(name, names, "there are");
    let file = file.file.display();
    fault!("{file} has no component and no consumer with routes {name:?}; {advice}");
    Err(Exit::Misused)
}

fn routes(plan: &Plan, name: &str) -> Option<Planned> {
    let consumer = plan.consumers.get(name)?;
    Some(Planned::Routes {
        routes: Arc::clone(consumer.handler.routes()?),
        contract: consumer.schema.clone(),
        queue: Arc::clone(&consumer.queue),
    })
}

async fn invoke(
    arguments: &Invoke,
    planned: Planned,
    deliveries: &[Envelope],
    log: &Log,
) -> Result<Exit, Exit> {
    let tasks = Tasks::new();
    let begun = Instant::now();
    let (callee, contract, is_fresh) = match planned {
        Planned::Routes {
            routes, contract, ..
        } => (Callee::Routes(routes), contract, false),
        Planned::Component(plan) => {
            let generation = load(&plan, &tasks).await?;
            let is_fresh = plan.instances == Instances::Fresh;
            (Callee::Component(Box::new(generation)), None, is_fresh)
        }
    };
    let loaded = begun.elapsed();
    let batch: Vec<&Envelope> = deliveries.iter().collect();
    let is_batch = arguments.batch || !callee.takes_single();
    if is_batch && !callee.takes_batches() {
        fault!("{}; leave --batch out", callee.without_batches());
        return Err(Exit::Misused);
    }
    let handed: Vec<Handed<'_>> = match is_batch {
        true => vec![Handed::Batch(&batch)],
        false => deliveries.iter().map(Handed::One).collect(),
    };
    let call = Call {
        consumer: "invoke",
        delivery: &"invoke",
        trace: None,
        requester: None,
        heard: None,
        notes: None,
    };
    let mut measure = Measure::default();
    let mut called = Vec::new();
    for round in 0..arguments.repeat.unwrap_or(1) {
        for handed in &handed {
            let Measured {
                outcomes,
                took,
                memory,
            } = callee.measure(contract.as_deref(), &call, *handed).await;
            let answers: Vec<Answer> = outcomes.into_iter().map(Answer::of).collect();
            measure.note(took, &answers);
            let said = log.take();
            if round == 0 {
                called.push(Called {
                    answers,
                    log: said,
                    took,
                    memory,
                });
            }
        }
    }
    callee.drain().await;
    if let Some(last) = called.last_mut() {
        last.log.extend(log.take());
    }
    let measured = arguments.repeat.map(|_| measure.result(is_fresh));
    match arguments.json {
        true => {
            called
                .iter()
                .flat_map(Called::objects)
                .for_each(|object| say::json(&object));
            if let Some(measured) = measured {
                say::json(&measured.object());
            }
        }
        false => {
            let many = deliveries.len() > 1;
            let mut number = 0;
            for one in &called {
                say::lines(&one.text(many, &mut number));
            }
            if let Callee::Component(_) = callee {
                out!("loaded in {}", measure::milliseconds(loaded));
            }
            if let Some(measured) = measured {
                say::lines(&measured);
            }
        }
    }
    Ok(match measure.failures() {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

async fn load(plan: &ComponentPlan, tasks: &Tasks) -> Result<Generation, Exit> {
    let telemetry = super::telemetry()?;
    // Its entries are deleted afterwards: the file of the plan may be in use.
    let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
    let limits = EngineLimits {
        instances: INSTANCES,
    };
    let engine =
        Engine::new(limits, Compiling::Alone, tasks, &telemetry, &store).map_err(|error| {
            fault!("{error:#}");
            Exit::Failed
        })?;
    // Nor must what is written reach a bucket.
    let surroundings = Surroundings {
        objects: Some(Objects::in_memory(tasks)),
        ..Surroundings::default()
    };
    let engine = engine.surrounded(&store, surroundings);
    let loaded = engine.load(plan, &[], Source::File, 1).await;
    loaded.map_err(|fault| {
        fault!([fault.code()] "{fault}");
        Exit::Misused
    })
}
