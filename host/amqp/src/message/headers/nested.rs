//! Nested tables and arrays as JSON text, the only shape in which the WIT has them.
//!
//! JSON has fewer types than AMQP: a timestamp becomes a number, bytes become text, and a float that is not a
//! number becomes null. Copies made by the host do not pass through here and keep every type.

use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use serde_json::{Map, Number, Value};

use super::{Unpublishable, double, integer};
use crate::message::octet_text::meant;

pub(super) fn to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Void => Value::Null,
        AMQPValue::Boolean(value) => Value::Bool(*value),
        AMQPValue::Timestamp(value) => Value::from(*value),
        AMQPValue::ShortString(value) => Value::from(value.as_str()),
        AMQPValue::LongString(value) => text(value.as_bytes()),
        AMQPValue::ByteArray(value) => text(value.as_slice()),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(to_json).collect(),
        AMQPValue::FieldTable(table) => {
            let entries = table.into_iter();
            Value::Object(
                entries
                    .map(|(name, value)| (name.to_string(), to_json(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        number => match (integer(number), double(number)) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            (None, None) => Value::Null,
        },
    }
}

fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// A table or an array from JSON text; `name` is the header's, for the error.
pub(super) fn from_json(name: &str, json: &str) -> Result<AMQPValue, Unpublishable> {
    match serde_json::from_str(json) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => from_value(name, value),
        Ok(_) => Err(Unpublishable(format!(
            "header {name:?} is nested, and its JSON text is neither an object nor an array"
        ))),
        Err(error) => Err(Unpublishable(format!(
            "header {name:?} is nested, and its text is not JSON: {error}"
        ))),
    }
}

fn from_value(name: &str, value: Value) -> Result<AMQPValue, Unpublishable> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => AMQPValue::LongLongInt(value),
            (None, Some(value)) => AMQPValue::Double(value),
            (None, None) => AMQPValue::Void,
        },
        Value::String(text) => AMQPValue::LongString(LongString::from(text)),
        Value::Array(values) => {
            let values: Result<Vec<_>, _> = values
                .into_iter()
                .map(|value| from_value(name, value))
                .collect();
            AMQPValue::FieldArray(FieldArray::from(values?))
        }
        Value::Object(entries) => {
            let mut table = FieldTable::default();
            for (key, value) in entries {
                let key = ShortString::try_new(meant(&key)).map_err(|_| {
                    Unpublishable(format!(
                        "header {name:?} has a nested name of more than 255 bytes"
                    ))
                })?;
                table.insert(key, from_value(name, value)?);
            }
            AMQPValue::FieldTable(table)
        }
    })
}
