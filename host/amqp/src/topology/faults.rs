//! Why something could not be declared.

use std::fmt;

use hive_core::codes::Code;

use crate::session::fault::{ConnectFault, Mismatch};

/// Why a topology could not be declared.
#[derive(Debug)]
pub(crate) enum DeclareFault {
    /// The broker went away, or a declaration made it go away.
    Connect(ConnectFault),
    /// The broker ended the connection over one entity, which is known from now on: on another connection
    /// the declaration gets further.
    HungUp {
        /// In words.
        reason: String,
        /// The code of the broker's answer.
        code: Code,
        /// Whether the entity is left out now.
        is_left_out: bool,
    },
}

impl DeclareFault {
    /// Its code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Connect(fault) => fault.code(),
            Self::HungUp { code, .. } => *code,
        }
    }
}

impl fmt::Display for DeclareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(fault) => fault.fmt(f),
            Self::HungUp { reason, .. } => f.write_str(reason),
        }
    }
}

/// Why a queue could not be made sure of.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnsureFault {
    /// The broker cannot be asked now. Waiting helps.
    #[error("cannot declare {queue:?} now: {reason}")]
    Unreachable {
        /// The queue.
        queue: String,
        /// Why not.
        reason: String,
    },
    /// The broker says no.
    #[error("{0}")]
    Mismatch(Mismatch),
    /// The caller asked for something impossible.
    #[error("{0}")]
    Impossible(String),
}
