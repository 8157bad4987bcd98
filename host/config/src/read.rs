//! Reads parsed TOML into the tree of typed values, along the table of known keys.
//!
//! Everything that the table can decide is decided here, and nothing stops at the first fault:
//! unknown and missing keys, wrong types, units, ranges and variables.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use hive_core::codes::Code;
use hive_core::nearest;

use super::environment::Environment;
use super::faults::Faults;
use super::interpolate::interpolate;
use super::keys::{Key, Shape};
use super::redact;
use super::sources::Source;
use super::written::{Node, Value};

mod arguments;
mod json;
mod misplaced;
mod scalars;

/// The longest name that AMQP can carry: a short string.
pub(crate) const LONGEST_NAME: usize = 255;

/// The longest name of a queue whose messages are retried: the queue in which one waits is named by it, by the
/// delay and by the day, as in `orders.retry.23h59m59s999ms.2026-11-28`.
pub const LONGEST_RETRIED: usize = 223;

/// Whether the broker could not take a name as it is: it takes line ends out of some, and then does not find
/// what it has declared.
fn has_control(name: &str) -> bool {
    name.chars().any(char::is_control)
}

const CONTROL_REMEDY: &str = "remove them: line ends, tabs and the like have no place in a name";

/// Walks one file.
pub(crate) struct Reader<'a> {
    environment: &'a Environment,
    source: &'a Source,
    faults: &'a mut Faults,
}

/// Where the walk is.
#[derive(Clone)]
struct Place {
    /// The full dotted key.
    key: String,
    span: Range<usize>,
}

impl Place {
    /// The place of `name` in the table at this one.
    fn key(&self, name: &str, span: Range<usize>) -> Self {
        let key = match self.key.as_str() {
            "" => quoted(name),
            path => format!("{path}.{}", quoted(name)),
        };
        Self { key, span }
    }

    fn element(&self, index: usize, span: Range<usize>) -> Self {
        Self {
            key: format!("{}[{index}]", self.key),
            span,
        }
    }

    fn holding(self, value: Value) -> Node {
        Node {
            key: self.key,
            span: self.span,
            value,
        }
    }
}

/// The key that was meant, or those that the table may have.
fn advice(name: &str, keys: &'static [Key]) -> String {
    let has_a_place = |key: &&Key| !matches!(key.shape, Shape::MainFile);
    let known = keys.iter().filter(has_a_place).map(|key| key.name);
    nearest::advice(name, known, "the keys here are")
}

/// A name as a part of a dotted key.
fn quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        source: &'a Source,
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            environment,
            source,
            faults,
        }
    }

    /// Reads the file as a whole; `keys` are those that it may have.
    pub(crate) fn read(mut self, document: &DeTable<'_>, keys: &'static [Key]) -> Node {
        let root = Place {
            key: String::new(),
            span: self.source.placed(0..0),
        };
        self.table(document, keys, root)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, shape: &Shape, place: Place) -> Node {
        match (shape, value.get_ref()) {
            (Shape::Table(keys), DeValue::Table(table)) => self.table(table, keys, place),
            (Shape::Short(_, keys), DeValue::Table(table)) => self.table(table, keys, place),
            (Shape::Short(key, keys), DeValue::String(_)) => self.short(value, key, keys, place),
            (Shape::Named(keys), DeValue::Table(table)) => self.named(table, keys, place),
            (Shape::Arguments, DeValue::Table(table)) => self.arguments(table, place),
            (Shape::Texts, DeValue::Table(table)) => self.texts(table, place),
            (Shape::Each(shape), DeValue::Table(table)) => self.each(table, shape, place),
            (Shape::Json, value @ DeValue::Table(_)) => self.json(value, place),
            (_, written) => {
                let place = Place {
                    span: self.source.placed(value.span()),
                    ..place
                };
                match (shape, written) {
                    (Shape::List(element), DeValue::Array(values)) => {
                        self.list(values, element, place)
                    }
                    (Shape::Json, value) => self.json(value, place),
                    (Shape::TextOrTexts, DeValue::Array(values)) => {
                        self.list(values, &Shape::Text, place)
                    }
                    _ => self.scalar(written, shape, place),
                }
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, keys: &'static [Key], place: Place) -> Node {
        let mut entries = Vec::new();
        for (name, value) in in_file_order(table) {
            let at = place.key(name.get_ref(), self.source.placed(name.span()));
            match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                None => {
                    let misplaced = misplaced::remedy(&place.key, name.get_ref(), value.get_ref());
                    let (code, remedy) = match misplaced {
                        Some(remedy) => (Code::MisplacedKey, remedy),
                        None => (Code::UnknownKey, advice(name.get_ref(), keys)),
                    };
                    self.faults
                        .unknown(code, &at.holding(Value::Faulty), remedy);
                }
                Some(key) => {
                    let node = self.known(value, key, at);
                    entries.push((key.name.to_owned(), node));
                }
            }
        }
        let node = place.holding(Value::Table(keys, entries));
        for key in keys.iter().filter(|key| key.required) {
            if node.entry(key.name).is_none() {
                let example = match key.shape {
                    Shape::Integer(..) => "…",
                    Shape::Ratio => "0.5",
                    _ => "\"…\"",
                };
                let remedy = format!("add `{} = {example}` to `{}`", key.name, node.key);
                self.faults.missing(&node, key.name, remedy);
            }
        }
        node
    }

    /// A string in the place of a table: the value of `name` among its `keys`.
    fn short(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        name: &str,
        keys: &'static [Key],
        place: Place,
    ) -> Node {
        let mut entries = Vec::new();
        if let Some(key) = keys.iter().find(|key| key.name == name) {
            let node = self.value(value, &key.shape, place.clone());
            entries.push((name.to_owned(), node));
        }
        place.holding(Value::Table(keys, entries))
    }

    /// A key of the table, which may not belong into this file.
    fn known(&mut self, value: &Spanned<DeValue<'_>>, key: &Key, at: Place) -> Node {
        if matches!(key.shape, Shape::MainFile) {
            let message = "has no place in an included file";
            let remedy = "move it to the file that includes this one";
            return self.refuse(Code::MainFileOnly, message, remedy, at);
        }
        self.value(value, &key.shape, at)
    }

    fn named(&mut self, table: &DeTable<'_>, keys: &'static [Key], place: Place) -> Node {
        let mut entries = Vec::new();
        for (name, value) in in_file_order(table) {
            let at = place.key(name.get_ref(), self.source.placed(name.span()));
            let node = match value.get_ref() {
                DeValue::Table(table) => self.table(table, keys, at),
                other => self.wrong_type(other, "a table", at),
            };
            self.check_name(&node, name.get_ref());
            entries.push((name.get_ref().to_string(), node));
        }
        place.holding(Value::Named(entries))
    }

    /// Values of one shape under any names.
    fn each(&mut self, table: &DeTable<'_>, shape: &'static Shape, place: Place) -> Node {
        let mut entries = Vec::new();
        for (name, value) in in_file_order(table) {
            let at = place.key(name.get_ref(), self.source.placed(name.span()));
            let node = self.value(value, shape, at);
            entries.push((name.get_ref().to_string(), node));
        }
        place.holding(Value::Named(entries))
    }

    /// Every name ends up at the broker, as a short string.
    fn check_name(&mut self, node: &Node, name: &str) {
        if name.is_empty() {
            self.faults.error(
                Code::BadName,
                node,
                "has an empty name",
                "give it a name of 1 to 255 bytes",
            );
        } else if name.len() > LONGEST_NAME {
            let message = format!("has a name of {} bytes", name.len());
            self.faults.error(
                Code::BadName,
                node,
                message,
                "shorten it to at most 255 bytes",
            );
        } else if has_control(name) {
            let message = format!("has control characters in its name: {name:?}");
            self.faults
                .error(Code::BadName, node, message, CONTROL_REMEDY);
        }
    }

    fn list(
        &mut self,
        values: &[Spanned<DeValue<'_>>],
        element: &'static Shape,
        place: Place,
    ) -> Node {
        let nodes = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let span = self.source.placed(value.span());
                self.value(value, element, place.element(index, span))
            })
            .collect();
        place.holding(Value::List(nodes))
    }

    fn wrong_type(&mut self, value: &DeValue<'_>, wanted: &str, place: Place) -> Node {
        let message = format!("must be {wanted}, not {}", kind(value));
        self.refuse(
            Code::WrongType,
            message,
            format!("write {wanted} here"),
            place,
        )
    }

    /// Reports a fault, and returns a faulty value.
    fn refuse(
        &mut self,
        code: Code,
        message: impl Into<String>,
        remedy: impl Into<String>,
        place: Place,
    ) -> Node {
        let node = place.holding(Value::Faulty);
        self.faults.error(code, &node, message, remedy);
        node
    }
}

/// The entries of a table by their place in the file; the parser keeps them by name.
fn in_file_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(
    &'t Spanned<std::borrow::Cow<'i, str>>,
    &'t Spanned<DeValue<'i>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// The type of a value and, if it is short, the value.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {}", redact::quote(text)),
        DeValue::Integer(value) => format!("the integer {}", redact::short(&value.to_string())),
        DeValue::Float(value) => format!("the number {}", redact::short(value.as_str())),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The value of an integer literal, unless it takes more than 64 bits.
fn integer(literal: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(literal.as_str(), literal.radix()).ok()
}
