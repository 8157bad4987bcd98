//! A test file as meant: names looked up in hive.toml, cases in full, and what does not go together.

mod flow;
mod objects;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hive_core::codes::Code;
use hive_core::nearest;

use super::expectations::{Expecting, buckets, named_texts};
use super::keys::named;
use super::{AnswerMatch, Call, Cases, ComponentCase, given};
use crate::faults::Faults;
use crate::plan::{ConsumerPlan, Handler, Plan};
use crate::sources::Sources;
use crate::written::Node;

/// The cases of a file. Whatever is wrong with it is in `faults`, and then they are not whole.
pub(super) fn cases(written: &Node, plan: &Plan, sources: &Sources, faults: &mut Faults) -> Cases {
    let path = sources.main().path.clone();
    let mut meaning = Meaning {
        plan,
        sources,
        folder: folder(&path),
        faults,
    };
    let (components, flows) = (
        written.list(named!("component")),
        written.list(named!("flow")),
    );
    meaning.names(components.iter().chain(flows));
    Cases {
        components: components
            .iter()
            .filter_map(|node| meaning.component(node))
            .collect(),
        flows: flows.iter().filter_map(|node| meaning.flow(node)).collect(),
        path,
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

struct Meaning<'a> {
    plan: &'a Plan,
    sources: &'a Sources,
    folder: PathBuf,
    faults: &'a mut Faults,
}

/// Whom a case calls.
struct Target<'a> {
    handler: Handler,
    consumer: Option<&'a ConsumerPlan>,
}

impl<'a> Meaning<'a> {
    fn expecting(&mut self) -> Expecting<'_> {
        Expecting {
            folder: &self.folder,
            faults: self.faults,
        }
    }

    /// Names are how a case is filtered and how its snapshot is found.
    fn names<'n>(&mut self, cases: impl Iterator<Item = &'n Node>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for case in cases {
            let Some(node) = case.get(named!("name")) else {
                continue;
            };
            let Some(name) = node.as_text() else {
                continue;
            };
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                let remedy = "say in a few words on one line what the case shows";
                self.faults.error(Code::BadName, node, "is no name", remedy);
            }
            let line = self.line(node);
            if let Some(first) = seen.insert(name, line) {
                let message = format!("is the name of the case in line {first} too");
                self.faults.error(
                    Code::Duplicate,
                    node,
                    message,
                    "give each case a name of its own",
                );
            }
        }
    }

    fn line(&self, node: &Node) -> usize {
        let text = self.sources.main().text.as_bytes();
        let before = &text[..node.span.start.min(text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn component(&mut self, node: &Node) -> Option<ComponentCase> {
        let target = self.target(node);
        let steps = node.list(named!("steps"));
        let mut calls = Vec::new();
        match node.get(named!("steps")) {
            None => calls.extend(self.call(node, target.as_ref())),
            Some(at) => {
                for key in [named!("message"), named!("batch"), named!("expect")] {
                    if let Some(at) = node.get(key) {
                        let remedy = "move it into one of the `steps`";
                        self.faults.error(
                            Code::Conflict,
                            at,
                            "cannot be combined with `steps`",
                            remedy,
                        );
                    }
                }
                if steps.is_empty() && !at.is_faulty() {
                    let remedy = "write one `[[component.steps]]` at least";
                    self.faults
                        .error(Code::EmptyValue, at, "has no step", remedy);
                }
                for step in steps {
                    calls.extend(self.call(step, target.as_ref()));
                }
            }
        }
        let http = node.list(named!("http")).iter();
        let http: Vec<_> = http.filter_map(|one| self.expecting().http(one)).collect();
        let requests = node.list(named!("requests")).iter();
        let requests: Vec<_> = requests
            .filter_map(|one| self.expecting().request(one))
            .collect();
        let objects = self.objects(node, target.as_ref());
        Some(ComponentCase {
            name: node.text(named!("name"))?.to_owned(),
            line: self.line(node),
            contract: target
                .as_ref()?
                .consumer
                .and_then(|consumer| consumer.schema.clone()),
            handler: target?.handler,
            config: named_texts(node, named!("config")),
            keyvalue: buckets(node),
            objects,
            clock: self.clock(node),
            http,
            requests,
            calls,
        })
    }

    /// The component that `consumer` or `component` names; none is a fault that was reported.
    fn target(&mut self, node: &Node) -> Option<Target<'a>> {
        let of = |consumer: &'a ConsumerPlan| Target {
            handler: consumer.handler.clone(),
            consumer: Some(consumer),
        };
        let plan = self.plan;
        match (node.get(named!("consumer")), node.get(named!("component"))) {
            (Some(_), Some(at)) => {
                let remedy = "name the consumer alone: its component is in hive.toml";
                self.faults.error(
                    Code::Conflict,
                    at,
                    "cannot be combined with `consumer`",
                    remedy,
                );
                None
            }
            (Some(at), None) => {
                let name = at.as_text()?;
                let found = plan.consumers.get(name);
                if found.is_none() {
                    let names = plan.consumers.keys().map(|name| &**name);
                    let advice = nearest::advice(name, names, "the consumers are");
                    let message = format!("is not a consumer of hive.toml: {name:?}");
                    self.faults
                        .error(Code::UnknownReference, at, message, advice);
                }
                found.map(of)
            }
            (None, Some(at)) => {
                let name = at.as_text()?;
                let found = plan.components.get_key_value(name);
                if found.is_none() {
                    let names = plan.components.keys().map(|name| &**name);
                    let advice = nearest::advice(name, names, "the components are");
                    let message = format!("is not a component of hive.toml: {name:?}");
                    self.faults
                        .error(Code::UnknownReference, at, message, advice);
                }
                found.map(|(name, _)| Target {
                    handler: Handler::Component(Arc::clone(name)),
                    consumer: None,
                })
            }
            (None, None) => {
                let mut consumers = plan.consumers.values();
                match (consumers.next(), consumers.next()) {
                    (Some(only), None) => Some(of(only)),
                    _ => {
                        let names: Vec<&str> = plan.consumers.keys().map(|name| &**name).collect();
                        let remedy = format!("hive.toml has several: {}", names.join(", "));
                        self.faults.missing(node, named!("consumer").name(), remedy);
                        None
                    }
                }
            }
        }
    }

    fn call(&mut self, node: &Node, target: Option<&Target<'_>>) -> Option<Call> {
        let expect = node.get(named!("expect"));
        let of_each =
            expect.map_or_else(AnswerMatch::default, |node| self.expecting().answer(node));
        let whole = expect.map(|node| {
            let mut whole = self.expecting().call(node);
            whole.objects = self.expected_objects(node, target);
            whole
        });
        let queue = target.and_then(|target| target.consumer);
        let mut deliveries = Vec::new();
        let is_batch = match (node.get(named!("message")), node.get(named!("batch"))) {
            (Some(message), None) => {
                deliveries.push((self.delivery(message, queue)?, of_each));
                queue.is_some_and(|consumer| consumer.batch.is_some())
            }
            (None, Some(at)) => {
                let batch = node.list(named!("batch"));
                if batch.is_empty() && !at.is_faulty() {
                    self.faults.error(
                        Code::EmptyValue,
                        at,
                        "has no delivery",
                        "write one at least",
                    );
                }
                for one in batch {
                    let expect = one.get(named!("expect"));
                    let answer = expect.map(|node| self.expecting().answer(node));
                    let Some(message) = one.get(named!("message")) else {
                        continue;
                    };
                    let delivery = self.delivery(message, queue);
                    deliveries.extend(
                        delivery.map(|one| (one, answer.unwrap_or_else(|| of_each.clone()))),
                    );
                }
                true
            }
            (Some(_), Some(at)) => {
                let remedy = "keep one of them";
                self.faults.error(
                    Code::Conflict,
                    at,
                    "cannot be combined with `message`",
                    remedy,
                );
                return None;
            }
            (None, None) => {
                let remedy = "write a table `message`; the least is `message = {}`";
                self.faults.missing(node, named!("message").name(), remedy);
                return None;
            }
        };
        Some(Call {
            deliveries,
            is_batch,
            expect: whole.unwrap_or_default(),
        })
    }

    fn delivery(
        &mut self,
        node: &Node,
        consumer: Option<&ConsumerPlan>,
    ) -> Option<hive_core::message::Envelope> {
        let mut delivery = given::delivery(node, &self.folder, self.faults)?;
        if let (true, Some(consumer)) = (delivery.queue.is_empty(), consumer) {
            delivery.queue = Arc::clone(&consumer.queue);
        }
        Some(delivery)
    }

    fn clock(&mut self, node: &Node) -> Option<SystemTime> {
        let at = node.get(named!("clock"))?;
        match humantime::parse_rfc3339_weak(at.as_text()?) {
            Ok(time) => Some(time),
            Err(error) => {
                let remedy = "write it as in \"2026-11-28T12:00:00Z\"";
                self.faults
                    .error(Code::BadForm, at, format!("is no time: {error}"), remedy);
                None
            }
        }
    }
}
