//! The findings of a check, for people and for scripts.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_config::plan::{ConsumerPlan, HttpRoutePlan, LeftOut, Placement, Plan, QueueKind};
use hive_config::{Problem, Severity};
use hive_core::codes::{Code, Coded};
use hive_core::policy::OnError;
use hive_sandbox::{Access, ComponentFault, Slot};
use serde_json::{Value, json};

use super::at_the_broker::{Compared, Matching};
use super::retries::retries;
use crate::cli::Exit;
use crate::cli::say::{fault, out, warning};
use crate::cli::schedule::Firings;

/// The firings that are shown of each schedule.
const NEXT: usize = 3;

/// Everything that was found, in the order of the checks.
#[derive(Default)]
pub(super) struct Findings {
    /// Faults of the file, which are printed already for people.
    problems: Vec<Problem>,
    /// The faults of the components.
    faults: Vec<Coded>,
    components: Vec<Component>,
    consumers: Vec<Consumer>,
    requests: Vec<Requests>,
    schedules: Vec<Firings>,
    pub(super) brokers: Vec<Compared>,
}

/// A component that can be run.
struct Component {
    name: String,
    sha256: String,
    access: Vec<Access>,
    publications: String,
}

/// How one consumer would consume.
struct Consumer {
    name: String,
    queue: String,
    /// `None` for a consumer with routes.
    component: Option<String>,
    /// How many; 0 for a component.
    routes: usize,
    batch: Option<String>,
    /// Where one host at a time consumes.
    placement: Option<String>,
    failed: String,
    /// `None` for a stream.
    retries: Option<String>,
}

/// What becomes of the requests of a route over HTTP.
struct Requests {
    route: String,
    connection: String,
    component: Option<String>,
    exchange: String,
    routing_key: String,
}

impl Requests {
    fn of(plan: &HttpRoutePlan) -> Self {
        Self {
            route: plan.name.to_string(),
            connection: plan.connection.to_string(),
            component: plan.component.as_ref().map(ToString::to_string),
            exchange: plan.exchange.to_string(),
            routing_key: plan.routing_key.source().to_owned(),
        }
    }
}

impl Consumer {
    fn of(plan: &ConsumerPlan, whole: &Plan) -> Self {
        let failed = match plan.stream.as_ref().map(|stream| stream.on_error) {
            None | Some(OnError::DeadLetter) => format!("dead letters to {}", plan.dead_letter),
            Some(OnError::Stop) => "stops at a message that fails".to_owned(),
            Some(OnError::Skip) => "passes over messages that fail".to_owned(),
        };
        let batch = plan.batch.as_ref().map(|batch| {
            let of_one_key = match &batch.by {
                Some(by) => format!(", each of one {by}"),
                None => String::new(),
            };
            format!(
                "{} or what came in {:?}{of_one_key}",
                batch.size, batch.wait
            )
        });
        Self {
            name: plan.name.to_string(),
            queue: plan.queue.to_string(),
            component: plan.handler.component().map(ToString::to_string),
            routes: plan
                .handler
                .routes()
                .map_or(0, |routes| routes.routes.len()),
            batch,
            placement: placement(plan, whole),
            failed,
            retries: retries(plan),
        }
    }
}

/// The hosts that consume, where it is one at a time.
fn placement(consumer: &ConsumerPlan, whole: &Plan) -> Option<String> {
    if consumer.placement == Placement::Every {
        return None;
    }
    let connection = whole.connections.get(&consumer.connection);
    let mut queues = connection
        .into_iter()
        .flat_map(|connection| &connection.topology.queues);
    let is_classic =
        queues.any(|queue| queue.name == consumer.queue && queue.kind == QueueKind::Classic);
    let moves = match is_classic {
        true => "a classic queue does not move back to its host when that returns",
        false => "a quorum queue on RabbitMQ 4.0 or later moves back to its host when that returns",
    };
    Some(format!("one host at a time, with fail-over; {moves}"))
}

impl Findings {
    /// The faults of the file.
    pub(super) fn read<'a>(&mut self, problems: impl IntoIterator<Item = &'a Problem>) {
        self.problems.extend(problems.into_iter().cloned());
    }

    /// Every component compiles and starts.
    pub(super) fn can_be_run(&mut self, plan: &Plan, slots: &BTreeMap<Arc<str>, Arc<Slot>>) {
        self.components = slots
            .iter()
            .map(|(name, slot)| {
                let generation = slot.current();
                Component {
                    name: name.to_string(),
                    sha256: generation.version().sha256.to_string(),
                    access: generation.access(),
                    publications: generation.publications(),
                }
            })
            .collect();
        // Of a pattern, one stands for all.
        let consumers = plan.consumers.values().chain(plan.templates());
        self.consumers = consumers
            .map(|consumer| Consumer::of(consumer, plan))
            .collect();
        let routes = plan.http.iter().flat_map(|http| http.routes.values());
        self.requests = routes.map(Requests::of).collect();
        let schedules = plan.schedules.values();
        self.schedules = schedules.map(|plan| Firings::of(plan, NEXT)).collect();
    }

    /// Records the components that cannot be run.
    pub(super) fn cannot_be_run(&mut self, faults: &[ComponentFault]) {
        self.faults = faults
            .iter()
            .map(|fault| Coded::new(fault.code(), fault))
            .collect();
    }

    pub(super) fn exit(&self) -> Exit {
        if self.errors().next().is_some() || !self.faults.is_empty() {
            return Exit::Misused;
        }
        match self.brokers.iter().all(Compared::is_well) {
            true => Exit::Done,
            false => Exit::Failed,
        }
    }

    fn errors(&self) -> impl Iterator<Item = &Problem> {
        let is_error = |problem: &&Problem| problem.severity() == Severity::Error;
        self.problems.iter().filter(is_error)
    }

    /// Prints the findings for people. What is wrong goes to standard error.
    pub(super) fn print(&self) {
        for fault in &self.faults {
            fault!([fault.code] "{fault}");
        }
        for component in &self.components {
            out!("component {}: sha256 {}", component.name, component.sha256);
            for Access { import, granted } in &component.access {
                out!("  imports {import}: {granted}");
            }
            out!("  publishes {}", component.publications);
        }
        for consumer in &self.consumers {
            let batches = match &consumer.batch {
                Some(batch) => format!(" in batches of {batch}"),
                None => String::new(),
            };
            let handler = match (&consumer.component, consumer.routes) {
                (Some(component), _) => format!("component {component}"),
                (None, 1) => "1 route".to_owned(),
                (None, routes) => format!("{routes} routes"),
            };
            out!(
                "consumer {}: queue {} -> {handler}{batches}, {}",
                consumer.name,
                consumer.queue,
                consumer.failed
            );
            if let Some(placement) = &consumer.placement {
                out!("  placement: {placement}");
            }
            if let Some(retries) = &consumer.retries {
                out!("  retries: {retries}");
            }
        }
        for requests in &self.requests {
            match &requests.component {
                Some(component) => {
                    out!(
                        "http {}: handled by component {component:?}",
                        requests.route
                    );
                }
                None => out!(
                    "http {}: publishes to exchange {:?} with routing key {:?}",
                    requests.route,
                    requests.exchange,
                    requests.routing_key
                ),
            }
        }
        self.schedules.iter().for_each(Firings::print);
        for compared in &self.brokers {
            compared.print();
        }
        if self.exit() == Exit::Done {
            out!("no faults");
        }
    }

    /// The findings as JSON; docs/command-line.md describes the fields.
    pub(super) fn json(&self) -> Value {
        let components = self.components.iter().map(|component| {
            let imports = component.access.iter();
            let imports: Vec<_> = imports
                .map(|access| json!({ "import": access.import, "granted": access.granted }))
                .collect();
            json!({
                "component": component.name,
                "sha256": component.sha256,
                "imports": imports,
                "publishes": component.publications,
            })
        });
        let consumers = self.consumers.iter().map(|consumer| {
            json!({
                "consumer": consumer.name,
                "queue": consumer.queue,
                "component": consumer.component,
                "routes": consumer.routes,
                "batches": consumer.batch,
                "placement": consumer.placement,
                "on-failure": consumer.failed,
                "retries": consumer.retries,
            })
        });
        let requests = self.requests.iter().map(|requests| {
            json!({
                "route": requests.route,
                "connection": requests.connection,
                "component": requests.component,
                "exchange": requests.exchange,
                "routing-key": requests.routing_key,
            })
        });
        let problems = self.problems.iter().map(|problem| {
            json!({
                "code": problem.code().as_str(),
                "severity": match problem.severity() {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "file": problem.file(),
                "line": problem.line(),
                "key": problem.key(),
                "message": problem.message(),
                "remedy": problem.remedy(),
            })
        });
        let faults = self.faults.iter().map(
            |fault| json!({ "severity": "error", "code": code(fault), "message": fault.text }),
        );
        json!({
            "ok": self.exit() == Exit::Done,
            "problems": problems.chain(faults).collect::<Vec<_>>(),
            "components": components.collect::<Vec<_>>(),
            "consumers": consumers.collect::<Vec<_>>(),
            "http": requests.collect::<Vec<_>>(),
            "schedules": self.schedules.iter().map(Firings::json).collect::<Vec<_>>(),
            "brokers": self.brokers.iter().map(Compared::json).collect::<Vec<_>>(),
        })
    }
}

/// The code of a fault as JSON: null if it has none.
fn code(fault: &Coded) -> Option<&'static str> {
    fault.code.map(Code::as_str)
}

impl Compared {
    fn is_well(&self) -> bool {
        let found = self.found.as_ref();
        let is_looked_at = !matches!(self.discovered, Some(Err(_)));
        is_looked_at && found.is_ok_and(|found| found.mismatches.is_empty())
    }

    fn print(&self) {
        self.print_compared();
        match &self.discovered {
            None => {}
            Some(Ok(all)) => all
                .iter()
                .for_each(|matching| self.print_matching(matching)),
            Some(Err(reason)) => fault!([reason.code] "connection {}: {reason}", self.connection),
        }
    }

    fn print_matching(&self, matching: &Matching) {
        let Matching {
            consumer,
            pattern,
            queues,
            left_out,
        } = matching;
        match queues {
            1 => out!("  consumer {consumer}: 1 queue matches {pattern} now"),
            _ => out!("  consumer {consumer}: {queues} queues match {pattern} now"),
        }
        for LeftOut {
            queue,
            why,
            is_fault,
            ..
        } in left_out
        {
            match is_fault {
                true => warning!(
                    "connection {}: consumer {consumer} leaves out queue {queue}: {why}",
                    self.connection
                ),
                false => out!("  consumer {consumer}: leaves out queue {queue}: {why}"),
            }
        }
    }

    fn print_compared(&self) {
        let Self {
            connection, vhost, ..
        } = self;
        let found = match &self.found {
            Ok(found) => found,
            Err(reason) => {
                fault!([reason.code] "{reason}");
                return;
            }
        };
        let fitting = found.fitting.len();
        out!("connection {connection}: {fitting} as planned in vhost {vhost}");
        for missing in &found.missing {
            out!("  not there, will be declared: {missing}");
        }
        for fate in &found.fates {
            out!("  consumer {}: {}", fate.consumer, fate.line);
            if let Some(placement) = &fate.placement {
                out!("  consumer {}: {placement}", fate.consumer);
            }
        }
        for departure in &found.departures {
            warning!([Code::QueueDiffers] "connection {connection}: {departure}");
        }
        for mismatch in &found.mismatches {
            fault!([mismatch.code] "connection {connection}: {mismatch}");
        }
    }

    fn json(&self) -> Value {
        let mut compared = self.json_compared();
        compared["discovered"] = match &self.discovered {
            None => Value::Null,
            Some(Ok(all)) => all.iter().map(Matching::json).collect(),
            Some(Err(reason)) => json!({ "code": code(reason), "error": reason.text }),
        };
        compared
    }

    fn json_compared(&self) -> Value {
        let Self {
            connection, vhost, ..
        } = self;
        match &self.found {
            Err(reason) => json!({
                "connection": connection,
                "vhost": vhost,
                "code": code(reason),
                "error": reason.text,
            }),
            Ok(found) => {
                let mismatches = found.mismatches.iter().map(|mismatch| {
                    json!({
                        "code": mismatch.code.as_str(),
                        "entity": mismatch.entity,
                        "answer": mismatch.answer,
                        "remedy": mismatch.remedy,
                    })
                });
                let departures = found.departures.iter().map(|departure| {
                    json!({
                        "code": Code::QueueDiffers.as_str(),
                        "queue": departure.queue,
                        "found": departure.found,
                        "remedy": departure.remedy,
                    })
                });
                let fates = found.fates.iter();
                let fates = fates.map(|fate| {
                    json!({
                        "consumer": fate.consumer,
                        "messages": fate.line,
                        "placement": fate.placement,
                    })
                });
                json!({
                    "connection": connection,
                    "vhost": vhost,
                    "consumers": fates.collect::<Vec<_>>(),
                    "as-planned": found.fitting,
                    "missing": found.missing,
                    "departures": departures.collect::<Vec<_>>(),
                    "mismatches": mismatches.collect::<Vec<_>>(),
                })
            }
        }
    }
}

impl Matching {
    fn json(&self) -> Value {
        let left_out = self.left_out.iter();
        let left_out = left_out.map(|one| json!({ "queue": *one.queue, "why": *one.why }));
        json!({
            "consumer": *self.consumer,
            "pattern": *self.pattern,
            "queues": self.queues,
            "left-out": left_out.collect::<Vec<_>>(),
        })
    }
}
