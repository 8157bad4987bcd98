//! The broker's answer to a method that it refuses, with RabbitMQ's code and text.

use std::fmt;

/// A method that the broker refuses. A soft code closes the channel, a hard one the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    /// Without the code's name, which [`Refusal::text`] puts in front.
    pub(crate) explanation: String,
}

/// The reply text is a short string (AMQP 0-9-1, section 4.2.5.3).
const LONGEST_TEXT: usize = 255;

/// The end of a text that RabbitMQ has shortened.
const CUT: &str = "...";

impl Refusal {
    pub(crate) fn new(code: u16, explanation: impl Into<String>) -> Self {
        Self {
            code,
            explanation: explanation.into(),
        }
    }

    pub(crate) fn access_refused(explanation: impl Into<String>) -> Self {
        Self::new(403, explanation)
    }

    pub(crate) fn not_found(explanation: impl Into<String>) -> Self {
        Self::new(404, explanation)
    }

    pub(crate) fn resource_locked(explanation: impl Into<String>) -> Self {
        Self::new(405, explanation)
    }

    pub(crate) fn precondition_failed(explanation: impl Into<String>) -> Self {
        Self::new(406, explanation)
    }

    pub(crate) fn frame_error(explanation: impl Into<String>) -> Self {
        Self::new(501, explanation)
    }

    pub(crate) fn syntax_error(explanation: impl Into<String>) -> Self {
        Self::new(502, explanation)
    }

    pub(crate) fn command_invalid(explanation: impl Into<String>) -> Self {
        Self::new(503, explanation)
    }

    pub(crate) fn channel_error(explanation: impl Into<String>) -> Self {
        Self::new(504, explanation)
    }

    pub(crate) fn unexpected_frame(explanation: impl Into<String>) -> Self {
        Self::new(505, explanation)
    }

    pub(crate) fn not_allowed(explanation: impl Into<String>) -> Self {
        Self::new(530, explanation)
    }

    pub(crate) fn not_implemented(explanation: impl Into<String>) -> Self {
        Self::new(540, explanation)
    }

    /// Whether the connection ends, and not only the channel.
    pub(crate) fn is_hard(&self) -> bool {
        !matches!(self.code, 311 | 312 | 313 | 403..=406)
    }

    /// The text for the client: the code's name and the explanation.
    pub(crate) fn text(&self) -> String {
        let name = name_of(self.code);
        let mut text = format!("{name} - {}", self.explanation);
        if text.len() > LONGEST_TEXT {
            let mut end = LONGEST_TEXT - CUT.len();
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str(CUT);
        }
        text
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

/// The names of AMQP 0-9-1, section 1.2, as RabbitMQ writes them.
fn name_of(code: u16) -> &'static str {
    match code {
        311 => "CONTENT_TOO_LARGE",
        312 => "NO_ROUTE",
        313 => "NO_CONSUMERS",
        320 => "CONNECTION_FORCED",
        402 => "INVALID_PATH",
        403 => "ACCESS_REFUSED",
        404 => "NOT_FOUND",
        405 => "RESOURCE_LOCKED",
        406 => "PRECONDITION_FAILED",
        501 => "FRAME_ERROR",
        502 => "SYNTAX_ERROR",
        503 => "COMMAND_INVALID",
        504 => "CHANNEL_ERROR",
        505 => "UNEXPECTED_FRAME",
        506 => "RESOURCE_ERROR",
        530 => "NOT_ALLOWED",
        540 => "NOT_IMPLEMENTED",
        _ => "INTERNAL_ERROR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_a_short_string_and_ends_between_characters() {
        let long = Refusal::not_found("ü".repeat(300));
        let text = long.text();
        assert!(text.len() <= LONGEST_TEXT && text.starts_with("NOT_FOUND - ü"));
        assert!(text.ends_with("ü..."));
    }

    #[test]
    fn only_the_soft_codes_leave_the_connection_open() {
        let soft: Vec<u16> = (300..600)
            .filter(|code| !Refusal::new(*code, "").is_hard())
            .collect();
        assert_eq!(soft, [311, 312, 313, 403, 404, 405, 406]);
    }
}
