//! How the search for queues over one connection is doing.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hive_core::codes::Reason;
use hive_telemetry::Fact;

/// How it is doing.
#[derive(Debug, Default)]
pub(in crate::app) struct Looked(Mutex<Looks>);

#[derive(Debug, Clone, Default)]
pub(super) struct Looks {
    /// When the last whole listing was applied.
    pub(super) last: Option<SystemTime>,
    /// Since when there is none, and why.
    pub(super) failing: Option<(SystemTime, Reason)>,
    /// Whether the broker tells of queues that come and go.
    pub(super) hears: bool,
}

impl Looked {
    pub(super) fn applied(&self, connection: &str) {
        let before = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            looks.last = Some(SystemTime::now());
            looks.failing.take()
        };
        if before.is_some() {
            Fact::DiscoveryRestored { connection }.emit();
        }
    }

    /// What is consumed stays consumed.
    pub(super) fn failed(&self, connection: &str, reason: Reason) {
        let is_news = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = looks.failing.take();
            let since = before.as_ref().map(|(since, _)| *since);
            let is_news = before.is_none_or(|(_, before)| before != reason);
            looks.failing = Some((since.unwrap_or_else(SystemTime::now), reason.clone()));
            is_news
        };
        if is_news {
            Fact::DiscoveryFailed {
                connection,
                code: reason.code.map_or("", |code| code.as_str()),
                reason: &reason.text,
            }
            .emit();
        }
    }

    pub(super) fn hears(&self, hears: bool) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.hears = hears;
    }

    pub(super) fn now(&self) -> Looks {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
