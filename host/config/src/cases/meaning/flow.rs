//! Cases that run the whole hive.toml.

use std::time::Duration;

use hive_core::codes::Code;

use super::Meaning;
use crate::cases::keys::named;
use crate::cases::{Act, FlowCase, QueueMatch, Step, given};
use crate::written::{Node, Value};

/// `within` of an expectation. The clock is turned to its end where nothing is in flight, so a long time costs nothing.
const WITHIN: Duration = Duration::from_secs(60);

impl Meaning<'_> {
    pub(super) fn flow(&mut self, node: &Node) -> Option<FlowCase> {
        let steps = node.list(named!("steps"));
        if let (true, Some(at)) = (steps.is_empty(), node.get(named!("steps")))
            && !at.is_faulty()
        {
            let remedy = "write one `[[flow.steps]]` at least";
            self.faults
                .error(Code::EmptyValue, at, "has no step", remedy);
        }
        let steps = steps.iter().filter_map(|step| self.step(step)).collect();
        let http = node.list(named!("http")).iter();
        let http = http.filter_map(|one| self.expecting().http(one)).collect();
        Some(FlowCase {
            name: node.text(named!("name"))?.to_owned(),
            line: self.line(node),
            http,
            steps,
        })
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let Value::Table(_, entries) = &node.value else {
            return None;
        };
        let [(_, at)] = &entries[..] else {
            let message = format!("has {} keys", entries.len());
            let remedy = "write one of `publish`, `expect` and `turn` in each step";
            self.faults.error(Code::Conflict, node, message, remedy);
            return None;
        };
        let act = if node.get(named!("publish")).is_some() {
            let publication = given::publication(at, &self.folder, self.faults)?;
            Act::Publish(Box::new(publication), at.read(named!("times")).unwrap_or(1))
        } else if node.get(named!("expect")).is_some() {
            Act::Expect(self.queue(at)?)
        } else {
            Act::Turn(at.as_duration()?)
        };
        Some(Step {
            line: self.line(at),
            act,
        })
    }

    fn queue(&mut self, node: &Node) -> Option<QueueMatch> {
        let messages = node.get(named!("messages")).map(|_| {
            let list = node.list(named!("messages")).iter();
            list.map(|one| self.expecting().message(one))
                .collect::<Vec<_>>()
        });
        let count = self.count(node, messages.as_ref().map(Vec::len));
        let within = node.read(named!("within")).unwrap_or(WITHIN);
        let not_before = node
            .read::<Duration, _, _>(named!("not-before"))
            .unwrap_or_default();
        if not_before > within
            && let Some(at) = node.get(named!("not-before"))
        {
            let remedy = "raise `within`, which is \"1m\" unless set";
            self.faults
                .error(Code::Conflict, at, "is longer than `within`", remedy);
        }
        Some(QueueMatch {
            queue: node.text(named!("queue"))?.to_owned(),
            count: count?,
            messages,
            any_order: node.read(named!("any-order")).unwrap_or(false),
            within,
            not_before,
        })
    }

    /// How many messages must wait, where `listed` are described.
    fn count(&mut self, node: &Node, listed: Option<usize>) -> Option<usize> {
        match (node.get(named!("count")), listed) {
            (Some(at), listed) => {
                let count = node.read::<u32, _, _>(named!("count"))?;
                let count = usize::try_from(count).ok()?;
                match listed {
                    Some(listed) if listed != count => {
                        let message = format!("is {count}, and `messages` has {listed}");
                        let remedy = "leave it out, or list every message of the queue";
                        self.faults.error(Code::Conflict, at, message, remedy);
                        None
                    }
                    _ => Some(count),
                }
            }
            (None, Some(listed)) => Some(listed),
            (None, None) => {
                let remedy = "write `count`, or `messages`";
                self.faults.missing(node, named!("count").name(), remedy);
                None
            }
        }
    }
}
