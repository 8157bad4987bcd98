//! Messages that a case hands over or publishes, and the files that it reads them from.

use std::path::Path;

use hive_core::json::{Malformed, base64, from_base64, read_delivery, read_publication};
use hive_core::message::{Envelope, Publication};
use serde_json::{Map, Value as Json};

use super::keys::named;
use crate::faults::Faults;
use crate::files;
use crate::keys::Name;
use crate::written::{Node, Value};
use hive_core::codes::Code;

/// The ways to write a body.
const BODIES: [Name<()>; 4] = [
    named!("body"),
    named!("body-base64"),
    named!("body-json"),
    named!("body-file"),
];

/// The delivery of a `message` table.
pub(super) fn delivery(node: &Node, folder: &Path, faults: &mut Faults) -> Option<Envelope> {
    let object = object(node, folder, faults)?;
    told(read_delivery(&object), node, faults)
}

/// The publication of a `publish` table.
pub(super) fn publication(node: &Node, folder: &Path, faults: &mut Faults) -> Option<Publication> {
    let mut object = object(node, folder, faults)?;
    if let Json::Object(object) = &mut object {
        // A recorded delivery is published as it was once.
        for key in ["queue", "redelivered", "attempt", "stream-offset", "dead"] {
            object.remove(key);
        }
    }
    told(read_publication(&object), node, faults)
}

/// A fault of a message is shown where its key stands, if it stands in the table.
fn told<T>(read: Result<T, Malformed>, node: &Node, faults: &mut Faults) -> Option<T> {
    let fault = match read {
        Ok(read) => return Some(read),
        Err(fault) => fault,
    };
    let remedy = "docs/message-format.md has the form of a message";
    let of_key = fault.of_key();
    match of_key.and_then(|(key, words)| Some((node.entry(key)?, words))) {
        Some((at, words)) => faults.error(Code::BadForm, at, words.to_owned(), remedy),
        None => faults.error(
            Code::BadForm,
            node,
            format!("is no message: {fault}"),
            remedy,
        ),
    }
    None
}

/// The value of a key that the table of this node may not know.
pub(super) fn known(node: &Node, key: Name<()>) -> Option<&Node> {
    node.entry(key.name())
}

/// The message as an object of docs/message-format.md; none where a part of it is faulty.
fn object(node: &Node, folder: &Path, faults: &mut Faults) -> Option<Json> {
    let Value::Table(_, entries) = &node.value else {
        return None;
    };
    let mut object = match node.get(named!("from")) {
        Some(from) => recorded(from, folder, faults)?,
        None => Map::new(),
    };
    let bodies: Vec<&Node> = BODIES.iter().filter_map(|key| node.get(*key)).collect();
    if let [_, second, ..] = &bodies[..] {
        faults.error(
            Code::Conflict,
            second,
            "is a second body",
            "keep one of them",
        );
        return None;
    }
    if !bodies.is_empty() {
        BODIES
            .iter()
            .for_each(|key| drop(object.remove(key.name())));
    }
    // All of them are read, so that each fault is told.
    let mut is_whole = true;
    for (name, node) in entries {
        let (key, value) = match name.as_str() {
            "from" | "times" => continue,
            "body-file" => body_of(file(node, folder, faults)),
            name => (name, json(node)),
        };
        match value {
            Some(value) => drop(object.insert(key.to_owned(), value)),
            None => is_whole = false,
        }
    }
    is_whole.then_some(Json::Object(object))
}

/// The key and the value of a body that was read from a file.
fn body_of(bytes: Option<Vec<u8>>) -> (&'static str, Option<Json>) {
    match bytes.map(String::from_utf8) {
        None => ("body", None),
        Some(Ok(text)) => ("body", Some(text.into())),
        Some(Err(error)) => ("body-base64", Some(base64(error.as_bytes()).into())),
    }
}

/// The one delivery of a file.
fn recorded(node: &Node, folder: &Path, faults: &mut Faults) -> Option<Map<String, Json>> {
    let bytes = file(node, folder, faults)?;
    let read: Result<Vec<Json>, _> = serde_json::Deserializer::from_slice(&bytes)
        .into_iter()
        .collect();
    let remedy = "write one delivery into it, as docs/message-format.md has it";
    match read.as_deref() {
        Ok([Json::Object(object)]) => Some(object.clone()),
        Ok([_]) => {
            faults.error(
                Code::BadForm,
                node,
                "names a file that holds no JSON object",
                remedy,
            );
            None
        }
        Ok(several) => {
            let message = format!("names a file that holds {} deliveries", several.len());
            faults.error(Code::BadForm, node, message, remedy);
            None
        }
        Err(error) => {
            faults.error(
                Code::BadForm,
                node,
                format!("names a file that is not JSON: {error}"),
                remedy,
            );
            None
        }
    }
}

/// The bytes of the file that a node names, relative to the test file.
pub(super) fn file(node: &Node, folder: &Path, faults: &mut Faults) -> Option<Vec<u8>> {
    let path = folder.join(node.as_text()?);
    match files::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            faults.error(
                Code::FileUnreadable,
                node,
                message,
                "name a readable file, relative to this one",
            );
            None
        }
    }
}

/// The bytes that a node has as base64.
pub(super) fn bytes(node: &Node, faults: &mut Faults) -> Option<Vec<u8>> {
    match from_base64(node.as_text()?) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let remedy = "write base64 (RFC 4648, section 4)";
            faults.error(Code::BadForm, node, error.to_string(), remedy);
            None
        }
    }
}

/// A value as JSON; none where it is faulty or has no such form.
pub(super) fn json(node: &Node) -> Option<Json> {
    Some(match &node.value {
        Value::Boolean(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
        Value::Json(value) => value.clone(),
        _ => return None,
    })
}
