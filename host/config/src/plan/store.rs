//! `[store]`.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Endpoint, Password, TlsPlan};
use crate::keys::words;

/// `[store]`: where the host keeps what it remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlan {
    /// Everything is kept in memory, until the host ends.
    Memory,
    /// In a file, which is made when something is kept.
    Embedded {
        /// The file; absolute, or relative to the working directory.
        path: PathBuf,
    },
    /// On a Redis server, shared with other hosts.
    Redis(RedisPlan),
}

/// `store.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Embedded,
    Memory,
    Redis,
}

words!(StoreKind { Embedded = "embedded", Memory = "memory", Redis = "redis" });

impl StorePlan {
    pub(crate) fn kind(&self) -> StoreKind {
        match self {
            Self::Memory => StoreKind::Memory,
            Self::Embedded { .. } => StoreKind::Embedded,
            Self::Redis(_) => StoreKind::Redis,
        }
    }

    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Embedded { path } => Some(path),
            _ => None,
        }
    }

    pub(crate) fn server(&self) -> Option<&RedisPlan> {
        match self {
            Self::Redis(server) => Some(server),
            _ => None,
        }
    }
}

/// A Redis server, and the part of it that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisPlan {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The number of the database.
    pub database: u16,
    /// The user; `None` for the server's default user.
    pub username: Option<String>,
    /// Never printed.
    pub password: Option<Password>,
    /// The certificates for `rediss://`.
    pub tls: Option<TlsPlan>,
    /// The prefix of every key.
    pub prefix: Arc<str>,
}

impl RedisPlan {
    /// The contents of its URL.
    pub(crate) fn of_url(&self) -> impl PartialEq {
        let Self {
            endpoint,
            database,
            username,
            password,
            tls,
            prefix: _,
        } = self;
        (endpoint, database, username, password, tls.is_some())
    }

    /// Where it is, without user and password.
    pub fn address(&self) -> String {
        let scheme = match self.tls {
            Some(_) => "rediss",
            None => "redis",
        };
        format!("{scheme}://{}/{}", self.endpoint, self.database)
    }
}
