//! The shadow of a component: it repeats the calls of the version that serves, beside them. Its answers are compared, and
//! dropped.

use std::iter::zip;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::ConsumerPlan;
use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use hive_core::shadow::{Account, ShadowEnd};
use hive_lifecycle::Tasks;
use hive_sandbox::{Call, Copied, Delivered, Observed, Repeating, Shadow};
use hive_telemetry::Fact;
use tokio::time::Instant;

use super::handler::Dealt;
use super::held::Held;

/// Calls that a shadow has at once, over all consumers: more would take the threads of calls that compute for long.
const AT_ONCE: usize = 2;

/// Has a shadow repeat what it is left copies of, until it is over or the host drains.
pub fn repeat(component: &Arc<str>, shadow: &Arc<Shadow>, tasks: &Tasks) {
    for _ in 0..AT_ONCE {
        let (component, shadow) = (Arc::clone(component), Arc::clone(shadow));
        let drain = tasks.drain().clone();
        tasks.spawn_aside(async move {
            tokio::select! {
                biased;
                () = drain.cancelled() => {}
                () = shadow.over() => {}
                () = repeat_all(&component, &shadow) => {}
            }
        });
    }
}

async fn repeat_all(component: &str, shadow: &Arc<Shadow>) {
    let generation = shadow.generation();
    let dealt = Dealt::Component(Arc::clone(generation));
    loop {
        let repeating = shadow.next().await;
        let began = Instant::now();
        let outcomes = call(&dealt, &repeating, generation.takes_single()).await;
        let due = repeating.count(&outcomes, began.elapsed());
        if let Some(account) = due {
            let number = generation.version().generation;
            tell_shadow(component, number, &account, None);
        }
    }
}

/// Reports what came of the copies of a shadow: at its end, or once there is enough for a report.
pub fn tell_shadow(component: &str, generation: u64, account: &Account, end: Option<ShadowEnd>) {
    let (compared, different) = (account.compared(), account.different());
    let (not_comparable, left_out) = (account.not_comparable(), account.left_out());
    let (failed, current_failed) = (account.shadow().failed, account.current().failed);
    let dropped = |by| Fact::ShadowDropped {
        component,
        generation,
        by,
        compared,
        different,
        not_comparable,
        left_out,
        failed,
        current_failed,
    };
    match end {
        None => Fact::ShadowCompared {
            component,
            generation,
            compared,
            different,
            not_comparable,
            left_out,
            failed,
            current_failed,
        },
        Some(ShadowEnd::Promoted) => Fact::ShadowPromoted {
            component,
            generation,
            compared,
            different,
            not_comparable,
            left_out,
            failed,
            current_failed,
        },
        Some(ShadowEnd::Dropped) => dropped("hand"),
        Some(ShadowEnd::Replaced) => dropped("swap"),
    }
    .emit();
}

/// The outcomes of the shadow, in the order of the deliveries.
async fn call(dealt: &Dealt, repeating: &Repeating, takes_single: bool) -> Vec<Outcome> {
    let copied = repeating.copied();
    let consumer = copied.consumer.as_ref();
    let contract = consumer.and_then(|plan| plan.schema.as_deref());
    let label = copied.deliveries.first().map(|first| first.label.as_str());
    let call = Call {
        consumer: &copied.name,
        delivery: &label.unwrap_or_default(),
        trace: None,
        requester: None,
        heard: None,
        notes: Some(repeating.notes()),
    };
    let envelopes = copied.deliveries.iter().map(|one| &one.envelope);
    match &envelopes.collect::<Vec<_>>()[..] {
        [envelope] if takes_single && !copied.is_batch => {
            vec![dealt.handle(contract, &call, envelope).await]
        }
        envelopes => dealt.handle_batch(contract, &call, envelopes).await,
    }
}

/// Leaves a copy of what a consumer's component was handed in one call for the shadow.
pub(super) fn copy(
    observed: Observed,
    plan: &Arc<ConsumerPlan>,
    batch: &[Held],
    outcomes: &[Outcome],
    took: Duration,
) {
    let envelopes = batch.iter().map(|held| &held.delivery.envelope);
    observed.copy(zip(envelopes, outcomes), || Copied {
        name: Arc::clone(&plan.name),
        deliveries: zip(batch, outcomes)
            .map(|(held, outcome)| Delivered {
                label: held.label().to_string(),
                envelope: held.delivery.envelope.clone(),
                outcome: outcome.clone(),
            })
            .collect(),
        is_batch: plan.batch.is_some(),
        consumer: Some(Arc::clone(plan)),
        took,
    });
}

/// The same for a request over HTTP.
pub fn copy_request(
    observed: Observed,
    route: &Arc<str>,
    request: &Envelope,
    outcome: &Outcome,
    took: Duration,
) {
    observed.copy(std::iter::once((request, outcome)), || Copied {
        consumer: None,
        name: Arc::clone(route),
        deliveries: vec![Delivered {
            label: request
                .message
                .properties
                .message_id
                .clone()
                .unwrap_or_default(),
            envelope: request.clone(),
            outcome: outcome.clone(),
        }],
        is_batch: false,
        took,
    });
}
