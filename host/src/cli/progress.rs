//! A compilation that takes longer than a second, as people at a terminal see it.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use hive_telemetry::{Fact, Observer, observe};

use super::say;

/// Shows compilations on standard error. A progress line makes sense at a terminal alone.
pub(super) fn show() {
    if is_shown() {
        observe(Arc::new(Progress));
    }
}

/// Whether there is a terminal to show them on.
pub(super) fn is_shown() -> bool {
    io::stderr().is_terminal()
}

/// A fact of a compilation in words.
pub(super) fn words(fact: &Fact<'_>) -> Option<String> {
    Some(match *fact {
        Fact::CompilationSlow { component } => format!("compiling {component}"),
        Fact::StillCompiling { component, seconds } => {
            format!("compiling {component}: {seconds} s")
        }
        Fact::ComponentCompiled { component, took_ms } => {
            format!("compiled {component} in {:.1} s", took_ms / 1e3)
        }
        _ => return None,
    })
}

struct Progress;

impl Observer for Progress {
    fn observe(&self, fact: &Fact<'_>) {
        let Some(words) = words(fact) else {
            return;
        };
        match fact {
            Fact::ComponentCompiled { .. } => say::note(&words),
            _ => say::progress(&words),
        }
    }
}
