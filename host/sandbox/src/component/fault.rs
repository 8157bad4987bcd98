//! Why a component cannot be put to work, in words for the person who built it.

use std::fmt;
use std::path::PathBuf;

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code;

/// Everything that is wrong with one component.
#[derive(Debug)]
pub struct ComponentFault {
    /// The name of the component in hive.toml.
    pub component: String,
    /// The file of the component.
    pub path: PathBuf,
    /// Each fault, with what to do. Never empty.
    pub reasons: Vec<Reason>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The error code.
    pub code: Code,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }
}

impl ComponentFault {
    /// The fault of a plan's component.
    pub(crate) fn of(plan: &ComponentPlan, reasons: Vec<Reason>) -> Self {
        Self {
            component: plan.name.to_string(),
            path: plan.path.clone(),
            reasons,
        }
    }

    /// The code of the first fault.
    pub fn code(&self) -> Option<Code> {
        self.reasons.first().map(|reason| reason.code)
    }
}

impl fmt::Display for ComponentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "component {:?} ({})",
            self.component,
            self.path.display()
        )?;
        for reason in &self.reasons {
            write!(f, ": {}", reason.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ComponentFault {}
