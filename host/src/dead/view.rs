//! Dead letters as JSON, for scripts and for the admin server.

use hive_core::dead::{Death, Group, GroupKey};
use hive_core::json::write_delivery;
use hive_core::message::RESERVED;
use serde_json::{Map, Value, json};

use super::{Numbered, Replayed, Walk};

/// The record of a message's end.
fn end(one: &Numbered) -> Map<String, Value> {
    let Death {
        class,
        broker_reason,
        error,
        attempts,
        time,
        consumer,
        queue,
        exchange,
        routing_key,
        history,
    } = &one.letter.death;
    let mut end = Map::new();
    end.insert("number".into(), one.number.into());
    let texts = [
        ("class", class),
        ("broker-reason", broker_reason),
        ("error", error),
        ("consumer", consumer),
        ("queue", queue),
        ("exchange", exchange),
        ("routing-key", routing_key),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            end.insert(key.into(), Value::from(text.as_str()));
        }
    }
    for (key, number) in [("attempts", attempts), ("time", time)] {
        if let Some(number) = number {
            end.insert(key.into(), Value::from(*number));
        }
    }
    if let Some(waiting) = &one.letter.waiting {
        end.insert("attempt".into(), waiting.attempt.get().into());
        for (key, number) in [("of", waiting.of), ("due", waiting.due)] {
            if let Some(number) = number {
                end.insert(key.into(), number.into());
            }
        }
    }
    if let Some(edit) = &one.letter.edit {
        end.insert("edit-of".into(), edit.identity.as_str().into());
    }
    if let Some(history) = history
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
    {
        end.insert("x-death".into(), history);
    }
    end
}

/// One message of a list as JSON.
pub fn line_json(one: &Numbered) -> Value {
    let message = &one.letter.delivery.envelope.message;
    let mut line = Value::Object(end(one));
    if one.letter.death.reason().is_some() {
        line["group"] = GroupKey::of(&one.letter.death).to_string().into();
    }
    if let Some(id) = &message.properties.message_id {
        line["message-id"] = id.as_str().into();
    }
    line["bytes"] = message.body.len().into();
    line
}

/// A whole message as JSON: a delivery, with what is known of its end.
pub fn whole_json(one: &Numbered) -> Value {
    let mut delivery = one.letter.delivery.envelope.clone();
    // The message as its component will see it.
    if let (Some(waiting), Some(queue)) = (&one.letter.waiting, &one.letter.death.queue) {
        delivery.attempt = waiting.attempt;
        delivery.queue = queue.as_str().into();
    }
    let headers = &mut delivery.message.properties.headers;
    // The host's own are shown by their meaning.
    headers.retain(|(name, _)| !name.starts_with(RESERVED));
    let mut whole = write_delivery(&delivery);
    let mut end = end(one);
    if let Some(story) = one.story() {
        story.put(&mut end);
    }
    whole["dead"] = Value::Object(end);
    whole
}

/// The groups of a queue, and how many messages are in none of them.
pub fn groups_json(groups: &[Group], others: u64, walk: &Walk, queue: &str) -> Value {
    let groups: Vec<Value> = groups.iter().map(Group::json).collect();
    json!({
        "queue": queue,
        "there": walk.there(),
        "matched": walk.matched(),
        "groups": groups,
        "others": others,
    })
}

/// The result of a replay, whose messages were `done`.
pub fn replayed_json(replayed: &Replayed, walk: &Walk, queue: &str, done: &str) -> Value {
    let left: Vec<Value> = replayed
        .left
        .iter()
        .map(|one| json!({ "number": one.number, "reason": one.reason }))
        .collect();
    json!({
        "queue": queue,
        "there": walk.there(),
        done: replayed.total(),
        "to": replayed.sent,
        "left": left,
        "back-again": replayed.back_again,
        "doubtful": replayed.doubtful,
        "stopped": replayed.stopped,
    })
}
