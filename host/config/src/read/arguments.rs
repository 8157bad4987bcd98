//! Tables under names of the user's choice: AMQP arguments, and a component's configuration.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Place, Reader, in_file_order, integer};
use crate::plan::{Argument, Arguments};
use crate::written::{Node, Value};
use hive_core::codes::Code;

impl Reader<'_> {
    /// A table of arguments, in the order of the file.
    pub(super) fn arguments(&mut self, table: &DeTable<'_>, place: Place) -> Node {
        let arguments = self.fields(table, &place);
        place.holding(Value::Arguments(arguments))
    }

    fn fields(&mut self, table: &DeTable<'_>, place: &Place) -> Arguments {
        let mut arguments = Arguments::new();
        for (name, value) in in_file_order(table) {
            let at = place.key(name.get_ref(), self.source.placed(name.span()));
            if name.get_ref().is_empty() || name.get_ref().len() > super::LONGEST_NAME {
                let node = at.clone().holding(Value::Faulty);
                self.check_name(&node, name.get_ref());
            }
            if let Some(argument) = self.argument(value, at) {
                arguments.push((name.get_ref().to_string(), argument));
            }
        }
        arguments
    }

    fn argument(&mut self, value: &Spanned<DeValue<'_>>, place: Place) -> Option<Argument> {
        let place = Place {
            span: self.source.placed(value.span()),
            ..place
        };
        let argument = match value.get_ref() {
            DeValue::Boolean(value) => Argument::Boolean(*value),
            DeValue::Integer(literal) => match integer(literal) {
                Some(value) => Argument::Integer(value),
                None => {
                    self.refuse(
                        Code::OutOfRange,
                        "does not fit into 64 bits",
                        "write a smaller integer",
                        place,
                    );
                    return None;
                }
            },
            DeValue::Float(literal) => match literal.as_str().parse::<f64>() {
                Ok(value) => Argument::Double(value),
                Err(_) => {
                    self.refuse(
                        Code::WrongType,
                        "is not a number",
                        "write a decimal number",
                        place,
                    );
                    return None;
                }
            },
            DeValue::String(text) => Argument::Text(self.fill(text, &place)?),
            DeValue::Array(values) => Argument::Array(
                values
                    .iter()
                    .enumerate()
                    .filter_map(|(i, value)| {
                        let span = self.source.placed(value.span());
                        self.argument(value, place.element(i, span))
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Argument::Table(self.fields(table, &place)),
            DeValue::Datetime(_) => {
                let remedy = "write it as a string, or as seconds since 1970";
                self.refuse(Code::WrongType, "must not be a date", remedy, place);
                return None;
            }
        };
        Some(argument)
    }

    /// A table of strings.
    pub(super) fn texts(&mut self, table: &DeTable<'_>, place: Place) -> Node {
        let mut texts = Vec::new();
        for (name, value) in in_file_order(table) {
            let at = place.key(name.get_ref(), self.source.placed(value.span()));
            match value.get_ref() {
                DeValue::String(text) => {
                    if let Some(text) = self.fill(text, &at) {
                        texts.push((name.get_ref().to_string(), text));
                    }
                }
                other => {
                    self.wrong_type(other, "a string", at);
                }
            }
        }
        place.holding(Value::Texts(texts))
    }
}
