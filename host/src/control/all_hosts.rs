//! A command for all hosts of a group, and what came of it on each.

use std::sync::Arc;

use hive_core::group::Told;
use serde_json::Value;

use super::Refusal;

/// What came of a command for all hosts.
#[derive(Debug)]
pub struct FromAll {
    /// `host.group`.
    pub group: Arc<str>,
    /// Whether it was carried out at all: it is not where a host refuses it, unless that was forced.
    pub carried_out: bool,
    /// Every host, in the order of their names.
    pub hosts: Vec<FromHost>,
}

/// What came of it on one host.
#[derive(Debug)]
pub struct FromHost {
    /// `host.name`.
    pub host: String,
    /// Whether it is the host that was given the command.
    pub is_this: bool,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a host did.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It carried the command out, with this answer of its admin server.
    Done(Value),
    /// It would have, and was not told to.
    Ready,
    /// It refused, or gave no answer.
    Refused(Told),
}

impl From<Refusal> for Told {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code(),
            error: refusal.to_string(),
        }
    }
}
