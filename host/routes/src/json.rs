//! JSON as expressions see it, and their values as JSON.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{CelString, DYN_TYPE};
use cel::common::value::CowVal;
use cel::objects::Key;
use cel::{DeclarationError, Env, ExecutionError, Value};
use serde_json::Value as Json;

use crate::budget;

/// The name of a function of expressions.
pub(crate) const FUNCTION: &str = "json";

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

/// Adds `json(VALUE)`: the value as JSON, a text with its quotes.
pub(crate) fn declare(environment: &mut Env) -> Result<(), DeclarationError> {
    environment.add_overload(FUNCTION, FUNCTION, vec![DYN_TYPE], written)
}

fn written<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value] = &arguments[..] else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    budget::pay_for(value.as_ref())?;
    let value = Value::try_from(value.as_ref())?;
    let json = value.json();
    let json = json.map_err(|error| ExecutionError::function_error(FUNCTION, error))?;
    Ok(CowVal::owned(CelString::from(json.to_string())))
}
