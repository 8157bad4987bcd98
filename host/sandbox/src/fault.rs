//! Why a component cannot be put to work, in words for the person who built it.

use std::fmt;
use std::path::PathBuf;

use hive_config::plan::ComponentPlan;

/// Everything that is wrong with one component.
#[derive(Debug)]
pub struct ComponentFault {
    /// Its name in hive.toml.
    pub component: String,
    /// Its file.
    pub path: PathBuf,
    /// Each fault, with what to do. Never empty.
    pub reasons: Vec<String>,
}

impl ComponentFault {
    /// The fault of a plan's component.
    pub(super) fn of(plan: &ComponentPlan, reasons: Vec<String>) -> Self {
        Self {
            component: plan.name.to_string(),
            path: plan.path.clone(),
            reasons,
        }
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
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ComponentFault {}
