//! What a client sees after a step, as text that two brokers must share.

use std::collections::BTreeMap;
use std::fmt;

use amq_protocol::protocol::basic;
use amq_protocol::types::AMQPValue;

use super::client::Content;

/// All that a client has seen since a step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// Answers, closes, returns and confirms, in their order.
    pub(super) answers: Vec<String>,
    /// What came to each consumer. Between consumers there is no order: each queue is by itself.
    pub(super) consumers: BTreeMap<String, Vec<String>>,
    /// The messages and consumers of each queue; they are asked for anew with each look.
    pub(super) queues: BTreeMap<&'static str, String>,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.answers)?;
        if !self.consumers.is_empty() {
            write!(f, " {:?}", self.consumers)?;
        }
        write!(f, " {:?}", self.queues)
    }
}

/// A message as a client sees it: body, where from, properties.
pub(super) fn message(
    content: &Content,
    exchange: &str,
    routing_key: &str,
    redelivered: bool,
) -> String {
    format!(
        "{} from {exchange:?} {routing_key:?}{}{}",
        String::from_utf8_lossy(&content.body),
        if redelivered { " again" } else { "" },
        properties(&content.properties)
    )
}

/// All properties but those that are not set. Any that comes unexpectedly is there too.
fn properties(properties: &basic::AMQPProperties) -> String {
    let headers = properties.headers().clone().unwrap_or_default();
    let without = properties.clone().with_headers(<_>::default());
    let others = format!("{without:?}");
    let others = others
        .trim_start_matches("AMQPProperties { ")
        .trim_end_matches(" }")
        .split(", ")
        .filter(|one| !one.ends_with(": None") && !one.starts_with("headers: "));
    let mut all = others.map(str::to_owned).collect::<Vec<_>>();
    if !headers.inner().is_empty() {
        all.push(value(&AMQPValue::FieldTable(headers)));
    }
    all.iter().map(|one| format!(" {one}")).collect()
}

/// Tables by name, and no times.
fn value(of: &AMQPValue) -> String {
    match of {
        AMQPValue::FieldArray(array) => {
            let values: Vec<String> = array.as_slice().iter().map(value).collect();
            format!("[{}]", values.join(", "))
        }
        AMQPValue::FieldTable(table) => {
            let mut entries: Vec<String> = table
                .into_iter()
                .map(|(name, entry)| format!("{name}: {}", value(entry)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        AMQPValue::Timestamp(_) => "a time".to_owned(),
        other => format!("{other:?}"),
    }
}
