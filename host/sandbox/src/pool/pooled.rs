//! An instance as its pool has it: with its permit, and counted for as long as it may get deliveries.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::instance::{Instance, StopReason};

/// The right to have an instance in memory, for as long as the instance lives.
pub(super) type Permit = OwnedSemaphorePermit;

/// Counts the instances of a generation that handle deliveries or may be asked to.
#[derive(Default)]
pub(super) struct Roll(Arc<()>);

/// An instance is on the roll of its generation for as long as it has this.
pub(super) struct OnTheRoll {
    _copy: Arc<()>,
}

/// An instance of a pool.
pub(super) struct Pooled {
    instance: Instance,
    on_the_roll: Option<OnTheRoll>,
    _permit: Permit,
}

impl Roll {
    /// Enters an instance that is being made in the roll.
    pub(super) fn enrol(&self) -> OnTheRoll {
        OnTheRoll {
            _copy: Arc::clone(&self.0),
        }
    }

    /// How many are on it.
    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl Pooled {
    pub(super) fn new(instance: Instance, on_the_roll: OnTheRoll, permit: Permit) -> Self {
        Self {
            instance,
            on_the_roll: Some(on_the_roll),
            _permit: permit,
        }
    }

    /// Takes the instance off the roll: it gets no further delivery.
    pub(super) fn strike_off(&mut self) {
        self.on_the_roll = None;
    }

    /// Notifies it of the reason, and drops it.
    pub(super) async fn stop(self, reason: StopReason, timeout: Duration) {
        self.instance.stop(reason, timeout).await;
    }
}

impl Deref for Pooled {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Instance {
        &mut self.instance
    }
}
