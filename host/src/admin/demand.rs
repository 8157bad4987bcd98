//! The demand of a consumer, for whoever starts and stops hosts: how much waits in its queue, and how many workers that
//! asks for.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hive_core::codes::Code;
use hive_core::nearest;
use hive_telemetry::QueuePurpose;

use super::Sources;
use super::wire::{DemandView, ErrorView};
use crate::status::{ConsumerStatus, Status};

/// Why there is no number to scale by.
#[derive(Debug, PartialEq, Eq)]
enum Unknown {
    /// The consumer has none.
    Never(StatusCode, String),
    /// There is none at the moment: nothing should be changed.
    Now(Option<Code>, String),
}

/// Answers 503 while the number is unknown, so that a scaler changes nothing.
pub(super) async fn demand(State(sources): State<Sources>, Path(name): Path<String>) -> Response {
    let status = (sources.measured)().await;
    match of(&status, &name) {
        Ok(view) => Json(view).into_response(),
        Err(Unknown::Never(code, error)) => {
            (code, Json(ErrorView::new(None, error))).into_response()
        }
        Err(Unknown::Now(code, error)) => {
            let error = ErrorView::new(code, error);
            (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response()
        }
    }
}

fn of<'a>(status: &'a Status, name: &str) -> Result<DemandView<'a>, Unknown> {
    let found = status.consumers.iter().find(|one| &*one.consumer == name);
    let consumer = found.ok_or_else(|| {
        let names = status.consumers.iter().map(|one| &*one.consumer);
        let advice = nearest::advice(name, names, "the consumers are");
        let error = format!("there is no consumer {name:?}; {advice}");
        Unknown::Never(StatusCode::NOT_FOUND, error)
    })?;
    if consumer.is_stream {
        let error = format!(
            "{:?} is a stream, which keeps its messages: how many are left to read is not known",
            consumer.queue
        );
        return Err(Unknown::Never(StatusCode::CONFLICT, error));
    }
    if let Some(pause) = &consumer.paused {
        let error = format!(
            "the consumer is paused, so that its messages wait for no worker: {}",
            pause.reason
        );
        return Err(Unknown::Now(None, error));
    }
    let messages = messages(consumer)?;
    Ok(DemandView::of(consumer, messages))
}

/// The messages that are ready in the consumer's own queue.
fn messages(consumer: &ConsumerStatus) -> Result<u32, Unknown> {
    let mut queues = consumer.queues.iter();
    let own = queues.find(|depth| depth.purpose == QueuePurpose::Consumed);
    match own.map(|depth| &depth.messages) {
        Some(Ok(messages)) => Ok(*messages),
        Some(Err(reason)) => Err(Unknown::Now(reason.code, reason.text.to_string())),
        None => Err(Unknown::Now(
            None,
            "the broker was not asked yet".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use hive_core::codes::Reason;
    use hive_telemetry::PausedBy;

    use super::*;
    use crate::status::{Pause, QueueDepth};

    fn status(messages: Result<u32, Reason>) -> Status {
        let consumed = QueueDepth {
            queue: "orders.created".into(),
            purpose: QueuePurpose::Consumed,
            messages,
        };
        let dead = QueueDepth {
            queue: "orders.created.dead".into(),
            purpose: QueuePurpose::DeadLetter,
            messages: Ok(1_000),
        };
        Status {
            links: Vec::new(),
            consumers: vec![ConsumerStatus {
                most_workers: 4,
                queues: vec![dead, consumed],
                ..ConsumerStatus::of_orders()
            }],
            discoveries: Vec::new(),
            schedules: Vec::new(),
            shared_queues: Vec::new(),
            components: Vec::new(),
        }
    }

    #[test]
    fn it_is_what_is_ready_in_the_queue_that_is_consumed() {
        let status = status(Ok(7));
        let view = serde_json::to_value(of(&status, "orders").expect("it is known"));
        let view = view.expect("it is JSON");
        assert_eq!(view["messages"], 7);
        assert_eq!(view["workers_most"], 4);
    }

    #[test]
    fn a_number_that_would_mislead_is_none() {
        let mut status = status(Ok(7));
        let is_never = |result| matches!(result, Err(Unknown::Never(..)));
        let is_now = |result| matches!(result, Err(Unknown::Now(..)));
        assert!(is_never(of(&status, "order").map(drop)));
        status.consumers[0].paused = Some(Pause {
            by: PausedBy::Failures,
            reason: "half of its deliveries fail".into(),
            since: SystemTime::UNIX_EPOCH,
        });
        assert!(is_now(of(&status, "orders").map(drop)));
        status.consumers[0].is_stream = true;
        assert!(is_never(of(&status, "orders").map(drop)));
        let down = self::status(Err("the connection is down".into()));
        assert!(is_now(of(&down, "orders").map(drop)));
    }
}
