//! `[schedules.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_schedules::{BadTimes, Times};

use super::{Context, publication};
use crate::keys::{RootKeys, ScheduleMeant, SchedulePublishMeant};
use crate::plan::{LONGEST_SCHEDULE, SchedulePlan, SchedulePublishPlan};
use crate::redact;
use crate::written::Node;

const JSON: &str = "application/json";

/// The schedules that nothing is wrong with, by name.
pub(super) fn plans(context: &mut Context<'_>) -> BTreeMap<Arc<str>, SchedulePlan> {
    let written = context.root.named(RootKeys::schedules);
    let plans = written.iter().filter_map(|(name, node)| {
        let plan = plan(context, name, node)?;
        Some((Arc::clone(&plan.name), plan))
    });
    plans.collect()
}

fn plan(context: &mut Context<'_>, name: &str, node: &Node) -> Option<SchedulePlan> {
    if name.is_empty() || name.len() > LONGEST_SCHEDULE {
        let message = "is not a name of a schedule";
        let remedy = "write 1 to 200 bytes: the schedule's queue is named after it";
        context.faults.error(Code::BadName, node, message, remedy);
    }
    let cron = times(context, node);
    let connection = context.connection(node, SchedulePlan::connection);
    let publish = node.get(SchedulePlan::publish);
    let publish = publish.and_then(|node| publication(context, node));
    let meant = ScheduleMeant {
        cron: cron?,
        publish: publish?,
        connection: connection?.into(),
        name: name.into(),
    };
    SchedulePlan::of_table(Some(node), meant)
}

/// `cron` and `timezone`.
fn times(context: &mut Context<'_>, node: &Node) -> Option<Times> {
    let zone_at = node.get(SchedulePlan::timezone);
    let zone = SchedulePlan::timezone.value(Some(node));
    let cron_at = node.get(SchedulePlan::cron)?;
    let faults = match Times::read(cron_at.as_text()?, &zone) {
        Ok(times) => return Some(times),
        Err(faults) => faults,
    };
    for fault in faults {
        let message = fault.to_string();
        let (at, code, remedy) = match fault {
            BadTimes::Cron(_) => (
                cron_at,
                Code::BadForm,
                "write minute, hour, day of the month, month and day of the week, as in \"0 3 * * *\"; with six fields \
                 the first one is seconds",
            ),
            BadTimes::Never => (
                cron_at,
                Code::NoEffect,
                "correct day and month: there is no such day in any year",
            ),
            BadTimes::Zone => (
                zone_at.unwrap_or(node),
                Code::BadForm,
                "write a name of the time zone database, as in \"Europe/Berlin\" or \"UTC\"",
            ),
        };
        let message = match (&fault, at.as_text()) {
            (BadTimes::Zone, Some(text)) => format!("{message}: {}", redact::quote(text)),
            _ => message,
        };
        context.faults.error(code, at, message, remedy);
    }
    None
}

fn publication(context: &mut Context<'_>, node: &Node) -> Option<SchedulePublishPlan> {
    let keys = [
        SchedulePublishPlan::exchange.untyped(),
        SchedulePublishPlan::routing_key.untyped(),
        SchedulePublishPlan::content_type.untyped(),
    ];
    for at in keys.into_iter().filter_map(|key| node.get(key)) {
        if let Some(text) = at.as_text() {
            publication::short(context, at, text);
        }
    }
    let content_type = SchedulePublishPlan::content_type.value(Some(node));
    if let Some(at) = node.get(SchedulePublishPlan::body)
        && let Some(text) = at.as_text()
        && *content_type == *JSON
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
    {
        let message = format!("is not JSON: {error}");
        let remedy = "correct it, or set `content_type`, as in \"text/plain\"";
        context.faults.error(Code::BadForm, at, message, remedy);
    }
    let headers = headers(context, node);
    let text = |at: &Node| at.as_text().map(Arc::<str>::from);
    let meant = SchedulePublishMeant {
        exchange: text(node.get(SchedulePublishPlan::exchange)?)?,
        routing_key: text(node.get(SchedulePublishPlan::routing_key)?)?,
        content_type,
        headers: headers?,
    };
    SchedulePublishPlan::of_table(Some(node), meant)
}

fn headers(context: &mut Context<'_>, node: &Node) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (name, at) in node.named(SchedulePublishPlan::headers.untyped()) {
        publication::header_name(context, at, name);
        headers.push((name.clone(), at.as_text()?.to_owned()));
    }
    Some(headers)
}
