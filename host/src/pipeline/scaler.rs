//! Looks at a consumer's queue every so often, and has its crew grow and shrink as [`Rule`] says.

use std::sync::Arc;

use hive_amqp::{ConsumerState, DepthFault};
use hive_core::scaling::{Bounds, Look, Rule, ScalePlan};
use hive_telemetry::CrewScaled;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Pipeline;
use super::crew::Crew;

/// Scales a crew of this consumer for as long as it is polled. Other bounds hold at once.
pub(super) async fn scale(
    plan: ScalePlan,
    mut bounds: watch::Receiver<Bounds>,
    pipeline: Arc<Pipeline>,
    crew: Arc<Crew>,
) {
    let mut looks = tokio::time::interval(plan.every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rule = Rule::new(plan);
    // A consumer that does not consume yet is reported elsewhere, with the reason.
    let (mut was_known, mut told) = (false, false);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            // The pipeline has the other end.
            Ok(()) = bounds.changed() => {}
        }
        rule.bound(*bounds.borrow_and_update());
        let looked = depth(&pipeline).await;
        let depth = looked.as_ref().ok().copied();
        was_known |= depth.is_some();
        let is_news = !told && (was_known || consumes(&pipeline));
        told = depth.is_none() && (told || is_news);
        let before = crew.wanted();
        let decision = rule.decide(&Look {
            depth,
            is_paused: pipeline.flow().paused().is_some(),
            stands_by: stands_by(&pipeline),
            workers: before,
            busy: crew.busy(),
            answered: crew.done(),
        });
        CrewScaled {
            before,
            wanted: decision.wanted,
            asked: decision.asked,
            depth,
            pace: rule.pace(),
            because: &decision.because,
            untold: match &looked {
                Err(fault) if is_news => Some(fault),
                _ => None,
            },
        }
        .emit(&pipeline.telemetry);
        crew.saw(depth, decision.asked);
        crew.resize(decision.wanted);
        crew.give_back();
    }
}

/// The waiting messages: at the broker, and here.
///
/// The broker counts prefetched messages as delivered, and with a large `prefetch` it delivers more than the
/// workers can start for a long time: a queue that looks empty to it may have hundreds waiting here.
async fn depth(pipeline: &Pipeline) -> Result<u64, DepthFault> {
    // In this order, so that what comes over in between is missed once and not counted twice: workers
    // that are there for one look alone are worth nothing.
    let here = pipeline.subscription.prefetched().await;
    let queue = &pipeline.plan.queue;
    let looking = pipeline.connection.depth(queue, || consumes(pipeline));
    Ok(u64::from(looking.await?) + here as u64)
}

/// Whether another host handles what waits.
fn stands_by(pipeline: &Pipeline) -> bool {
    matches!(pipeline.flow().watch().now(), ConsumerState::Standby(_))
}

/// Whether the broker has a consumer of ours. What is about to be paused has one no longer.
fn consumes(pipeline: &Pipeline) -> bool {
    let flow = pipeline.flow();
    flow.watch().now().is_subscribed() && flow.paused().is_none()
}
