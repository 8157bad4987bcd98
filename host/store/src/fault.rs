//! Why a store cannot be had, or cannot do what it was asked.

use std::path::PathBuf;

use hive_core::codes::Code;
use thiserror::Error;

/// A fault of a store. It can be cloned, because one fault may fail many calls.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreFault {
    /// Another process has the file open.
    #[error(
        "the store {} (`store.path`) is in use by another process; stop that one, or name another file",
        path.display()
    )]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{} (`store.path`) is not a store of this host: {why}; name another file, or move this one away",
        path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What the file is instead of a store.
        why: String,
    },
    /// The file cannot be opened or made.
    #[error(
        "the store {} (`store.path`) cannot be opened: {why}; name a file that this user may write",
        path.display()
    )]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        why: String,
    },
    /// The server does not answer.
    #[error("the store at {address} (`store.url`) does not answer: {why}")]
    Away {
        /// The server, without user and password.
        address: String,
        /// The error of the last try.
        why: String,
    },
    /// The server answers, and won't have this host.
    #[error("the store at {address} (`store.url`) cannot be used: {why}")]
    Unusable {
        /// The server, without user and password.
        address: String,
        /// The server's answer, and the remedy.
        why: String,
    },
    /// The operation was not carried out.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A store in memory has no room for it.
    #[error("the store in memory is full: it takes {most} bytes")]
    Full {
        /// Bytes that it takes.
        most: usize,
    },
    /// The host stops.
    #[error("the store is closed: the host stops")]
    Closed,
}

impl StoreFault {
    /// The code of the fault; faults of a single operation have none.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Held { .. } => Some(Code::StoreInUse),
            Self::NotAStore { .. } => Some(Code::NotAStore),
            Self::CannotOpen { .. } => Some(Code::StoreUnopened),
            Self::Away { .. } => Some(Code::StoreAway),
            Self::Unusable { .. } => Some(Code::StoreUnusable),
            Self::Failed(_) | Self::Full { .. } | Self::Closed => None,
        }
    }
}
