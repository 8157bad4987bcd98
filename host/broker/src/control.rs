//! The control port: what [`Broker`](crate::Broker) offers to Rust, over HTTP for tests in other languages.

mod management;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::broker::{connections, load, queues};
use crate::definitions::Definitions;
use crate::faults::Fault;
use crate::server::Shared;
use crate::state::Vhost;

/// The number of messages on a page if the request names none.
const PEEKED: usize = 10;

/// Binds the port on the loopback address only: every client that reaches it is trusted, without a password.
pub(crate) async fn bind(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves the port until it is aborted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/", get(status))
        .route("/clock", post(turn))
        .route("/faults", post(inject).delete(clear))
        .route("/vhosts/{vhost}", put(add_vhost))
        .route("/definitions", post(define))
        .route("/messages/{vhost}/{queue}", get(peek))
        .nest("/api", management::router())
        .with_state(shared);
    // Ends only with its listener, and that is ours.
    let _ended = axum::serve(listener, router).await;
}

type Broker = State<Arc<Shared>>;

async fn status(State(shared): Broker) -> Json<Value> {
    let (time, blocked) = shared.with(|state| (state.now.millis(), state.alarm.clone()));
    let queues = queues(&shared).into_iter().map(|queue| {
        json!({
            "vhost": queue.vhost, "name": queue.name, "type": queue.kind, "ready": queue.ready,
            "unacked": queue.unacked, "stuck": queue.stuck, "consumers": queue.consumers,
            "frozen": queue.frozen,
        })
    });
    let connections = connections(&shared).into_iter().map(|connection| {
        json!({
            "name": connection.name, "peer": connection.peer, "user": connection.user,
            "vhost": connection.vhost, "channels": connection.channels,
        })
    });
    Json(json!({
        "time": time,
        "blocked": blocked,
        "queues": queues.collect::<Vec<_>>(),
        "connections": connections.collect::<Vec<_>>(),
    }))
}

async fn turn(State(shared): Broker, Json(order): Json<Value>) -> Response {
    let by = order.get("turn").and_then(Value::as_str);
    let by = by.and_then(|by| humantime::parse_duration(by).ok());
    let Some(by) = by else {
        return wrong("turn must be a time such as \"30s\" or \"2h\"");
    };
    shared.turn(by);
    let time = shared.with(|state| state.now.millis());
    Json(json!({ "time": time })).into_response()
}

async fn inject(State(shared): Broker, Json(order): Json<Value>) -> Response {
    let fault = order
        .as_object()
        .ok_or_else(|| "must be an object with the key fault".to_owned())
        .and_then(fault);
    match fault.and_then(|fault| shared.with(|state| state.inject(fault))) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => wrong(&fault),
    }
}

async fn clear(State(shared): Broker) -> StatusCode {
    let _cleared = shared.with(|state| state.inject(Fault::Clear));
    StatusCode::NO_CONTENT
}

async fn add_vhost(State(shared): Broker, Path(name): Path<String>) -> StatusCode {
    shared.with(|state| {
        let vhosts = &mut state.vhosts;
        vhosts
            .entry(name.clone())
            .or_insert_with(|| Vhost::new(&name));
    });
    StatusCode::NO_CONTENT
}

async fn define(State(shared): Broker, text: String) -> Response {
    match Definitions::read(&text) {
        Ok(definitions) => {
            load(&shared, definitions);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => wrong(&error.to_string()),
    }
}

async fn peek(
    State(shared): Broker,
    Path((vhost, name)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let count = query.iter().find(|(key, _)| key == "count");
    let count = count.and_then(|(_, count)| count.parse().ok());
    let found = shared.with(|state| {
        let id = state.queue_id(&vhost, &name)?;
        Some(state.queues.get(&id)?.peek(count.unwrap_or(PEEKED)))
    });
    let Some(messages) = found else {
        return (
            StatusCode::NOT_FOUND,
            Json(json!({ "error": "there is no such queue" })),
        )
            .into_response();
    };
    let messages = messages.iter().map(|message| {
        json!({
            "exchange": &*message.exchange,
            "routing-key": message.routing_key(),
            "body": String::from_utf8_lossy(&message.body),
        })
    });
    Json(messages.collect::<Vec<_>>()).into_response()
}

fn wrong(fault: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": fault }))).into_response()
}

/// Reads the order of a fault.
fn fault(order: &Map<String, Value>) -> Result<Fault, String> {
    let text = |key: &str| {
        let text = order.get(key).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| format!("{key} must be a text"))
    };
    let times = || match order.get("times") {
        None => Ok(1),
        Some(times) => times
            .as_u64()
            .ok_or_else(|| "times must be a whole number".to_owned()),
    };
    let vhost = || {
        let vhost = order.get("vhost").and_then(Value::as_str);
        vhost.unwrap_or("/").to_owned()
    };
    Ok(match text("fault")?.as_str() {
        "drop-confirms" => Fault::DropConfirms { times: times()? },
        "nack-publishes" => Fault::NackPublishes { times: times()? },
        "cut" => Fault::Cut {
            connection: text("connection").ok(),
        },
        "cut-at" => Fault::CutAt {
            method: text("method")?,
        },
        "answer" => Fault::Answer {
            method: text("method")?,
            code: order
                .get("code")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok())
                .ok_or("code must be one of AMQP's reply codes, such as 541")?,
            text: text("text").unwrap_or_default(),
            times: times()?,
        },
        "block" => Fault::Block {
            reason: text("reason").unwrap_or_else(|_| "low on memory".to_owned()),
        },
        "unblock" => Fault::Unblock,
        "freeze" => Fault::Freeze {
            vhost: vhost(),
            queue: text("queue")?,
        },
        "thaw" => Fault::Thaw {
            vhost: vhost(),
            queue: text("queue")?,
        },
        "cancel-consumers" => Fault::CancelConsumers {
            vhost: vhost(),
            queue: text("queue")?,
        },
        other => {
            return Err(format!(
                "fault must be drop-confirms, nack-publishes, cut, cut-at, answer, block, unblock, freeze, \
                 thaw or cancel-consumers, got {other}"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, String> {
        fault(
            serde_json::from_str::<Value>(text)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    }

    #[test]
    fn orders_are_read_or_say_what_is_wrong() {
        assert_eq!(
            read(r#"{"fault": "drop-confirms", "times": 3}"#),
            Ok(Fault::DropConfirms { times: 3 })
        );
        assert_eq!(
            read(r#"{"fault": "freeze", "queue": "q"}"#),
            Ok(Fault::Freeze {
                vhost: "/".to_owned(),
                queue: "q".to_owned()
            })
        );
        assert_eq!(
            read(r#"{"fault": "cut"}"#),
            Ok(Fault::Cut { connection: None })
        );
        assert_eq!(
            read(r#"{"fault": "freeze"}"#).unwrap_err(),
            "queue must be a text"
        );
        assert!(
            read(r#"{"fault": "explode"}"#)
                .unwrap_err()
                .contains("got explode")
        );
        assert!(read(r#"{"fault": "answer", "method": "basic.get"}"#).is_err());
    }
}
