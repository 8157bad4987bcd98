//! A version of a component: which code it is, and since when it serves.

use std::sync::Arc;
use std::time::SystemTime;

/// One version of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1 since the host started; one more for each swap.
    pub generation: u64,
    /// The SHA-256 of its file, in hexadecimal.
    pub sha256: Arc<str>,
    /// When the version was made.
    pub since: SystemTime,
}
