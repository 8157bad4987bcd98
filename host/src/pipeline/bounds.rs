//! The bounds of `scale` of one consumer: those of hive.toml until an operator sets others. They are gone with the consumer:
//! a restart of the host or a reload that changes the consumer starts it with those of hive.toml.

use std::sync::Arc;

use hive_config::plan::ConsumerPlan;
use hive_core::scaling::{Bounds, BoundsFault, NewBounds};
use tokio::sync::watch;

/// The bounds of one consumer.
#[derive(Debug)]
pub struct ScaleBounds {
    written: Bounds,
    /// The workers that the prefetch is enough for.
    most: u16,
    now: watch::Sender<Bounds>,
}

impl ScaleBounds {
    /// `None` for a consumer without `scale`.
    pub(super) fn of(plan: &ConsumerPlan) -> Option<Arc<Self>> {
        let written = Bounds::from(plan.scale.as_ref()?);
        let each = plan.batch.as_ref().map_or(1, |batch| batch.size.max(1));
        let most = u32::from(plan.prefetch) / u32::from(each);
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        Some(Arc::new(Self {
            written,
            // hive.toml may have asked for more.
            most: most.max(written.max),
            now: watch::Sender::new(written),
        }))
    }

    /// The bounds that hold.
    pub fn now(&self) -> Bounds {
        *self.now.borrow()
    }

    /// Those of hive.toml.
    pub fn written(&self) -> Bounds {
        self.written
    }

    /// The bounds that `new` asks for.
    ///
    /// # Errors
    ///
    /// There can be no such bounds.
    pub fn with(&self, new: NewBounds) -> Result<Bounds, BoundsFault> {
        self.now().with(new, self.most)
    }

    /// Sets them. Returns false if they hold already.
    pub fn set(&self, bounds: Bounds) -> bool {
        self.now
            .send_if_modified(|now| std::mem::replace(now, bounds) != bounds)
    }

    /// Watches them.
    pub(super) fn watch(&self) -> watch::Receiver<Bounds> {
        self.now.subscribe()
    }
}
