//! Conditions of `--where`, such as `error~refused`: how one is written, and how it compares. What its fields are of, such
//! as a dead letter or a delivery, is decided where it is asked.

use std::borrow::Cow;

use hive_core::message::{FieldValue, Message};
use hive_core::nearest;

/// The name of a field, and what it means. The name `header:NAME` stands for every header.
pub(crate) type Field = (&'static str, &'static str);

/// The entry of the headers in a table of fields.
const HEADERS: &str = "header:NAME";

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Contains,
}

/// A field, compared with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    field: String,
    operator: Operator,
    value: String,
}

impl Comparison {
    /// Parses a condition such as `reason=error`, `class!=timeout` or `error~refused` on one of these fields.
    ///
    /// # Errors
    ///
    /// In words: no operator, or an unknown field.
    pub(crate) fn parse(text: &str, fields: &[Field]) -> Result<Self, String> {
        let (field, operator, value) = split(text).ok_or_else(|| {
            format!(
                "write FIELD=VALUE, FIELD!=VALUE or FIELD~VALUE (contains), as in {}=error",
                fields.first().map_or("class", |(name, _)| name)
            )
        })?;
        let has = |wanted: &str| fields.iter().any(|(name, _)| *name == wanted);
        let is_header = field
            .strip_prefix("header:")
            .is_some_and(|name| !name.is_empty() && has(HEADERS));
        if !is_header && (!has(field) || field == HEADERS) {
            let names = fields.iter().map(|(name, _)| *name);
            let advice = nearest::advice(field, names, "the fields are");
            return Err(format!("there is no field `{field}`; {advice}"));
        }
        Ok(Self {
            field: field.to_owned(),
            operator,
            value: value.to_owned(),
        })
    }

    /// The name of the field.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The value, of a field that is a bound and not a text.
    ///
    /// # Errors
    ///
    /// In words: the operator is not `=`.
    pub(crate) fn bound(&self) -> Result<&str, String> {
        match self.operator {
            Operator::Is => Ok(&self.value),
            Operator::IsNot | Operator::Contains => Err(format!("`{}` takes = alone", self.field)),
        }
    }

    /// Whether it asks what is in a message: its body or a header.
    pub(crate) fn asks_content(&self) -> bool {
        self.field == "body" || self.field.starts_with("header:")
    }

    /// Whether it holds for what the field has; `None` for a field that there is not.
    pub(crate) fn holds(&self, found: Option<&str>) -> bool {
        match self.operator {
            Operator::Is => found.is_some_and(|found| self.is(found)),
            Operator::IsNot => !found.is_some_and(|found| self.is(found)),
            Operator::Contains => found.is_some_and(|found| found.contains(&self.value)),
        }
    }

    /// Long texts are never known as a whole, so a part of them does.
    fn is(&self, found: &str) -> bool {
        match self.field.as_str() {
            "error" | "body" | "log" => found.contains(&self.value),
            _ => found == self.value,
        }
    }
}

/// At the first operator, which no field has in its name.
fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find(['=', '~', '!'])?;
    let (field, rest) = text.split_at(at);
    let operators = [
        ("!=", Operator::IsNot),
        ("=", Operator::Is),
        ("~", Operator::Contains),
    ];
    operators
        .into_iter()
        .find_map(|(sign, operator)| Some((field, operator, rest.strip_prefix(sign)?)))
}

/// A property, a header or the body of a message.
pub(crate) fn of_message<'a>(field: &str, message: &'a Message) -> Option<Cow<'a, str>> {
    let properties = &message.properties;
    let property = match field {
        "message-id" => &properties.message_id,
        "correlation-id" => &properties.correlation_id,
        "type" => &properties.kind,
        "app-id" => &properties.app_id,
        "content-type" => &properties.content_type,
        "body" => return std::str::from_utf8(&message.body).ok().map(Cow::Borrowed),
        _ => {
            let name = field.strip_prefix("header:")?;
            let mut headers = properties.headers.iter();
            let (_, value) = headers.find(|(other, _)| other == name)?;
            return Some(as_text(value));
        }
    };
    property.as_deref().map(Cow::Borrowed)
}

/// A header's value as one would write it in a condition.
fn as_text(value: &FieldValue) -> Cow<'_, str> {
    match value {
        FieldValue::Void => Cow::Borrowed(""),
        FieldValue::Boolean(value) => value.to_string().into(),
        FieldValue::Integer(value) => value.to_string().into(),
        FieldValue::Double(value) => value.to_string().into(),
        FieldValue::Text(text) | FieldValue::Nested(text) => Cow::Borrowed(text),
        FieldValue::Bytes(bytes) => hive_core::json::base64(bytes).into(),
        FieldValue::Timestamp(seconds) => seconds.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        ("reason", ""),
        ("class", ""),
        ("error", ""),
        (HEADERS, ""),
        ("body", ""),
    ];

    fn fault(text: &str) -> String {
        Comparison::parse(text, FIELDS).expect_err("it means nothing")
    }

    fn holds(text: &str, found: Option<&str>) -> bool {
        let comparison = Comparison::parse(text, FIELDS).expect("it means something");
        comparison.holds(found)
    }

    #[test]
    fn a_condition_is_split_at_its_first_operator() {
        assert_eq!(split("reason=a=b"), Some(("reason", Operator::Is, "a=b")));
        assert_eq!(
            split("error~a!=b"),
            Some(("error", Operator::Contains, "a!=b"))
        );
        assert_eq!(
            split("class!=trap"),
            Some(("class", Operator::IsNot, "trap"))
        );
        assert_eq!(split("header:x="), Some(("header:x", Operator::Is, "")));
        assert_eq!(split("reason"), None);
        assert_eq!(split("reason!a"), None);
    }

    #[test]
    fn what_means_nothing_is_answered() {
        assert!(fault("reasn=error").contains("did you mean `reason`"));
        assert!(fault("reason").contains("write FIELD=VALUE"));
        assert!(fault("reason").ends_with("as in reason=error"));
        assert!(fault("header:=x").contains("no field"));
        assert!(fault("header:NAME").contains("write FIELD=VALUE"));
        let without_headers = Comparison::parse("header:x=1", &FIELDS[..2]);
        assert!(without_headers.is_err_and(|fault| fault.contains("no field `header:x`")));
    }

    #[test]
    fn a_field_that_is_not_there_is_no_value() {
        assert!(!holds("class=", None));
        assert!(!holds("class~", None));
        assert!(holds("class!=trap", None));
        assert!(holds("class!=trap", Some("error")));
        assert!(!holds("class!=trap", Some("trap")));
    }

    #[test]
    fn a_part_of_a_long_text_is_enough() {
        assert!(holds("error=refused", Some("it was refused by them")));
        assert!(!holds("class=err", Some("error")));
        assert!(holds("class~err", Some("error")));
    }

    #[test]
    fn a_message_is_asked_for_its_properties_and_headers() {
        let mut message = Message {
            body: b"tea".as_slice().into(),
            ..Message::default()
        };
        message.properties.kind = Some("order".to_owned());
        let headers = &mut message.properties.headers;
        headers.push(("tenant".to_owned(), FieldValue::Integer(7)));
        let asked = ["type", "header:tenant", "body", "app-id", "header:x"];
        let found = asked.map(|field| of_message(field, &message));
        let found = found.each_ref().map(Option::as_deref);
        assert_eq!(
            found,
            [Some("order"), Some("7"), Some("tea"), None, None],
            "{asked:?}"
        );
    }
}
