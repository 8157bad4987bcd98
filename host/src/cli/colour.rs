//! Colours of lines at a terminal.

use std::io::IsTerminal;

/// The colour of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Good,
    Later,
    Bad,
    Aside,
}

impl Colour {
    /// The parameter of SGR (ECMA-48, 8.3.117).
    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Later => 33,
            Self::Bad => 31,
            Self::Aside => 2,
        }
    }

    /// A text in this colour.
    pub(super) fn of(self, text: &str) -> String {
        format!("\u{1b}[{}m{text}\u{1b}[0m", self.code())
    }
}

/// Whether standard output takes colours: it is a terminal, and NO_COLOR (no-color.org) is not set.
pub(super) fn is_wanted() -> bool {
    std::io::stdout().is_terminal() && !is_refused()
}

/// Whether NO_COLOR is set.
pub(super) fn is_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
