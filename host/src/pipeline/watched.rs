//! The trail of a delivery that someone watches: what the pipeline notes on it before the settlement, and a retry that waits
//! in the host, which is no settlement at the broker.

use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::Handler;
use hive_core::policy::{Disposition, Failure};
use hive_telemetry::{Exit, Heard};
use tokio::time::Instant;

use super::Pipeline;
use super::handler::Dealt;
use super::held::Held;
use super::settle::{Settler, told};
use crate::tail::{Called, Settled};

impl Pipeline {
    /// Begins the trail of a delivery, unless it has one or nobody watches. Of a batch, one delivery hears the lines.
    pub(super) fn watched(&self, held: &mut Held) {
        if held.notes.trail().is_none() {
            held.notes = self.tail.notes();
        }
        if self.batches.is_none() {
            held.hears();
        }
    }
}

impl Held {
    /// Has the lines of the call kept for those who watch.
    pub(super) fn hears(&mut self) {
        if let Some(trail) = self.notes.trail_mut() {
            trail.heard.get_or_insert_default();
        }
    }

    /// Where the lines of the call are kept.
    pub(super) fn heard(&self) -> Option<&Arc<Heard>> {
        self.notes.trail()?.heard.as_ref()
    }

    /// Notes that the call has ended.
    pub(super) fn called(&mut self, began: Instant, dealt: &Dealt, batch: Option<usize>) {
        if let Some(trail) = self.notes.trail_mut() {
            trail.called = Some(Called {
                took: began.elapsed(),
                version: dealt.version().cloned(),
                batch,
            });
        }
    }

    /// Notes where it publishes to.
    pub(super) fn publishes(&mut self, disposition: &Disposition) {
        if let (Some(trail), Disposition::Publish(publications)) =
            (self.notes.trail_mut(), disposition)
        {
            trail.publishes(publications);
        }
    }
}

impl Settler {
    /// Shows those who watch that a retry waits in the host.
    pub(super) fn show_kept(&self, held: &Held, failure: &Failure, delay: Duration) {
        if !self.tail.is_watched() {
            return;
        }
        self.tail.report(&Settled {
            consumer: &self.plan.name,
            component: self.component(),
            delivery: &held.label(),
            envelope: &held.delivery.envelope,
            exit: &Exit::Retried {
                failure: told(failure),
                delay,
            },
            acknowledged: true,
            kept: true,
            took: held.in_hand.elapsed(),
            notes: &held.notes,
        });
    }

    /// The component of the consumer; `None` for routes.
    pub(super) fn component(&self) -> Option<&str> {
        match &self.plan.handler {
            Handler::Component(name) => Some(name),
            Handler::Routes(_) => None,
        }
    }
}
