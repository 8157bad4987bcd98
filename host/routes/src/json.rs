//! JSON as expressions see it, and their values as JSON.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::Key;
use serde_json::Value as Json;

/// The value of a JSON text. A number without a fraction is an integer, as CEL compares it.
pub(crate) fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(is),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text)),
        Json::Array(items) => Value::List(Arc::new(items.into_iter().map(value).collect())),
        Json::Object(fields) => {
            let keyed = fields
                .into_iter()
                .map(|(name, field)| (Key::String(Arc::new(name)), value(field)));
            Value::from(HashMap::<Key, Value>::from_iter(keyed))
        }
    }
}

/// A value as it stands in a text: a text as it is, anything else as JSON. `None` if JSON does not have it.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        other => other.json().ok().map(|json| json.to_string()),
    }
}
