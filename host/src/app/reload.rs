//! Reload: hive.toml is read again and checked whole, then what changed is applied, and nothing else
//! is touched. Whatever fails on the way changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_amqp::Connection;
use hive_config::diff::{Changes, diff};
use hive_config::plan::{ConsumerPlan, Discovered, Plan, Seen};
use hive_core::codes::Coded;
use hive_sandbox::{ComponentFault, Generation, Slot, Source};
use hive_telemetry::Fact;

use super::requests;
use super::running::{Consuming, Running, consumers_of};
use crate::control::{Answer, Done, Refusal};

/// A hive.toml that nothing is known to refuse any more.
pub(super) struct ReadyReload {
    /// As it is written: queues that are discovered may come and go before it is applied.
    plan: Plan,
    /// The components that are new or run otherwise.
    generations: BTreeMap<Arc<str>, Generation>,
}

impl Running {
    /// Reads hive.toml, and loads what is new in it.
    pub(super) async fn reload_ready(&self) -> Result<ReadyReload, Refusal> {
        let ready = self.changed_plan().await;
        ready.inspect_err(|refusal| Fact::ConfigRefused { why: refusal }.emit())
    }

    async fn changed_plan(&self) -> Result<ReadyReload, Refusal> {
        let source = self.source.clone();
        let read = self.tasks.spawn_blocking(move || source.load());
        let plan = read
            .await
            .map_err(|error| {
                Refusal::Faulty(Coded::plain(format_args!("reading it failed: {error}")))
            })?
            .map_err(|faults| Refusal::Faulty(Coded::plain(faults)))?;
        let (new, changes) = self.with_queues_seen(&plan, &self.still_seen(&plan));
        let mut generations = BTreeMap::new();
        if !changes.is_empty() {
            for (name, connection) in &new.plan.connections {
                Connection::check(connection, consumers_of(&new.plan, name))
                    .map_err(|fault| Refusal::Faulty(Coded::new(fault.code(), &fault)))?;
            }
            generations = self.load_changed(&new.plan, &changes).await?;
        }
        Ok(ReadyReload { plan, generations })
    }

    /// A plan of hive.toml with the consumers of queues that were seen, and what it changes.
    fn with_queues_seen(&self, plan: &Plan, seen: &Seen) -> (Discovered, Changes) {
        let new = self.with_discovered(plan, seen);
        let changes = diff(&self.plan, &new.plan);
        (new, changes)
    }

    /// Carries out [`crate::control::Command::Reload`].
    pub(super) async fn reload(&mut self, ready: ReadyReload) -> Answer {
        let ReadyReload { plan, generations } = ready;
        // Queues may have come and gone since it was ready.
        let seen = self.still_seen(&plan);
        let (new, changes) = self.with_queues_seen(&plan, &seen);
        if changes.is_empty() {
            Fact::ConfigUnchanged {}.emit();
            return Ok(Done::Reloaded {
                changes: Vec::new(),
            });
        }
        self.seen = seen;
        self.left_out = new.left_out;
        let not_declared = self.apply(new.plan, &changes, generations).await;
        let not_declared =
            not_declared.inspect_err(|refusal| Fact::ConfigRefused { why: refusal }.emit())?;
        if new.later > 0 {
            self.look_again();
        }
        let mut changes: Vec<_> = changes.to_string().lines().map(str::to_owned).collect();
        changes.extend(not_declared);
        for change in &changes {
            Fact::ConfigChanged { change }.emit();
        }
        Ok(Done::Reloaded { changes })
    }

    /// The components that are new or run otherwise now, each proven to start, with a store open if
    /// any of them is the first to need it.
    async fn load_changed(
        &self,
        new: &Plan,
        changes: &Changes,
    ) -> Result<BTreeMap<Arc<str>, Generation>, Refusal> {
        let changed = changes.components.changed.iter();
        let changed = changed.filter(|(_, keys)| keys.iter().any(|change| !change.idle));
        let names = changes.components.added.iter();
        if new.uses_the_store() {
            let opened = self.store.open().await;
            opened.map_err(|fault| Refusal::Faulty(Coded::new(fault.code(), &fault)))?;
        }
        let mut generations = BTreeMap::new();
        let mut faults = Vec::new();
        for name in names.chain(changed.map(|(name, _)| name)) {
            let slot = self.slots.get(name);
            let number = slot.map_or(1, |slot| slot.next_number());
            let plan = &new.components[name];
            let consumers = new.consumers_of(name);
            let loading = self.engine.load(plan, &consumers, Source::File, number);
            match loading.await {
                Ok(generation) => {
                    generations.insert(name.clone(), generation);
                }
                Err(fault) => faults.push(fault),
            }
        }
        let kept = self.slots.iter();
        for (name, slot) in kept.filter(|(name, _)| !generations.contains_key(*name)) {
            faults.extend(misfits(slot, &new.consumers_of(name)));
        }
        match faults.first() {
            None => Ok(generations),
            Some(first) => {
                let all: Vec<_> = faults.iter().map(ToString::to_string).collect();
                Err(Refusal::Faulty(Coded::new(first.code(), all.join("\n"))))
            }
        }
    }

    /// Makes what runs what `new` says. `generations` are those of components that are new or changed.
    pub(super) async fn apply(
        &mut self,
        mut new: Plan,
        changes: &Changes,
        generations: BTreeMap<Arc<str>, Generation>,
    ) -> Result<Vec<String>, Refusal> {
        let stopped = self.consumers_to_stop(changes);
        let is_paused = |name: &&Arc<str>| {
            let consuming = self.consumers.get(*name);
            consuming.is_some_and(Consuming::is_paused_by_hand)
        };
        let paused: BTreeSet<_> = stopped.iter().filter(is_paused).cloned().collect();
        self.stop_consumers(&stopped).await;
        self.stop_schedules(changes).await;
        for name in &changes.patterns.removed {
            self.telemetry.consumer_gone(name);
        }
        for name in changes.connections.removed.iter().chain(changes.reopened()) {
            self.disconnect(name).await;
        }
        for name in changes.connections.added.iter().chain(changes.reopened()) {
            self.connect(&new.connections[name], &new)
                .map_err(Refusal::Faulty)?;
        }
        let not_declared = self.declare(&new, changes).await?;
        for (name, generation) in generations {
            self.take_over(name, generation);
        }
        for name in &changes.components.removed {
            if let Some(slot) = self.slots.remove(name) {
                slot.retire();
                self.telemetry.component_gone(name);
            }
        }
        // Changes that wait for a restart are reported again at the next reload.
        let shutdown_timeout = new.host.shutdown_timeout;
        new.host = self.plan.host.clone();
        new.host.shutdown_timeout = shutdown_timeout;
        new.store = self.plan.store.clone();
        new.http = requests::reloaded(self.plan.http.take(), new.http);
        self.plan = new;
        let plans = self.plan.consumers.values();
        let missing = plans.filter(|plan| !self.consumers.contains_key(&plan.name));
        for consumer in missing.cloned().collect::<Vec<_>>() {
            self.consume(&consumer);
            // A pause by hand holds for the consumer, whatever its keys are now.
            if paused.contains(&consumer.name) {
                self.consumers[&consumer.name].crewed.flow.pause();
            }
        }
        self.start_schedules();
        self.look_for_queues();
        self.show();
        Ok(not_declared)
    }

    /// Consumers that were removed or changed, and those whose connection is opened again.
    fn consumers_to_stop(&self, changes: &Changes) -> BTreeSet<Arc<str>> {
        let ended = changes.connections.removed.iter();
        let ended: BTreeSet<_> = ended.chain(changes.reopened()).collect();
        let consumers = self.plan.consumers.values();
        let of_connection = consumers.filter(|consumer| ended.contains(&consumer.connection));
        of_connection
            .map(|consumer| &consumer.name)
            .chain(changes.consumers.ended())
            .cloned()
            .collect()
    }

    /// Applies the topology to the connections that stay. Entities that cannot be declared are in the answer,
    /// in words; they are retried, and readiness has them too.
    async fn declare(&self, new: &Plan, changes: &Changes) -> Result<Vec<String>, Refusal> {
        let mut not_declared = Vec::new();
        let of_consumers = [&self.plan, new].into_iter().flat_map(|plan| {
            let names = changes.consumers.ended().chain(&changes.consumers.added);
            names
                .filter_map(|name| plan.consumers.get(name))
                .map(|consumer| &consumer.connection)
        });
        let reopened: BTreeSet<_> = changes.reopened().collect();
        let touched: BTreeSet<_> = changes.topology.keys().chain(of_consumers).collect();
        for name in touched {
            let is_new = changes.connections.added.contains(name) || reopened.contains(name);
            let (Some(linked), Some(plan), false) = (
                self.connections.get(name),
                new.connections.get(name),
                is_new,
            ) else {
                continue;
            };
            let declaring = linked.connection.declare(plan, consumers_of(new, name));
            let mismatches = declaring
                .await
                .map_err(|fault| Refusal::Faulty(Coded::new(fault.code(), &fault)))?;
            let mismatches = mismatches.iter();
            not_declared.extend(mismatches.map(|one| format!("not declared yet: {one}")));
        }
        Ok(not_declared)
    }

    fn take_over(&mut self, name: Arc<str>, generation: Generation) {
        match self.slots.get(&name) {
            Some(slot) => {
                self.make_current(&name, slot, Arc::new(generation));
            }
            None => {
                super::tell_serving(&name, None, generation.version(), &self.telemetry);
                let slot = Slot::new(generation);
                self.slots.insert(name, Arc::new(slot));
            }
        }
    }
}

/// Why what serves now, or is on trial, cannot serve these consumers.
fn misfits(slot: &Slot, consumers: &[&ConsumerPlan]) -> Vec<ComponentFault> {
    let canary = slot.trial().map(|trial| Arc::clone(trial.canary()));
    let shadow = slot.shadow().map(|shadow| Arc::clone(shadow.generation()));
    let serving = [Some(slot.current()), canary, shadow].into_iter().flatten();
    serving
        .filter_map(|generation| generation.fits(consumers).err())
        .collect()
}
