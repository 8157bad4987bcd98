//! Publishes the messages of a file, for a component to have something to do.

use std::path::Path;

use hive_config::plan::Plan;
use hive_core::message::{Envelope, Publication};

use crate::cli::Exit;
use crate::cli::broker::connect;
use crate::cli::message_file::{self, LARGEST_MESSAGES, deliveries};
use crate::cli::publish::{entity, publish_all};
use crate::cli::say::{fault, out};
use crate::dead::connection_of;

/// The messages of a file, each with its destination.
pub(super) fn read(file: &Path, plan: &Plan) -> Result<Vec<Publication>, Exit> {
    let (name, text) = message_file::read(Some(file), "messages as JSON", LARGEST_MESSAGES)?;
    let deliveries = deliveries(&name, &text)?;
    let publications = deliveries.into_iter().enumerate().map(|(index, delivery)| {
        publication(delivery, plan).map_err(|reason| {
            fault!("{name}: message {}: {reason}", index + 1);
            Exit::Misused
        })
    });
    publications.collect()
}

/// To its exchange; without one to its queue, or to the only queue that is consumed.
fn publication(delivery: Envelope, plan: &Plan) -> Result<Publication, String> {
    let Envelope {
        message,
        queue,
        exchange,
        routing_key,
        ..
    } = delivery;
    let routing_key = match (
        exchange.is_empty(),
        routing_key.is_empty(),
        queue.is_empty(),
    ) {
        (true, true, false) => queue.to_string(),
        (true, true, true) => {
            let mut queues = plan.consumers.values().map(|consumer| &*consumer.queue);
            let first = queues.next();
            match first.filter(|first| queues.all(|queue| queue == *first)) {
                Some(only) => only.to_owned(),
                None => {
                    return Err(
                        "it does not say where to: give it a `queue`, or `exchange` and `routing-key`"
                            .to_owned(),
                    );
                }
            }
        }
        _ => routing_key,
    };
    Ok(Publication {
        exchange,
        routing_key,
        message,
        mandatory: true,
        delay: None,
    })
}

/// Publishes them in their order; errors are printed, and end nothing.
pub(super) async fn publish(publications: Vec<Publication>, plan: &Plan) {
    let Some(first) = publications.first() else {
        return;
    };
    let name = entity(&first.exchange, &first.routing_key);
    let connection = match connection_of(plan, name, None) {
        Ok(connection) => connection,
        Err(reason) => return fault!("{reason}"),
    };
    // The fault has been printed.
    let Ok(broker) = connect(connection, "hive-host dev") else {
        return;
    };
    let tally = publish_all(publications, &broker).await;
    out!("fed {} messages", tally.published);
    broker.leave().await;
}
