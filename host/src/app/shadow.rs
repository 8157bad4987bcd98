//! Shadows: a new version that gets a copy of each delivery begins, is promoted or is dropped.

use std::sync::Arc;

use hive_core::canary::Verdict;
use hive_core::codes::Coded;
use hive_core::shadow::{LastShadow, ShadowEnd, ShadowRule};
use hive_sandbox::{ComponentFault, Generation, Shadow, Slot, Source};
use hive_telemetry::Fact;

use super::running::Running;
use super::swap::ReadySwap;
use crate::control::{Done, Refusal};
use crate::pipeline::{repeat, tell_shadow};

/// A shadow that can be ended.
pub(super) struct ReadyEnd {
    component: Arc<str>,
    shadow: Arc<Shadow>,
    /// What serves in its place if it is promoted: its code, with everything that the plan grants.
    next: Option<Arc<Generation>>,
}

impl Running {
    /// Finds out whether a shadow can be ended in this way.
    pub(super) async fn shadow_end_ready(
        &self,
        component: &Arc<str>,
        shadow: Arc<Shadow>,
        verdict: Verdict,
    ) -> Result<ReadySwap, Refusal> {
        let next = match verdict {
            Verdict::RollBack => None,
            Verdict::Promote => {
                let plan = &self.plan.components[component];
                let consumers = self.plan.consumers_of(component);
                let generation = shadow.generation();
                let code = Source::Compiled(generation.code().clone());
                let number = generation.version().generation;
                let loading = self.engine.load(plan, &consumers, code, number);
                let faulty =
                    |fault: ComponentFault| Refusal::Faulty(Coded::new(fault.code(), &fault));
                Some(Arc::new(loading.await.map_err(faulty)?))
            }
        };
        Ok(ReadySwap::EndShadow(ReadyEnd {
            component: Arc::clone(component),
            shadow,
            next,
        }))
    }

    /// Has a new version get copies.
    pub(super) fn begin_shadow(
        &self,
        component: &Arc<str>,
        slot: &Slot,
        next: Arc<Generation>,
        rule: ShadowRule,
    ) -> Done {
        let version = next.version().clone();
        Fact::ShadowStarted {
            component,
            generation: version.generation,
            sha256: &version.sha256,
            deliveries: rule.deliveries,
        }
        .emit();
        let shadow = slot.begin_shadow(next, rule);
        repeat(component, &shadow, &self.tasks);
        Done::Shadowed {
            current: slot.current().version().clone(),
            shadow: version,
        }
    }

    /// Ends a shadow by an operator's command. Deliveries in flight are finished by the version that started them.
    pub(super) fn end_shadow(&self, ready: ReadyEnd) -> Done {
        let ReadyEnd {
            component,
            shadow,
            next,
        } = ready;
        let slot = &self.slots[&component];
        let current = slot.current().version().clone();
        let is_there = slot.shadow().is_some_and(|now| Arc::ptr_eq(&now, &shadow));
        if !is_there {
            return Done::Unchanged { current };
        }
        match next {
            Some(next) => {
                tell_end(&component, slot.end_shadow(ShadowEnd::Promoted));
                let (before, after) = self.make_current(&component, slot, next);
                Done::Promoted { before, after }
            }
            None => {
                tell_end(&component, slot.end_shadow(ShadowEnd::Dropped));
                Done::ShadowDropped {
                    current,
                    shadow: shadow.generation().version().clone(),
                }
            }
        }
    }
}

/// Reports the end of a shadow, if one has ended.
pub(super) fn tell_end(component: &str, last: Option<Arc<LastShadow>>) {
    if let Some(last) = last {
        tell_shadow(component, last.generation, &last.account, Some(last.end));
    }
}

/// How the last shadow ended, as the end of a sentence.
pub(super) fn last_end(slot: &Slot) -> String {
    slot.last_shadow().map_or(String::new(), |last| {
        format!(
            "; the last shadow, generation {}, was {}",
            last.generation,
            last.end.as_str()
        )
    })
}
