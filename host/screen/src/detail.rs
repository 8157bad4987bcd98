//! One consumer in detail, as lines.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::Value;

use crate::consumers::{Row, list, reason, text};
use crate::look::Look;
use crate::style::Colours;
use crate::view::{counted, rate, workers};

/// The digits of a SHA-256 that are shown.
const SUM_DIGITS: usize = 12;

/// What is known of a consumer; `row` is missing once the host has it no more.
pub(crate) fn lines(
    name: &str,
    row: Option<&Row>,
    look: &Look,
    colours: Colours,
) -> Vec<Line<'static>> {
    let Some(row) = row else {
        let name = text(&Value::from(name));
        let gone = format!("{name} is no consumer of this host any more");
        return vec![Line::styled(gone, colours.bad())];
    };
    let mut page = Page {
        lines: Vec::new(),
        colours,
    };
    page.head(&row.name);
    page.fact_in("state", row.state.clone(), colours.state(&row.state));
    if !row.reason.is_empty() {
        page.fact_in("reason", row.reason.clone(), colours.bad());
    }
    let consumer = list(&look.status["consumers"]).find(|one| one["consumer"] == row.key.as_str());
    let consumer = consumer.unwrap_or(&Value::Null);
    page.fact("queue", row.queue.clone());
    page.fact("connection", text(&consumer["connection"]));
    page.fact("component", component(consumer, &look.status));
    page.fact("workers", workers(row));
    page.fact("in flight", counted(row.in_flight));
    page.fact("waiting", counted(row.waiting));
    let kept = &consumer["kept"];
    if !kept.is_null() {
        page.fact(
            "kept",
            format!("{}: {}", kept["deliveries"], text(&kept["reason"])),
        );
    }
    page.head("Deliveries since the host started");
    for (name, count) in [
        ("acked", row.acked),
        ("retried", row.retried),
        ("dead-lettered", row.dead),
    ] {
        page.fact(
            name,
            format!("{} ({}/s)", counted(count.total), rate(count)),
        );
    }
    let named = ["acked", "retried", "dead_lettered"];
    let others = consumer["deliveries"].as_object().into_iter().flatten();
    for (name, count) in others.filter(|(name, _)| !named.contains(&name.as_str())) {
        page.fact(&name.replace('_', " "), counted(count.as_u64()));
    }
    page.head("Queues");
    for queue in list(&consumer["queues"]) {
        let messages = counted(queue["messages"].as_u64());
        let purpose = text(&queue["purpose"]).replace('_', " ");
        let why = reason(queue);
        page.fact(
            &purpose,
            format!("{messages}  {}  {why}", text(&queue["queue"])),
        );
    }
    match &look.deliveries {
        Some(deliveries) => page.deliveries(deliveries),
        None => page.lines.push(Line::styled(
            "deliveries are not shown to this token",
            colours.quiet(),
        )),
    }
    page.lines
}

struct Page {
    lines: Vec<Line<'static>>,
    colours: Colours,
}

impl Page {
    fn head(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let style = self.colours.head();
        self.lines.push(Line::styled(text.to_owned(), style));
    }

    fn fact(&mut self, name: &str, value: String) {
        self.fact_in(name, value, Style::new());
    }

    fn fact_in(&mut self, name: &str, value: String, style: Style) {
        let name = Span::styled(format!("  {name:<14}"), self.colours.quiet());
        self.lines
            .push(Line::from_iter([name, Span::styled(value, style)]));
    }

    fn deliveries(&mut self, deliveries: &Value) {
        self.head("In flight, the oldest first");
        for one in list(&deliveries["listed"]) {
            let age = one["age_ms"].as_f64().unwrap_or_default() / 1e3;
            let (delivery, attempt) = (text(&one["delivery"]), &one["attempt"]);
            self.lines.push(Line::from(format!(
                "  {delivery}  attempt {attempt}  {age:.1} s"
            )));
        }
        self.head("Last failures");
        for one in list(&deliveries["failures"]) {
            let outcome = text(&one["outcome"]);
            let error = one["error"].as_str().unwrap_or_default();
            let error = text(&Value::from(error.lines().next().unwrap_or_default()));
            let (at, delivery) = (text(&one["at"]), text(&one["delivery"]));
            let class = text(&one["class"]);
            self.lines.push(Line::from_iter([
                Span::from(format!("  {at}  {delivery}  attempt {}  ", one["attempt"])),
                Span::styled(outcome.replace('_', "-"), self.colours.state(&outcome)),
                Span::from(format!("  {class}: {error}")),
            ]));
        }
    }
}

/// The component with the version that serves, and one on trial.
fn component(consumer: &Value, status: &Value) -> String {
    let name = &consumer["component"];
    let found = list(&status["components"]).find(|one| one["component"] == *name);
    let name = text(name);
    let Some(found) = found else {
        return name;
    };
    let sum = text(&found["sha256"]);
    let sum = sum.get(..SUM_DIGITS).unwrap_or(&sum);
    let (generation, since) = (&found["generation"], text(&found["since"]));
    let (canary, shadow) = (&found["canary"], &found["shadow"]);
    let trial = match (canary.is_null(), shadow.is_null()) {
        (true, true) => String::new(),
        (false, _) => format!(
            "; on trial: generation {}, {} of {} failed",
            canary["generation"], canary["failed"], canary["deliveries"]
        ),
        (true, false) => format!(
            "; shadow: generation {}, {} of {} different, {} failed",
            shadow["generation"], shadow["different"], shadow["compared"], shadow["failed"]
        ),
    };
    format!("{name}  generation {generation}  {sum}  since {since}{trial}")
}
