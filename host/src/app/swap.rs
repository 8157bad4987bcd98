//! Hot swap: new code is compiled, checked and started beside the old, and only then made current.
//! Whatever fails on the way leaves the old one serving.

use std::sync::Arc;

use hive_core::canary::{Decision, Verdict};
use hive_core::codes::{Code, Coded};
use hive_core::nearest;
use hive_core::shadow::ShadowEnd;
use hive_sandbox::{ComponentFault, Generation, Slot, Source, Trial};
use hive_telemetry::{CanaryDecided, Fact, SwapRefused};

use super::running::Running;
use super::shadow::{self, ReadyEnd};
use crate::control::{Done, NewCode, Refusal, TrialRule};
use crate::status::Version;

/// A swap that nothing is known to refuse any more.
pub(super) enum ReadySwap {
    /// The canary that is on trial takes over or goes.
    EndTrial {
        component: Arc<str>,
        verdict: Verdict,
    },
    /// The shadow takes over or goes.
    EndShadow(ReadyEnd),
    /// The code serves already.
    Unchanged { component: Arc<str> },
    /// The new code, compiled and tried out.
    Replace {
        component: Arc<str>,
        next: Arc<Generation>,
        trial: Option<TrialRule>,
    },
}

impl Running {
    /// Finds out whether a swap can be carried out.
    pub(super) async fn swap_ready(
        &self,
        component: &str,
        code: NewCode,
        trial: Option<TrialRule>,
    ) -> Result<ReadySwap, Refusal> {
        let Some((name, slot)) = self.slots.get_key_value(component) else {
            return Err(self.unknown(component));
        };
        let comes_again = matches!(code, NewCode::ChangedFile);
        let ready = self.replacement(name, slot, code, trial).await;
        if let Err(refusal) = &ready
            && !(comes_again && matches!(refusal, Refusal::Conflict(_)))
        {
            SwapRefused {
                component: name,
                code: refusal.code().map(Code::as_str),
                reason: refusal,
                serving: slot.current().version().generation,
            }
            .emit(&self.telemetry);
        }
        ready
    }

    /// Finds out whether there is a trial to end.
    pub(super) async fn trial_ready(
        &self,
        component: &str,
        verdict: Verdict,
    ) -> Result<ReadySwap, Refusal> {
        let Some((name, slot)) = self.slots.get_key_value(component) else {
            return Err(self.unknown(component));
        };
        if let Some(shadow) = slot.shadow() {
            return self.shadow_end_ready(name, shadow, verdict).await;
        }
        match slot.trial() {
            Some(_) => Ok(ReadySwap::EndTrial {
                component: Arc::clone(name),
                verdict,
            }),
            None => Err(Refusal::Conflict(no_trial(name, slot))),
        }
    }

    fn unknown(&self, component: &str) -> Refusal {
        let consumer = self.plan.consumers.get(component);
        if consumer.is_some_and(|consumer| consumer.handler.routes().is_some()) {
            return Refusal::Unknown(format!(
                "{component:?} is a consumer with routes, and a swap replaces a component; change its \
                 routes in hive.toml and reload"
            ));
        }
        if self.slots.is_empty() {
            return Refusal::Unknown("hive.toml has no component".to_owned());
        }
        let names = self.slots.keys().map(|name| &**name);
        let advice = nearest::advice(component, names, "the components are");
        Refusal::Unknown(format!("there is no component {component:?}; {advice}"))
    }

    async fn replacement(
        &self,
        name: &Arc<str>,
        slot: &Slot,
        code: NewCode,
        trial: Option<TrialRule>,
    ) -> Result<ReadySwap, Refusal> {
        if let Some(shadow) = slot.shadow() {
            return match code {
                NewCode::Before => self.shadow_end_ready(name, shadow, Verdict::RollBack).await,
                _ => Err(Refusal::Conflict(format!(
                    "component {name:?} has a shadow; end it with `hive-host swap --promote` or `--drop`"
                ))),
            };
        }
        let component = Arc::clone(name);
        if slot.trial().is_some() {
            return match code {
                NewCode::Before => Ok(ReadySwap::EndTrial {
                    component,
                    verdict: Verdict::RollBack,
                }),
                _ => Err(Refusal::Conflict(format!(
                    "a canary of component {name:?} is on trial; wait for its end, or end it with \
                     `hive-host swap --promote` or `--roll-back`"
                ))),
            };
        }
        let plan = &self.plan.components[name];
        let faulty = |fault: ComponentFault| Refusal::Faulty(Coded::new(fault.code(), &fault));
        let source = match code {
            NewCode::File | NewCode::ChangedFile => {
                Source::Content(self.engine.file(plan).await.map_err(faulty)?)
            }
            NewCode::Content(bytes) => {
                Source::Content(self.engine.sent(plan, bytes).await.map_err(faulty)?)
            }
            NewCode::Before => match slot.before() {
                Some(before) => Source::Compiled(before.code().clone()),
                None => {
                    return Err(Refusal::Conflict(format!(
                        "component {name:?} was not swapped since the host started, so there is no way back"
                    )));
                }
            },
        };
        if let Source::Content(content) = &source
            && *content.hash() == *slot.current().version().sha256
        {
            return Ok(ReadySwap::Unchanged { component });
        }
        let consumers = self.plan.consumers_of(name);
        let number = slot.next_number();
        let next = match trial {
            Some(TrialRule::Shadow(_)) => {
                let next = self.engine.load_shadow(plan, &consumers, source, number);
                next.await
            }
            _ => self.engine.load(plan, &consumers, source, number).await,
        };
        Ok(ReadySwap::Replace {
            component,
            next: Arc::new(next.map_err(faulty)?),
            trial,
        })
    }

    /// Carries out [`crate::control::Command::Swap`]. `conclude` is called with a canary that is now
    /// on trial.
    pub(super) fn swap(
        &self,
        ready: ReadySwap,
        conclude: impl FnOnce(Arc<str>, Arc<Trial>),
    ) -> Done {
        let current = |name: &Arc<str>| self.slots[name].current().version().clone();
        match ready {
            ReadySwap::Unchanged { component } => Done::Unchanged {
                current: current(&component),
            },
            ReadySwap::EndShadow(ready) => self.end_shadow(ready),
            ReadySwap::EndTrial { component, verdict } => {
                let current = current(&component);
                match self.slots[&component].trial() {
                    Some(trial) => {
                        let canary = trial.canary().version().clone();
                        self.end_trial(&component, &trial, verdict, true);
                        match verdict {
                            Verdict::Promote => Done::Promoted {
                                before: current,
                                after: canary,
                            },
                            Verdict::RollBack => Done::TrialEnded { current, canary },
                        }
                    }
                    // It was judged meanwhile.
                    None => Done::Unchanged { current },
                }
            }
            ReadySwap::Replace {
                component,
                next,
                trial: None,
            } => {
                let slot = &self.slots[&component];
                let (before, after) = self.make_current(&component, slot, next);
                Done::Swapped { before, after }
            }
            ReadySwap::Replace {
                component,
                next,
                trial: Some(TrialRule::Shadow(rule)),
            } => self.begin_shadow(&component, &self.slots[&component], next, rule),
            ReadySwap::Replace {
                component,
                next,
                trial: Some(TrialRule::Canary(rule)),
            } => {
                let canary = next.version().clone();
                Fact::CanaryStarted {
                    component: &component,
                    generation: canary.generation,
                    sha256: &canary.sha256,
                    percent: rule.percent,
                    deliveries: rule.deliveries,
                }
                .emit();
                let current = current(&component);
                let trial = self.slots[&component].try_out(next, rule);
                conclude(component, trial);
                Done::OnTrial { current, canary }
            }
        }
    }

    /// Returns the version that served before, and the current one.
    pub(super) fn make_current(
        &self,
        name: &Arc<str>,
        slot: &Slot,
        next: Arc<Generation>,
    ) -> (Version, Version) {
        let after = next.version().clone();
        shadow::tell_end(name, slot.end_shadow(ShadowEnd::Replaced));
        let before = slot.replace(next).version().clone();
        super::tell_serving(name, Some(&before), &after, &self.telemetry);
        (before, after)
    }

    /// Carries out the verdict over a canary, unless it is not on trial any more.
    pub(super) fn conclude(&self, name: &Arc<str>, trial: &Arc<Trial>, verdict: Verdict) {
        let slot = self.slots.get(name);
        let now = slot.and_then(|slot| slot.trial());
        if now.is_some_and(|now| Arc::ptr_eq(&now, trial)) {
            self.end_trial(name, trial, verdict, false);
        }
    }

    /// Ends a trial that is still on. Deliveries in flight are finished by the version that started them.
    fn end_trial(&self, name: &Arc<str>, trial: &Trial, verdict: Verdict, by_hand: bool) {
        let slot = &self.slots[name];
        // Before the trial goes: whoever looks for its end finds the decision.
        let Decision {
            generation, tally, ..
        } = slot.decide(trial, verdict, by_hand);
        CanaryDecided {
            component: name,
            promoted: verdict == Verdict::Promote,
            by_hand,
            generation,
            canary: (tally.canary.deliveries, tally.canary.failed),
            current: (tally.current.deliveries, tally.current.failed),
        }
        .emit(&self.telemetry);
        match verdict {
            Verdict::Promote => {
                self.make_current(name, slot, Arc::clone(trial.canary()));
            }
            Verdict::RollBack => slot.give_up_trial(),
        }
    }
}

/// Why there is no trial to end, and how the last ones ended.
fn no_trial(component: &str, slot: &Slot) -> String {
    let last = slot.decision().map(|last| {
        let end = match last.verdict {
            Verdict::Promote => "promoted",
            Verdict::RollBack => "rolled back",
        };
        format!("; the last one, generation {}, was {end}", last.generation)
    });
    format!(
        "no canary or shadow of component {component:?} is on trial{}{}",
        last.unwrap_or_default(),
        shadow::last_end(slot)
    )
}
