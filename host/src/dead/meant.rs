//! Which queue a name on the command line means, and over which connection it is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_amqp::{is_retry_queue, is_shared};
use hive_config::plan::{ConnectionPlan, ConsumerPlan, DelayQueues, Plan};
use hive_core::nearest;

/// A queue at a broker.
#[derive(Debug, Clone)]
pub struct Meant<'a> {
    /// The name of the queue.
    pub queue: String,
    /// The connection to it.
    pub connection: &'a ConnectionPlan,
    /// Where messages that wait in it for a retry are dead-lettered, by the queue that they come from, if it is a
    /// delay queue. A queue whose consumers have several dead-letter queues is missing.
    pub dead_letters: BTreeMap<Arc<str>, Arc<str>>,
}

/// What `name` stands for: the first of these that there is.
///
/// 1. a dead-letter queue of that name;
/// 2. the dead-letter queue of the consumer of that name;
/// 3. that of the consumers that consume the queue of that name;
/// 4. the very queue of that name, which may be a delay queue of a consumer.
///
/// With `exact` it is always the last. `connection` is that of the plan which the consumer or the queue
/// names, unless it is given.
///
/// # Errors
///
/// In words: consumers of one queue that have several dead-letter queues, or no connection to guess.
pub fn meant<'a>(
    plan: &'a Plan,
    name: &str,
    exact: bool,
    connection: Option<&str>,
) -> Result<Meant<'a>, String> {
    let consumers = || plan.consumers.values();
    let over = |consumer: &&ConsumerPlan| {
        connection.is_none_or(|connection| *consumer.connection == *connection)
    };
    let candidates: [Vec<&ConsumerPlan>; 3] = [
        consumers()
            .filter(|one| *one.dead_letter == *name)
            .collect(),
        consumers().filter(|one| *one.name == *name).collect(),
        consumers().filter(|one| *one.queue == *name).collect(),
    ];
    let found = candidates
        .into_iter()
        .map(|found| found.into_iter().filter(over).collect::<Vec<_>>())
        .find(|found| !exact && !found.is_empty());
    let Some(found) = found else {
        let waiting: Vec<_> = consumers()
            .filter(|one| waits_in(one, name) && !declares(plan, name))
            .filter(over)
            .collect();
        let connection = match waiting.is_empty() {
            true => connection_of(plan, name, connection)?,
            false => named(plan, one_connection(&waiting, name)?)?,
        };
        return Ok(Meant {
            queue: name.to_owned(),
            connection,
            dead_letters: dead_letters(&waiting),
        });
    };
    let queue = one_of(found.iter().map(|one| &one.dead_letter)).map_err(|several| {
        format!("the consumers of {name:?} have several dead-letter queues; name one: {several}")
    })?;
    Ok(Meant {
        queue: queue.to_string(),
        connection: named(plan, one_connection(&found, queue)?)?,
        dead_letters: BTreeMap::new(),
    })
}

/// Whether retries of a consumer wait in the queue of this name.
fn waits_in(consumer: &ConsumerPlan, name: &str) -> bool {
    let shares = consumer.delay_queues == DelayQueues::Shared;
    is_retry_queue(name, &consumer.queue) || (shares && is_shared(name))
}

/// The dead-letter queue of each queue that has one.
fn dead_letters(consumers: &[&ConsumerPlan]) -> BTreeMap<Arc<str>, Arc<str>> {
    let queues: BTreeSet<_> = consumers.iter().map(|one| &one.queue).collect();
    let of = |queue: &Arc<str>| {
        let consumers = consumers.iter().filter(|one| one.queue == *queue);
        let dead_letter = one_of(consumers.map(|one| &one.dead_letter)).ok()?;
        Some((queue.clone(), dead_letter.clone()))
    };
    queues.into_iter().filter_map(of).collect()
}

/// The connection of consumers that share `queue`, or a queue behind it.
fn one_connection<'a>(of: &[&'a ConsumerPlan], queue: &str) -> Result<&'a str, String> {
    let connection = one_of(of.iter().map(|one| &one.connection)).map_err(|several| {
        format!("{queue:?} is on several connections; name one with --connection: {several}")
    })?;
    Ok(connection)
}

/// Whether hive.toml declares a queue of this name, so that it is no delay queue of ours.
fn declares(plan: &Plan, name: &str) -> bool {
    plan.connections.values().any(|one| has_queue(one, name))
}

fn has_queue(connection: &ConnectionPlan, name: &str) -> bool {
    let mut queues = connection.topology.queues.iter();
    queues.any(|queue| *queue.name == *name)
}

/// The one name of all, or all of them in words.
fn one_of<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Result<&'a Arc<str>, String> {
    let names: BTreeSet<&Arc<str>> = names.collect();
    let mut each = names.iter();
    match (each.next(), each.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(names
            .iter()
            .map(|name| &***name)
            .collect::<Vec<_>>()
            .join(", ")),
    }
}

/// The connection to a queue or an exchange that no consumer has to do with: the one given, or that on
/// which the plan declares it, or `main`, or the only one.
pub fn connection_of<'a>(
    plan: &'a Plan,
    name: &str,
    connection: Option<&str>,
) -> Result<&'a ConnectionPlan, String> {
    if let Some(connection) = connection {
        return named(plan, connection);
    }
    let declares = |one: &&ConnectionPlan| {
        let mut exchanges = one.topology.exchanges.iter();
        has_queue(one, name) || exchanges.any(|exchange| exchange.name == name)
    };
    let all = || plan.connections.values();
    let mut declaring = all().filter(declares);
    if let (Some(one), None) = (declaring.next(), declaring.next()) {
        return Ok(one);
    }
    if let Some(main) = plan.main_connection() {
        return Ok(main);
    }
    match (all().next(), all().nth(1)) {
        (Some(only), None) => Ok(only),
        _ => Err(format!(
            "nothing says over which connection {name:?} is reached; name it with --connection: {}",
            names(plan).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn named<'a>(plan: &'a Plan, name: &str) -> Result<&'a ConnectionPlan, String> {
    plan.connections.get(name).ok_or_else(|| {
        let advice = nearest::advice(name, names(plan), "the connections are");
        format!("there is no [connections.{name}]; {advice}")
    })
}

fn names(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.connections.keys().map(|name| &**name)
}

#[cfg(test)]
mod tests {
    use hive_config::Environment;

    use super::*;

    const PLAN: &str = r#"
        [connections.main]
        url = "amqp://near"
        [connections.far]
        url = "amqp://far"
        [queues.parcels]
        connection = "far"
        [components.any]
        path = "any.wasm"
        [consumers.letters]
        queue = "post"
        component = "any"
        [consumers.audit]
        queue = "post.dead"
        component = "any"
        [consumers.parcels]
        queue = "parcels"
        component = "any"
        connection = "far"
        [consumers.heavy]
        queue = "parcels"
        component = "any"
        connection = "far"
        retry = { dead_letter = "heavy.dead" }
    "#;

    fn found(name: &str, exact: bool, connection: Option<&str>) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("there is room for a file");
        let file = folder.path().join("hive.toml");
        std::fs::write(&file, PLAN).expect("there is room for a file");
        let environment = Environment {
            hostname: "machine".to_owned(),
            ..Environment::default()
        };
        let plan = hive_config::load(&file, &environment)
            .expect("it is a plan")
            .plan;
        let meant = meant(&plan, name, exact, connection)?;
        let dead_letters = meant.dead_letters.values();
        let dead_letters: String = dead_letters
            .map(|queue| format!(", then {queue}"))
            .collect();
        Ok(format!(
            "{} over {}{dead_letters}",
            meant.queue, meant.connection.name
        ))
    }

    #[test]
    fn a_name_stands_for_the_first_that_it_can() {
        let cases = [
            // A dead-letter queue before the consumer of one, and before the queue that one consumes.
            ("post.dead", "post.dead over main"),
            ("letters", "post.dead over main"),
            ("post", "post.dead over main"),
            ("audit", "post.dead.dead over main"),
            ("parcels", "parcels.dead over far"),
            ("heavy", "heavy.dead over far"),
            ("elsewhere", "elsewhere over main"),
        ];
        for (name, expected) in cases {
            assert_eq!(found(name, false, None).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_delay_queue_is_reached_as_its_consumers_are() {
        assert_eq!(
            found("post.retry.10s", false, None).as_deref(),
            Ok("post.retry.10s over main, then post.dead")
        );
        // Its consumers dead-letter into two.
        assert_eq!(
            found("parcels.retry.10s", true, None).as_deref(),
            Ok("parcels.retry.10s over far")
        );
    }

    #[test]
    fn a_shared_delay_queue_belongs_to_all_that_share_it() {
        let queue = "hive.retries.1s.2026-11-28";
        assert_eq!(
            found(queue, false, Some("main")).as_deref(),
            Ok("hive.retries.1s.2026-11-28 over main, then post.dead, then post.dead.dead")
        );
        // One that consumes over the other connection shares with those there.
        let fault = found(queue, false, None).expect_err("it is in two vhosts");
        assert!(fault.contains("--connection: far, main"), "{fault}");
    }

    #[test]
    fn the_very_queue_and_a_connection_can_be_asked_for() {
        assert_eq!(
            found("letters", true, None).as_deref(),
            Ok("letters over main")
        );
        assert_eq!(
            found("parcels", true, None).as_deref(),
            Ok("parcels over far")
        );
        assert_eq!(found("x", false, Some("far")).as_deref(), Ok("x over far"));
        let fault = found("x", false, Some("fars")).expect_err("there is none");
        assert!(fault.contains("did you mean `far`"), "{fault}");
    }
}
