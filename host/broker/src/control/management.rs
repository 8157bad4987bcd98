//! The requests of RabbitMQ's management interface that the control port answers, in the form of RabbitMQ: what a test
//! needs around a client, so that the same test runs on either broker.

use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use serde_json::{Map, Value, json};

use super::{Broker, wrong};
use crate::broker::{ConnectionStatus, connections, load};
use crate::definitions::Definitions;
use crate::queue::{Consumer, Queue};
use crate::refusal::Refusal;
use crate::routing::Exchange;
use crate::server::Shared;
use crate::state::VERSION;
use crate::wire::{boolean, integer, text};

/// RabbitMQ gives no more queues on a page.
const LARGEST_PAGE: usize = 500;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/overview", get(overview))
        .route("/vhosts/{vhost}", put(add_vhost))
        .route("/vhosts/{vhost}/connections", get(connections_of))
        .route("/queues/{vhost}", get(queues_of))
        .route("/queues/{vhost}/{queue}", get(queue))
        .route("/exchanges/{vhost}", get(exchanges_of))
        .route("/exchanges/{vhost}/{exchange}", delete(delete_exchange))
        .route(
            "/policies/{vhost}/{policy}",
            put(add_policy).delete(remove_policy),
        )
        .route("/users/{user}", put(add_user))
        .route("/permissions/{vhost}/{user}", put(permit).delete(shut_out))
        .route("/connections/{name}", delete(close))
}

async fn overview() -> Json<Value> {
    Json(json!({ "product_name": "hive-broker", "rabbitmq_version": VERSION }))
}

async fn add_vhost(State(shared): Broker, Path(vhost): Path<String>) -> Response {
    define(&shared, "vhosts", json!({}), [("name", vhost)])
}

async fn add_user(
    State(shared): Broker,
    Path(user): Path<String>,
    Json(account): Json<Value>,
) -> Response {
    define(&shared, "users", account, [("name", user)])
}

async fn permit(
    State(shared): Broker,
    Path((vhost, user)): Path<(String, String)>,
    Json(rights): Json<Value>,
) -> Response {
    let may_do_everything = shared.with(|state| {
        let user = state.users.get_mut(&user);
        user.is_some_and(|user| user.permissions.is_none())
    });
    if may_do_everything {
        return StatusCode::NO_CONTENT.into_response();
    }
    define(
        &shared,
        "permissions",
        rights,
        [("vhost", vhost), ("user", user)],
    )
}

async fn shut_out(
    State(shared): Broker,
    Path((vhost, user)): Path<(String, String)>,
) -> StatusCode {
    shared.with(|state| {
        let user = state.users.get_mut(&user);
        let permissions = user.and_then(|user| user.permissions.as_mut());
        match permissions.and_then(|permissions| permissions.remove(&vhost)) {
            Some(_) => StatusCode::NO_CONTENT,
            None => StatusCode::NOT_FOUND,
        }
    })
}

async fn add_policy(
    State(shared): Broker,
    Path((vhost, policy)): Path<(String, String)>,
    Json(content): Json<Value>,
) -> Response {
    let named = [("vhost", vhost), ("name", policy)];
    define(&shared, "policies", content, named)
}

async fn remove_policy(
    State(shared): Broker,
    Path((vhost, policy)): Path<(String, String)>,
) -> StatusCode {
    match shared.with(|state| state.remove_policy(&vhost, &policy)) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}

async fn exchanges_of(State(shared): Broker, Path(vhost): Path<String>) -> Json<Value> {
    Json(shared.with(|state| {
        let exchanges = state
            .vhosts
            .get(&vhost)
            .map(|vhost| vhost.exchanges.values());
        let described = |exchange: &Exchange| {
            json!({
                "vhost": vhost,
                "name": &*exchange.name,
                "type": exchange.kind.word(),
                "durable": exchange.durable,
                "auto_delete": exchange.auto_delete,
                "internal": exchange.internal,
            })
        };
        exchanges.into_iter().flatten().map(described).collect()
    }))
}

async fn delete_exchange(
    State(shared): Broker,
    Path((vhost, name)): Path<(String, String)>,
) -> StatusCode {
    match shared.with(|state| state.vhosts.get_mut(&vhost)?.delete_exchange(&name)) {
        Some(()) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// Every queue, or one page of them where a page is asked for.
async fn queues_of(
    State(shared): Broker,
    Path(vhost): Path<String>,
    Query(wanted): Query<HashMap<String, String>>,
) -> Response {
    let queues: Vec<Value> = shared.with(|state| {
        let ids = state.vhosts.get(&vhost).map(|vhost| vhost.queues.values());
        let queues = ids.into_iter().flatten();
        let mut queues: Vec<&Queue> = queues.filter_map(|id| state.queues.get(id)).collect();
        queues.sort_by(|one, other| one.name.cmp(&other.name));
        queues.into_iter().map(described).collect()
    });
    let number = |key: &str| wanted.get(key).and_then(|text| text.parse::<usize>().ok());
    let Some(page) = number("page") else {
        return Json(queues).into_response();
    };
    let size = number("page_size")
        .unwrap_or(LARGEST_PAGE)
        .clamp(1, LARGEST_PAGE);
    let pages = queues.len().div_ceil(size).max(1);
    if !(1..=pages).contains(&page) {
        let error = json!({ "error": "page_out_of_range", "reason": format!("page out of range, page: {page} size: {size}, len: {}", queues.len()) });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let count = queues.len();
    let items: Vec<Value> = queues
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    Json(json!({
        "total_count": count,
        "filtered_count": count,
        "item_count": items.len(),
        "page": page,
        "page_size": size,
        "page_count": pages,
        "items": items,
    }))
    .into_response()
}

async fn queue(State(shared): Broker, Path((vhost, name)): Path<(String, String)>) -> Response {
    let found = shared.with(|state| {
        let id = state.queue_id(&vhost, &name)?;
        state.queues.get(&id).map(described)
    });
    match found {
        Some(queue) => Json(queue).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn described(queue: &Queue) -> Value {
    let (ready, unacked) = (queue.ready_count(), queue.unacked_count());
    let counted = queue.counted;
    json!({
        "vhost": &*queue.vhost,
        "name": &*queue.name,
        "type": queue.arguments.kind.word(),
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.owner.is_some(),
        "state": "running",
        "arguments": arguments(&queue.table),
        "messages": ready + unacked,
        "messages_ready": ready,
        "messages_unacknowledged": unacked,
        "messages_dlx": queue.stuck_count(),
        "consumers": queue.consumer_count(),
        "consumer_details": queue.consumers().map(consumer).collect::<Vec<_>>(),
        "message_stats": {
            "publish": counted.publish,
            "deliver": counted.deliver,
            "get": counted.get,
            "redeliver": counted.redeliver,
            "ack": counted.ack,
        },
    })
}

fn consumer(consumer: &Consumer) -> Value {
    json!({
        "consumer_tag": &*consumer.key.tag,
        "prefetch_count": consumer.prefetch,
        "exclusive": consumer.exclusive,
    })
}

/// The arguments of a queue: whole numbers, texts and truth values.
fn arguments(table: &FieldTable) -> Value {
    let value = |value: &AMQPValue| {
        boolean(value)
            .map(Value::from)
            .or_else(|| integer(value).map(Value::from))
            .or_else(|| text(value).map(Value::from))
    };
    let arguments = table.inner().iter();
    let arguments =
        arguments.filter_map(|(key, argument)| Some((key.to_string(), value(argument)?)));
    Value::Object(arguments.collect())
}

async fn connections_of(State(shared): Broker, Path(vhost): Path<String>) -> Json<Value> {
    let connections = connections(&shared).into_iter();
    let of_vhost = connections.filter(|connection| connection.vhost == vhost);
    let described = |connection: ConnectionStatus| {
        json!({
            "name": connection.peer,
            "user": connection.user,
            "user_provided_name": connection.name,
            "vhost": connection.vhost,
            "channels": connection.channels,
        })
    };
    Json(of_vhost.map(described).collect())
}

/// Closes a connection as an operator does: with a method, and not as a fault.
async fn close(State(shared): Broker, Path(name): Path<String>) -> StatusCode {
    shared.with(|state| {
        let connections = &mut state.connections.iter();
        let Some((&id, _)) = connections.find(|(_, connection)| connection.peer == name) else {
            return StatusCode::NOT_FOUND;
        };
        let forced = Refusal::new(320, "Closed via management plugin");
        state.fail_connection(id, &forced, (0, 0));
        StatusCode::NO_CONTENT
    })
}

/// Loads a definitions file with one entry: `body`, and what the path says of it.
fn define<const N: usize>(
    shared: &Shared,
    list: &str,
    body: Value,
    named: [(&str, String); N],
) -> Response {
    let Value::Object(mut entry) = body else {
        return wrong("must be an object");
    };
    entry.extend(named.map(|(key, name)| (key.to_owned(), Value::String(name))));
    let file = Map::from_iter([(list.to_owned(), json!([entry]))]);
    match Definitions::read(&Value::Object(file).to_string()) {
        Ok(definitions) => {
            load(shared, definitions);
            StatusCode::CREATED.into_response()
        }
        Err(error) => wrong(&error.to_string()),
    }
}
