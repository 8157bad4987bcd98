//! A text with expressions in double braces, such as `orders.{{ headers.country }}`.

use crate::expression::Expression;
use crate::fault::{Failure, Fault, Why};
use crate::json;
use crate::scope::{Scope, Sight};

const OPENS: &str = "{{";
const CLOSES: &str = "}}";

/// A text that may depend on the delivery.
#[derive(Debug, PartialEq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Value(Expression),
}

impl Template {
    /// Compiles a text for deliveries. One without double braces stands for itself.
    pub fn compile(source: &str) -> Result<Self, Fault> {
        Self::compile_in(source, Scope::Delivery)
    }

    /// Compiles a text for deliveries, or for requests.
    pub fn compile_in(source: &str, scope: Scope<'_>) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(opens) = rest.find(OPENS) {
            if opens > 0 {
                parts.push(Part::Text(rest[..opens].to_owned()));
            }
            let within = &rest[opens + OPENS.len()..];
            let begins = source[..source.len() - within.len()].chars().count();
            let Some(length) = end_of_expression(within) else {
                let message = "has a `{{` without its `}}`";
                return Err(Fault::new(message, Some(begins - 1)));
            };
            let written = &within[..length];
            let expression = Expression::compile(written.trim(), scope);
            let spaces = written.chars().take_while(|one| one.is_whitespace());
            let before = begins + spaces.count();
            parts.push(Part::Value(
                expression.map_err(|fault| fault.moved(before))?,
            ));
            rest = &within[length + CLOSES.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// A text that is the same for each delivery, whatever is in it.
    pub fn fixed_text(text: &str) -> Self {
        Self {
            source: text.to_owned(),
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text, if it is the same for each delivery.
    pub fn fixed(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for a delivery or a request.
    pub fn text(&self, view: &dyn Sight) -> Result<String, Failure> {
        let mut written = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => written.push_str(text),
                Part::Value(expression) => {
                    let value = expression.evaluate(view)?;
                    let text = json::text(&value).ok_or_else(|| {
                        expression.failure(Why::Other("has no form as a text".to_owned()))
                    })?;
                    written.push_str(&text);
                }
            }
        }
        Ok(written)
    }
}

/// Where the expression at the beginning of a text ends: at the first `}}` that is not within quotes, and that closes no
/// map.
fn end_of_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0_u32;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at += 1;
                while *bytes.get(at)? != byte {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' => open += 1,
            b'}' if open > 0 => open -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}
