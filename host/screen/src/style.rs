//! Colours. Without them, what is chosen is reversed, and states are words anyway.

use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colours(pub(crate) bool);

impl Colours {
    fn fg(self, colour: Color) -> Style {
        match self.0 {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    /// Of the state of a consumer, a connection or a delivery.
    pub(crate) fn state(self, state: &str) -> Style {
        match state {
            "consuming" | "open" | "acked" => self.fg(Color::Green),
            "waiting" | "closed" | "dead_lettered" | "stopped" => self.fg(Color::Red),
            "paused" | "blocked" | "connecting" | "retried" => self.fg(Color::Yellow),
            "standby" => self.fg(Color::Cyan),
            _ => Style::new(),
        }
    }

    /// Of what is less than the rest.
    pub(crate) fn quiet(self) -> Style {
        self.fg(Color::DarkGray)
    }

    /// Of what is wrong.
    pub(crate) fn bad(self) -> Style {
        self.fg(Color::Red)
    }

    /// Of heads.
    pub(crate) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of the row that is chosen.
    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
