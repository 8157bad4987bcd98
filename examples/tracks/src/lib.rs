//! Archives tracks that were played: one object of gzipped JSON lines for each batch, and every track in exactly one
//! object, whenever the host or the object store is killed.
//!
//! A batch that comes again after a crash may be another one: the broker promises the messages, not their company. So
//! what is in an object is decided once, written down, and never decided again: see `plan`.

mod lines;
mod plan;

use std::collections::BTreeMap;

use hive_guest::{Action, Delivery};
use serde_json::Value;

#[hive_guest::batch_consumer]
fn handle(deliveries: Vec<Delivery>) -> Result<Vec<Action>, String> {
    let mut tracks = BTreeMap::new();
    let mut actions = Vec::new();
    for delivery in &deliveries {
        actions.push(match track(delivery) {
            Ok((id, line)) => {
                tracks.entry(id).or_insert(line);
                Action::Ack
            }
            // It will be as malformed next time.
            Err(reason) => Action::reject(reason),
        });
    }
    // Before any of them is acknowledged. Where it fails, all of them come again.
    plan::archive(&tracks)?;
    Ok(actions)
}

/// The id of a track, and its line in an object.
fn track(delivery: &Delivery) -> Result<(String, String), String> {
    let id = delivery.message.properties.message_id.clone();
    let id = id.ok_or("a track needs a message-id, by which it is known again")?;
    let mut played: serde_json::Map<String, Value> =
        delivery.json().map_err(|error| error.to_string())?;
    if !played.contains_key("title") {
        return Err("it has no title".to_owned());
    }
    played.insert("id".to_owned(), Value::String(id.clone()));
    let line = Value::Object(played).to_string();
    Ok((id, line))
}

#[cfg(test)]
mod tests;
