//! Values of any shape, as JSON: the bodies and headers of a test file.

use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use super::{Place, Reader, in_file_order, integer};
use crate::written::{Node, Value};
use hive_core::codes::Code;

impl Reader<'_> {
    pub(super) fn json(&mut self, value: &DeValue<'_>, place: Place) -> Node {
        match self.json_value(value, &place) {
            Some(json) => place.holding(Value::Json(json)),
            None => place.holding(Value::Faulty),
        }
    }

    /// None where something in it is no JSON, which has been reported then.
    fn json_value(&mut self, value: &DeValue<'_>, place: &Place) -> Option<Json> {
        Some(match value {
            DeValue::Boolean(value) => Json::from(*value),
            DeValue::String(text) => Json::from(text.as_ref()),
            DeValue::Integer(literal) => match integer(literal) {
                Some(value) => Json::from(value),
                None => {
                    self.refuse(
                        Code::OutOfRange,
                        "does not fit into 64 bits",
                        "write a smaller integer, or a string",
                        place.clone(),
                    );
                    return None;
                }
            },
            DeValue::Float(literal) => {
                let number = literal.as_str().replace('_', "").parse::<f64>();
                match number.ok().and_then(Number::from_f64) {
                    Some(number) => Json::Number(number),
                    None => {
                        let message = format!("is no number in JSON: {}", literal.as_str());
                        self.refuse(
                            Code::WrongType,
                            message,
                            "write a number with digits",
                            place.clone(),
                        );
                        return None;
                    }
                }
            }
            DeValue::Array(values) => {
                let values = values.iter().enumerate().map(|(index, value)| {
                    let span = self.source.placed(value.span());
                    self.json_value(value.get_ref(), &place.element(index, span))
                });
                Json::Array(values.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let mut object = Map::new();
                for (name, value) in in_file_order(table) {
                    let at = place.key(name.get_ref(), self.source.placed(name.span()));
                    let value = self.json_value(value.get_ref(), &at)?;
                    object.insert(name.get_ref().to_string(), value);
                }
                Json::Object(object)
            }
            DeValue::Datetime(_) => {
                self.refuse(
                    Code::WrongType,
                    "is a date, which JSON does not have",
                    "write it as a string, in quotes",
                    place.clone(),
                );
                return None;
            }
        })
    }
}
