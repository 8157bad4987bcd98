//! One value of a header table.
//!
//! What JSON has stands as it is. What JSON lacks is an object of one key that says what it is, and so
//! is a table, which could be taken for one of those.

use serde_json::{Map, Number, Value, json};

use super::fields::{Malformed, number, text};
use super::{base64, from_base64};
use crate::message::FieldValue;

pub(super) fn write(value: &FieldValue) -> Value {
    match value {
        FieldValue::Void => Value::Null,
        FieldValue::Boolean(value) => Value::from(*value),
        FieldValue::Integer(value) => Value::from(*value),
        FieldValue::Double(value) => write_double(*value),
        FieldValue::Text(text) => Value::from(text.as_str()),
        FieldValue::Bytes(bytes) => json!({ "bytes": base64(bytes) }),
        FieldValue::Timestamp(seconds) => json!({ "timestamp": seconds }),
        FieldValue::Nested(text) => match serde_json::from_str(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => json!({ "nested": value }),
            // Not a valid table; publishing it gives the error.
            _ => json!({ "nested": text }),
        },
    }
}

/// A number that is read back to the last bit; JSON has no others.
fn write_double(value: f64) -> Value {
    let comes_back = |number: &Number| {
        let read: Result<Number, _> = serde_json::from_str(&number.to_string());
        let read = read.ok().filter(Number::is_f64);
        read.and_then(|read| read.as_f64()).map(f64::to_bits) == Some(value.to_bits())
    };
    match Number::from_f64(value).filter(comes_back) {
        Some(number) => Value::Number(number),
        None => json!({ "double": value.to_string() }),
    }
}

pub(super) fn read(value: &Value) -> Result<FieldValue, Malformed> {
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(value) => FieldValue::Boolean(*value),
        Value::Number(number) if number.is_f64() => {
            FieldValue::Double(number.as_f64().unwrap_or(f64::NAN))
        }
        Value::Number(number) => FieldValue::Integer(number.as_i64().ok_or_else(|| {
            Malformed(format!(
                "is {number}, and an integer has 64 bits with its sign"
            ))
        })?),
        Value::String(text) => FieldValue::Text(text.clone()),
        Value::Array(_) => FieldValue::Nested(value.to_string()),
        Value::Object(object) => explicit(object)?,
    })
}

fn explicit(object: &Map<String, Value>) -> Result<FieldValue, Malformed> {
    let mut entries = object.iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
        return Err(unclear());
    };
    let read = match kind.as_str() {
        "bytes" => text(value).and_then(from_base64).map(FieldValue::Bytes),
        "timestamp" => number(value).map(FieldValue::Timestamp),
        "double" => text(value).and_then(|text| {
            let double = text.parse().map(FieldValue::Double);
            double.map_err(|_| Malformed("is not a number".into()))
        }),
        "nested" => match value {
            Value::Object(_) | Value::Array(_) => Ok(FieldValue::Nested(value.to_string())),
            Value::String(text) => Ok(FieldValue::Nested(text.clone())),
            other => Err(Malformed::must_be("an object or an array", other)),
        },
        _ => return Err(unclear()),
    };
    read.map_err(|fault| fault.at(&format!("`{kind}`")))
}

fn unclear() -> Malformed {
    Malformed(
        "is an object, and those say what JSON has no sign for: {\"bytes\": \"base64\"}, \
         {\"timestamp\": seconds}, {\"double\": \"NaN\"}, or {\"nested\": …} for a table"
            .into(),
    )
}
