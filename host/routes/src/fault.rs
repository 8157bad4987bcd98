//! What is wrong with an expression, and what goes wrong with one.

/// Why an expression or a text of hive.toml cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", at(*.column))]
pub struct Fault {
    /// What is wrong, and what to write.
    pub message: String,
    /// Where in the text, in characters from 1, if that is known.
    pub column: Option<usize>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, column: Option<usize>) -> Self {
        let message = message.into();
        Self { message, column }
    }

    /// The same fault in a text in which the expression begins `characters` later.
    pub(crate) fn moved(self, characters: usize) -> Self {
        Self {
            column: self.column.map(|column| column + characters),
            ..self
        }
    }
}

fn at(column: Option<usize>) -> String {
    column.map_or_else(String::new, |column| format!(" (at character {column})"))
}

/// Why an expression has no value for a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression:?}: {why}")]
pub struct Failure {
    /// The expression.
    pub expression: String,
    /// The reason.
    pub why: Why,
}

/// The reason of a [`Failure`]. Nothing of the message is in it but names: it ends up in logs and headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The delivery does not have what the expression asks for.
    #[error("the message has no {0}")]
    Missing(String),
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    Body(String),
    /// It would take too long, or too much memory.
    #[error(
        "too much work for this message: an evaluation may take {} units",
        crate::budget::MOST
    )]
    TooMuch,
    /// Anything else, such as a comparison of a number with a text.
    #[error("{0}")]
    Other(String),
}
