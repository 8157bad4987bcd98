//! JSON as expressions see it, and their values as JSON.

use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, DYN_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::budget;

/// The name of a function of expressions.
pub(crate) const FUNCTION: &str = "json";

/// A value of JSON, whose texts stay where they are if no character in them is escaped.
pub(crate) type Seen<'j> = Box<dyn Val + 'j>;

/// Reads JSON straight into what expressions see. A number without a fraction is an integer, as CEL compares it.
pub(crate) fn parse(text: &[u8]) -> Result<Seen<'_>, serde_json::Error> {
    serde_json::from_slice(text).map(|Parsed(value)| value)
}

struct Parsed<'j>(Seen<'j>);

impl<'j> Deserialize<'j> for Parsed<'j> {
    fn deserialize<D: Deserializer<'j>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'j> Visitor<'j> for Reader {
    type Value = Seen<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, is: bool) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelBool::from(is)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelInt::from(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Seen<'j>, E> {
        Ok(match i64::try_from(number) {
            Ok(number) => Box::new(CelInt::from(number)),
            Err(_) => Box::new(CelUInt::from(number)),
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelDouble::from(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'j str) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelString::from(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Seen<'j>, E> {
        Ok(Box::new(CelString::from(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut elements: A) -> Result<Seen<'j>, A::Error> {
        let mut list = Vec::new();
        while let Some(Parsed(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'j>>(self, mut fields: A) -> Result<Seen<'j>, A::Error> {
        let mut map = HashMap::new();
        while let Some((Name(name), Parsed(value))) = fields.next_entry()? {
            map.insert(name, value);
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

struct Name<'j>(CelMapKey<'j>);

impl<'j> Deserialize<'j> for Name<'j> {
    fn deserialize<D: Deserializer<'j>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(NameReader).map(Self)
    }
}

struct NameReader;

impl<'j> Visitor<'j> for NameReader {
    type Value = CelMapKey<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E>(self, name: &'j str) -> Result<Self::Value, E> {
        Ok(CelMapKey::from(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(CelMapKey::from(name.to_owned()))
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
