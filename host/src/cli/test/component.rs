//! Runs a case that calls a component, or the routes of a consumer.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_config::cases::{Call as CallCase, CallMatch, ComponentCase};
use hive_config::plan::{ComponentPlan, Handler, Plan};
use hive_contracts::Contract;
use hive_core::answer::Answer;
use hive_lifecycle::Tasks;
use hive_objects::Objects;
use hive_sandbox::{
    Call, Code, ComponentFault, Engine, Handed, Measured, Requester, Source, Surroundings,
};
use hive_store::{Clock, Memory, Store};
use serde_json::Value;
use tokio::time::Instant;

use super::buckets;
use super::compare::{Differences, answer, differs, holds, wanted, within};
use super::objects::Containers;
use super::offline::Offline;
use super::pool;
use super::replies::Replies;
use super::report::Ended;
use crate::cli::Exit;
use crate::cli::callee::Callee;
use crate::cli::invoke::log::{Line, Log};

/// What every case shares: one engine, and the compiled code of each component.
pub(super) struct Bench {
    engine: Engine,
    tasks: Tasks,
    components: BTreeMap<Arc<str>, (ComponentPlan, Code)>,
}

/// Runs these cases, side by side; the results are in their order.
pub(super) fn run_all(
    bench: &Bench,
    cases: &[&ComponentCase],
    threads: usize,
) -> Result<Vec<Ran>, Exit> {
    pool::run(cases, threads, |log| {
        let runtime = pool::runtime()?;
        Ok(move |case: &&ComponentCase| runtime.block_on(bench.run(case, &log)))
    })
}

/// What came of a case, and its answers for a snapshot.
pub(super) struct Ran {
    pub(super) ended: Ended,
    /// The snapshot to compare with; `None` if the case has none.
    pub(super) snapshot: Option<Value>,
}

impl Bench {
    /// Compiles these components; an error is every fault of all of them.
    pub(super) async fn load(
        engine: Engine,
        tasks: &Tasks,
        plan: &Plan,
        names: impl IntoIterator<Item = &Arc<str>>,
    ) -> Result<Self, Vec<ComponentFault>> {
        let mut components = BTreeMap::new();
        let mut faults = Vec::new();
        for name in names {
            let Some(component) = plan.components.get(name) else {
                continue;
            };
            let consumers = plan.consumers_of(name);
            match engine.load(component, &consumers, Source::File, 1).await {
                Ok(generation) => {
                    let code = generation.code().clone();
                    generation.drain().await;
                    components.insert(Arc::clone(name), (component.clone(), code));
                }
                Err(fault) => faults.push(fault),
            }
        }
        match faults.is_empty() {
            true => Ok(Self {
                engine,
                tasks: tasks.clone(),
                components,
            }),
            false => Err(faults),
        }
    }

    /// Runs a case; `log` has what is logged on this thread.
    async fn run(&self, case: &ComponentCase, log: &Log) -> Ran {
        let begun = Instant::now();
        let mut course = Course::default();
        match self.begin(case).await {
            Ok(mut scene) => {
                course.differences.extend(
                    scene
                        .run(case, log, &mut course.log, &mut course.answers)
                        .await,
                );
            }
            Err(reason) => course.differences.push(differs("start", reason)),
        }
        course.log.extend(log.take());
        Ran {
            ended: Ended {
                name: case.name.clone(),
                line: case.line,
                differences: course.differences,
                log: course.log.iter().map(Line::text).collect(),
                took: begun.elapsed(),
            },
            snapshot: case.has_snapshot().then(|| Value::from(course.answers)),
        }
    }

    async fn begin(&self, case: &ComponentCase) -> Result<Scene, String> {
        let clock = case.clock;
        let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
        buckets::fill(&store, &case.keyvalue).await?;
        // What a test writes must not reach a bucket of a service.
        let objects = Objects::in_memory(&self.tasks);
        let network = Arc::new(Offline::new(&case.http));
        let surroundings = Surroundings {
            network: Some(Arc::clone(&network) as _),
            clock: clock.map(|time| Arc::new(move || time) as _),
            objects: Some(objects.clone()),
        };
        let mut containers = None;
        let callee = match &case.handler {
            Handler::Routes(routes) => Callee::Routes(Arc::clone(routes)),
            Handler::Component(name) => {
                let engine = self.engine.surrounded(&store, surroundings);
                let (plan, code) = self.component(name)?;
                let filled = Containers::filled(&objects, plan, &case.objects).await?;
                containers = Some(filled);
                load_again(&engine, plan, code, case).await?
            }
        };
        let replies = Arc::new(Replies::new(&case.requests));
        Ok(Scene {
            requester: Arc::clone(&replies) as _,
            replies,
            callee,
            contract: case.contract.clone(),
            network,
            store,
            containers,
        })
    }

    fn component(&self, name: &str) -> Result<&(ComponentPlan, Code), String> {
        let component = self.components.get(name);
        component.ok_or_else(|| "its component was not loaded".to_owned())
    }
}

/// The component of a case, in its surroundings.
async fn load_again(
    engine: &Engine,
    plan: &ComponentPlan,
    code: &Code,
    case: &ComponentCase,
) -> Result<Callee, String> {
    let plan = with_config(plan, &case.config);
    let loaded = engine
        .load(&plan, &[], Source::Compiled(code.clone()), 1)
        .await;
    let generation = loaded.map_err(|fault| fault.to_string())?;
    Ok(Callee::Component(Box::new(generation)))
}

/// The component with other values of its `config`, and all of its lines shown.
fn with_config(plan: &ComponentPlan, values: &[(String, String)]) -> ComponentPlan {
    let mut plan = plan.clone();
    plan.config
        .retain(|(key, _)| values.iter().all(|(other, _)| other != key));
    plan.config.extend(values.iter().cloned());
    plan.log_lines = u32::MAX;
    plan
}

#[derive(Default)]
struct Course {
    differences: Differences,
    log: Vec<Line>,
    answers: Vec<Value>,
}

/// What is called, in the surroundings of a case.
struct Scene {
    contract: Option<Arc<Contract>>,
    callee: Callee,
    network: Arc<Offline>,
    replies: Arc<Replies>,
    /// The same, for the component.
    requester: Arc<dyn Requester>,
    store: Arc<dyn Store>,
    /// None for routes.
    containers: Option<Containers>,
}

impl Scene {
    async fn run(
        &mut self,
        case: &ComponentCase,
        log: &Log,
        printed: &mut Vec<Line>,
        answers: &mut Vec<Value>,
    ) -> Differences {
        let mut found = Differences::new();
        for (index, call) in case.calls.iter().enumerate() {
            let at = match case.calls.len() {
                1 => String::new(),
                _ => format!("steps[{index}]"),
            };
            let measured = self.call(call, index).await;
            let lines = log.take();
            found.extend(whole(&call.expect, &measured, &lines, &at));
            printed.extend(lines);
            for (index, outcome) in measured.outcomes.into_iter().enumerate() {
                let got = Answer::of(outcome).object();
                let at = match call.deliveries.len() {
                    1 => at.clone(),
                    _ => within(&at, &format!("batch[{index}]")),
                };
                if let Some((_, expected)) = call.deliveries.get(index) {
                    found.extend(answer(expected, &got, &at));
                }
                if call.expect.snapshot {
                    answers.push(Value::Object(got));
                }
            }
            let expected = &call.expect;
            found.extend(buckets::differences(&self.store, &expected.keyvalue, &at).await);
            if let Some(containers) = &self.containers {
                found.extend(containers.differences(&expected.objects, &at).await);
            }
        }
        self.callee.drain().await;
        found.extend(self.network.differences());
        found.extend(self.replies.differences());
        found
    }

    async fn call(&self, call: &CallCase, index: usize) -> Measured {
        let envelopes: Vec<_> = call.deliveries.iter().map(|(one, _)| one).collect();
        // A component that handles batches alone gets one of one.
        let is_batch = call.is_batch || !self.callee.takes_single();
        let handed = match (&envelopes[..], is_batch) {
            ([one], false) => Handed::One(one),
            _ => Handed::Batch(&envelopes),
        };
        let told = Call {
            consumer: "test",
            delivery: &(index + 1),
            trace: None,
            requester: Some(&self.requester),
            heard: None,
            notes: None,
        };
        let contract = self.contract.as_deref();
        self.callee.measure(contract, &told, handed).await
    }
}

/// Compares what concerns a call as a whole: its time, memory and log lines.
fn whole(expected: &CallMatch, got: &Measured, lines: &[Line], at: &str) -> Differences {
    let mut found = Differences::new();
    // What the host has to say is there to read, and no line of the component's.
    let printed: Vec<&str> = lines.iter().filter_map(Line::printed).collect();
    for line in &expected.log {
        if !printed.iter().any(|text| holds(line, text)) {
            let words = format!("expected {} among the lines", wanted(line));
            found.push(differs(&within(at, "log"), words));
        }
    }
    for line in &expected.no_log {
        if let Some(text) = printed.iter().find(|text| holds(line, text)) {
            let words = format!("expected no line like {}, got {text:?}", wanted(line));
            found.push(differs(&within(at, "no-log"), words));
        }
    }
    if let Some(most) = expected.time
        && got.took > most
    {
        let words = format!("expected at most {most:?}, took {:?}", got.took);
        found.push(differs(&within(at, "time"), words));
    }
    if let (Some(most), Some(used)) = (expected.memory, got.memory)
        && used > most
    {
        let (most, used) = (most.div_ceil(1024), used.div_ceil(1024));
        let words = format!("expected at most {most} KiB, used {used} KiB");
        found.push(differs(&within(at, "memory"), words));
    }
    found
}
