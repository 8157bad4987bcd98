//! Which host is home of which queue, and which one consumes it, from what the hosts report.

use std::collections::BTreeMap;

use super::{ConsumerState, HostState, Member};
use crate::placement;

/// A member of the group, and what it reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The member.
    pub member: Member,
    /// `None` where it did not answer in time.
    pub state: Option<HostState>,
}

/// A queue that one host at a time consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// The connection that it is consumed over.
    pub connection: String,
    /// Its name.
    pub queue: String,
    /// The host with the highest priority among those that have a consumer for it.
    pub home: String,
    /// The host that was given a message last, within a minute; `None` where none was.
    pub active: Option<String>,
    /// All hosts that have a consumer for it, each with the state of that.
    pub hosts: Vec<(String, String)>,
    /// What is to be known of it, in words.
    pub note: Option<String>,
}

/// The queues that one host at a time consumes, by connection and name.
pub fn queues(reports: &[Report]) -> Vec<QueueView> {
    let mut queues = BTreeMap::<_, Vec<(&str, &ConsumerState)>>::new();
    for report in reports {
        let consumers = report.state.iter().flat_map(|state| &state.consumers);
        for consumer in consumers.filter(|consumer| consumer.is_single) {
            let queue = (&*consumer.connection, &*consumer.queue);
            let host = &*report.member.host;
            queues.entry(queue).or_default().push((host, consumer));
        }
    }
    let queues = queues.into_iter();
    queues
        .filter_map(|((connection, queue), hosts)| view(connection, queue, &hosts))
        .collect()
}

fn view(connection: &str, queue: &str, hosts: &[(&str, &ConsumerState)]) -> Option<QueueView> {
    let by_priority = hosts.iter();
    let (home, at_home) = by_priority.max_by_key(|(host, _)| placement::priority(queue, host))?;
    // The broker does not say who is active. Of two that were given messages within the minute, the later one is.
    let consuming = hosts.iter();
    let consuming = consuming.filter(|(_, consumer)| consumer.state == "consuming");
    let active = consuming
        .min_by_key(|(_, consumer)| consumer.idle.unwrap_or(u64::MAX))
        .map(|(host, _)| *host);
    Some(QueueView {
        connection: connection.to_owned(),
        queue: queue.to_owned(),
        home: (*home).to_owned(),
        active: active.map(str::to_owned),
        note: note(home, at_home, active),
        hosts: hosts
            .iter()
            .map(|(host, consumer)| ((*host).to_owned(), consumer.state.clone()))
            .collect(),
    })
}

fn note(home: &str, at_home: &ConsumerState, active: Option<&str>) -> Option<String> {
    let state = &*at_home.state;
    let is_away = matches!(state, "paused" | "waiting");
    match active {
        Some(active) if active == home => None,
        _ if is_away => Some(format!("not at home: {home} is {state}")),
        Some(_) => Some("not at home".to_owned()),
        None => Some("no message for a minute".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(host: &str, consumers: &[(&str, &str, Option<u64>)]) -> Report {
        let consumers = consumers.iter().map(|(queue, state, idle)| ConsumerState {
            consumer: format!("of-{queue}"),
            queue: (*queue).to_owned(),
            connection: "main".to_owned(),
            is_single: *queue != "every",
            state: (*state).to_owned(),
            idle: *idle,
        });
        Report {
            member: Member {
                id: String::new(),
                host: host.to_owned(),
                version: String::new(),
            },
            state: Some(HostState {
                uptime: 1,
                consumers: consumers.collect(),
            }),
        }
    }

    fn home_of(queue: &str) -> (&'static str, &'static str) {
        match placement::priority(queue, "a") > placement::priority(queue, "b") {
            true => ("a", "b"),
            false => ("b", "a"),
        }
    }

    #[test]
    fn home_has_the_highest_priority_and_active_the_latest_delivery() {
        let (home, other) = home_of("letters");
        let reports = |at_home, elsewhere| {
            [
                report(home, &[("letters", "consuming", at_home)]),
                report(other, &[("letters", "consuming", elsewhere)]),
            ]
        };
        let [queue] = &queues(&reports(Some(10), Some(20)))[..] else {
            panic!("one queue");
        };
        assert_eq!((&*queue.home, queue.active.as_deref()), (home, Some(home)));
        assert_eq!(queue.note, None);
        assert_eq!(queue.hosts.len(), 2);
        let queue = &queues(&reports(Some(30), Some(20)))[0];
        assert_eq!((&*queue.home, queue.active.as_deref()), (home, Some(other)));
        assert_eq!(queue.note.as_deref(), Some("not at home"));
    }

    #[test]
    fn a_queue_whose_home_is_paused_says_so() {
        let (home, other) = home_of("letters");
        for (state, idle) in [("consuming", Some(5)), ("standby", None)] {
            let queues = queues(&[
                report(home, &[("letters", "paused", None)]),
                report(other, &[("letters", state, idle)]),
            ]);
            let active = (state == "consuming").then_some(other);
            assert_eq!(queues[0].active.as_deref(), active);
            let expected = format!("not at home: {home} is paused");
            assert_eq!(queues[0].note.as_deref(), Some(&*expected));
        }
    }

    #[test]
    fn a_queue_without_a_message_has_no_active_host_and_one_of_every_host_no_row() {
        let silent = Report {
            state: None,
            ..report("c", &[])
        };
        let queues = queues(&[
            report(
                "a",
                &[("letters", "standby", None), ("every", "consuming", None)],
            ),
            silent,
        ]);
        assert_eq!(queues.len(), 1);
        assert_eq!((&*queues[0].home, &queues[0].active), ("a", &None));
        assert_eq!(queues[0].note.as_deref(), Some("no message for a minute"));
    }
}
