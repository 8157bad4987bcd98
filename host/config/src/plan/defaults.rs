//! The defaults of a component.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{AllowPlan, ComponentPlan, Instances};

const MEMORY: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);
/// `recycle_idle`.
pub(crate) const RECYCLE_IDLE: Duration = Duration::from_secs(300);
const MAX_PUBLICATIONS: u32 = 1000;
const MAX_ANSWER: u64 = 16 << 20;
const LOG_LINES: u32 = 100;

impl ComponentPlan {
    /// The component of a file, with every other key at its default: 64 MiB, 5 s for a call, nothing
    /// granted, publications to anywhere.
    pub fn of_file(name: Arc<str>, path: PathBuf) -> Self {
        Self {
            name,
            path,
            build: None,
            watch: false,
            max_instances: None,
            instances: Instances::Reuse {
                after: None,
                above: None,
                idle: Some(RECYCLE_IDLE),
            },
            memory: MEMORY,
            timeout: TIMEOUT,
            max_publications: MAX_PUBLICATIONS,
            max_answer: MAX_ANSWER,
            log_lines: LOG_LINES,
            config: Vec::new(),
            sha256: None,
            allow: AllowPlan::default(),
        }
    }
}
