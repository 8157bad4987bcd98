//! What the retries of a consumer mean, in one line.

use hive_config::plan::{ConsumerPlan, DelayQueues, OrderedRetry};
use hive_config::units;

/// How often, over which time, after which delays, and where they wait; `None` for a stream, of which nothing is
/// retried.
pub(super) fn retries(plan: &ConsumerPlan) -> Option<String> {
    if plan.stream.is_some() {
        return None;
    }
    let retry = &plan.retry;
    if retry.limit == 0 {
        return Some("none".to_owned());
    }
    let mut delays: Vec<_> = retry.used_delays().map(units::show).collect();
    if retry.limit as usize > delays.len()
        && let Some(last) = delays.pop()
    {
        let every = match delays.is_empty() {
            true => "every",
            false => "then every",
        };
        delays.push(format!("{every} {last}"));
    }
    let span = humantime::format_duration(retry.span());
    Some(format!(
        "{} over {span} ({}), {}",
        retry.limit,
        delays.join(", "),
        place(plan)
    ))
}

fn place(plan: &ConsumerPlan) -> &'static str {
    let order = plan.ordering.as_ref().map(|ordering| ordering.retry);
    match (order, plan.delay_queues) {
        (Some(OrderedRetry::Hold), _) => "held in the host, in the order of their key",
        (_, DelayQueues::Shared) => "in delay queues shared by all consumers of the vhost",
        (_, DelayQueues::Own) => "in delay queues of its own",
    }
}

#[cfg(test)]
mod tests {
    use hive_config::Environment;

    use super::*;

    fn told(keys: &str) -> Option<String> {
        let text = format!(
            "[components.c]\npath = 'c.wasm'\n[consumers.x]\nqueue = 'q'\ncomponent = 'c'\n{keys}"
        );
        let folder = tempfile::tempdir().expect("there is room for a file");
        let file = folder.path().join("hive.toml");
        std::fs::write(&file, text).expect("there is room for a file");
        let loaded = hive_config::load(&file, &Environment::default());
        let plan = loaded.expect("nothing is wrong with it").plan;
        retries(&plan.consumers["x"])
    }

    #[test]
    fn one_line_says_how_often_when_and_where() {
        for (keys, expected) in [
            (
                "",
                "15 over 9h 42m 36s (1s, 5s, 30s, 2m, 10m, 30m, then every 1h), \
                 in delay queues shared by all consumers of the vhost",
            ),
            (
                "retry = 'fast'",
                "5 over 30s (1s, 2s, 4s, 8s, 15s), in delay queues shared by all consumers of the vhost",
            ),
            ("retry = 'none'", "none"),
            (
                "retry.delays = ['10s']",
                "15 over 2m 30s (every 10s), in delay queues of its own",
            ),
            (
                "retry = { limit = 2, delays = ['1s', '1h'] }\nordered_by = 'routing-key'",
                "2 over 1h 1s (1s, 1h), held in the host, in the order of their key",
            ),
        ] {
            assert_eq!(told(keys).as_deref(), Some(expected), "{keys}");
        }
        assert_eq!(told("stream = { offset = 'first' }"), None);
    }
}
