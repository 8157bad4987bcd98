//! The schedules that run: they follow the plan and its connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use hive_config::diff::Changes;
use hive_lifecycle::Tasks;
use tokio::sync::watch;

use super::running::Running;
use crate::schedules::{Schedule, ScheduleState};

/// A schedule at work, and the tasks that are its work.
pub(super) struct Scheduled {
    state: watch::Receiver<ScheduleState>,
    tasks: Tasks,
}

impl Running {
    /// Starts the schedules of the plan that do not run yet; their connections are there.
    pub(super) fn start_schedules(&mut self) {
        for plan in self.plan.schedules.values() {
            if self.schedules.contains_key(&plan.name) {
                continue;
            }
            let Some(linked) = self.connections.get(&plan.connection) else {
                continue;
            };
            let tasks = self.tasks.branch();
            let state = Schedule::start(plan, &linked.connection, &tasks, &self.telemetry);
            let scheduled = Scheduled { state, tasks };
            self.schedules.insert(Arc::clone(&plan.name), scheduled);
        }
    }

    /// Ends the schedules that were removed or changed, and those whose connection is opened again. A firing under way
    /// is finished first.
    pub(super) async fn stop_schedules(&mut self, changes: &Changes) {
        let ended: Vec<_> = changes.connections.removed.iter().collect();
        let reopened: Vec<_> = changes.reopened().collect();
        let stops = |name: &Arc<str>| {
            let plan = self.plan.schedules.get(name);
            let connection = plan.map(|plan| &plan.connection);
            let is_over =
                connection.is_some_and(|name| ended.contains(&name) || reopened.contains(&name));
            is_over || changes.schedules.ended().any(|one| one == name)
        };
        let names: Vec<_> = self
            .schedules
            .keys()
            .filter(|name| stops(name))
            .cloned()
            .collect();
        let stopped: Vec<_> = names
            .iter()
            .filter_map(|name| self.schedules.remove_entry(name))
            .collect();
        let timeout = self.plan.host.shutdown_timeout;
        join_all(stopped.iter().map(async |(name, scheduled)| {
            scheduled.tasks.stop(timeout).await;
            self.telemetry.schedule_gone(name);
        }))
        .await;
    }

    /// How each of them is doing.
    pub(super) fn schedule_states(&self) -> BTreeMap<Arc<str>, watch::Receiver<ScheduleState>> {
        let schedules = self.schedules.iter();
        schedules
            .map(|(name, scheduled)| (Arc::clone(name), scheduled.state.clone()))
            .collect()
    }
}
