//! What is told of versions of components: which one serves, and what became of those that were to.

use std::fmt;

use super::Telemetry;
use super::facts::Fact;
use super::meters::Lifetime;
use super::words::SwapEnd;

/// A version of a component serves from now on.
#[derive(Debug, Clone, Copy)]
pub struct ComponentServes<'a> {
    /// The component.
    pub component: &'a str,
    /// The generation that served; none for the first one.
    pub before: Option<(u64, &'a str)>,
    /// The generation that serves, counted from 1, and its SHA-256.
    pub generation: (u64, &'a str),
}

/// New code was not taken.
#[derive(Clone, Copy)]
pub struct SwapRefused<'a> {
    /// The component.
    pub component: &'a str,
    /// The code of the reason.
    pub code: Option<&'a str>,
    /// Why not.
    pub reason: &'a dyn fmt::Display,
    /// The generation that serves on.
    pub serving: u64,
}

/// A canary has been judged.
#[derive(Debug, Clone, Copy)]
pub struct CanaryDecided<'a> {
    /// The component.
    pub component: &'a str,
    /// Whether it takes over.
    pub promoted: bool,
    /// Whether an operator decided, and not the counts.
    pub by_hand: bool,
    /// The generation on trial.
    pub generation: u64,
    /// Deliveries that it answered, and those of them that failed.
    pub canary: (u32, u32),
    /// The same of the generation that served meanwhile.
    pub current: (u32, u32),
}

impl ComponentServes<'_> {
    /// Tells it.
    pub fn emit(self, telemetry: &Telemetry) {
        let Self {
            component,
            before,
            generation: (generation, sha256),
        } = self;
        let meters = &telemetry.0;
        let number = i64::try_from(generation).unwrap_or(i64::MAX);
        meters
            .generation
            .with_label_values(&[component])
            .set(number);
        meters
            .component_info
            .with_label_values(&[component, sha256])
            .set(1);
        let Some((before, old)) = before else {
            Fact::ComponentLoaded {
                component,
                generation,
                sha256,
            }
            .emit();
            return;
        };
        if old != sha256 {
            // It is not there where nothing was loaded under this telemetry yet.
            let _was_there = meters.component_info.remove_label_values(&[component, old]);
        }
        meters
            .swaps
            .with_label_values(&[component, SwapEnd::Swapped.as_str()])
            .inc();
        Fact::ComponentSwapped {
            component,
            before,
            generation,
            sha256,
        }
        .emit();
    }
}

impl SwapRefused<'_> {
    /// Tells it.
    pub fn emit(self, telemetry: &Telemetry) {
        let Self {
            component,
            code,
            reason,
            serving,
        } = self;
        telemetry
            .0
            .swaps
            .with_label_values(&[component, SwapEnd::Refused.as_str()])
            .inc();
        Fact::SwapRefused {
            component,
            generation: serving,
            code,
            why: reason,
        }
        .emit();
    }
}

impl CanaryDecided<'_> {
    /// Tells it.
    pub fn emit(self, telemetry: &Telemetry) {
        let Self {
            component,
            promoted,
            by_hand,
            generation,
            canary: (deliveries, failed),
            current: (current_deliveries, current_failed),
        } = self;
        match (promoted, by_hand) {
            (true, _) => Fact::CanaryPromoted {
                component,
                generation,
                by: by(by_hand),
                deliveries,
                failed,
                current_deliveries,
                current_failed,
            }
            .emit(),
            // An operator who ends a trial has nothing to be alerted to.
            (false, true) => Fact::CanaryEnded {
                component,
                generation,
                deliveries,
                failed,
                current_deliveries,
                current_failed,
            }
            .emit(),
            (false, false) => {
                telemetry
                    .0
                    .swaps
                    .with_label_values(&[component, SwapEnd::RolledBack.as_str()])
                    .inc();
                Fact::CanaryRolledBack {
                    component,
                    generation,
                    deliveries,
                    failed,
                    current_deliveries,
                    current_failed,
                }
                .emit();
            }
        }
    }
}

fn by(hand: bool) -> &'static str {
    match hand {
        true => "hand",
        false => "counts",
    }
}

impl Telemetry {
    /// A component is not in hive.toml any more.
    pub fn component_gone(&self, component: &str) {
        self.0.forget(Lifetime::Component, component);
        Fact::ComponentRemoved { component }.emit();
    }
}
