//! What a component prints in one call, for those who watch the delivery.

use std::sync::{Mutex, PoisonError};

/// Lines that are kept of one call.
const LINES: usize = 20;

/// The longest line that is kept, in bytes.
const LONGEST: usize = 400;

/// Where a component has printed a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// On its standard output.
    Stdout,
    /// On its standard error.
    Stderr,
}

impl Printed {
    /// The word for it, as log lines have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The lines of one call, from its beginning on.
#[derive(Debug, Default)]
pub struct Heard(Mutex<HeardLines>);

/// The lines that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeardLines {
    /// The first ones, each cut if it is long.
    pub lines: Vec<(Printed, String)>,
    /// This many came after them.
    pub left_out: u64,
}

impl Heard {
    /// Keeps a line, or counts it. The call itself is all that writes here, so it waits for nobody.
    pub fn note(&self, on: Printed, line: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.lines.len() == LINES {
            heard.left_out += 1;
            return;
        }
        let cut = &line[..line.floor_char_boundary(LONGEST)];
        let line = match cut.len() == line.len() {
            true => line.to_owned(),
            false => format!("{cut}…"),
        };
        heard.lines.push((on, line));
    }

    /// Whether one of the lines has this text in it.
    pub fn has(&self, holds: impl Fn(&str) -> bool) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.lines.iter().any(|(_, line)| holds(line))
    }

    /// The lines so far.
    pub fn lines(&self) -> HeardLines {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_kept_and_the_others_counted() {
        let heard = Heard::default();
        for number in 0..LINES + 5 {
            heard.note(Printed::Stdout, &format!("line {number}"));
        }
        let HeardLines { lines, left_out } = heard.lines();
        assert_eq!((lines.len(), left_out), (LINES, 5));
        assert_eq!(lines[0], (Printed::Stdout, "line 0".to_owned()));
        assert!(heard.has(|line| line == "line 19") && !heard.has(|line| line == "line 20"));
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        let heard = Heard::default();
        heard.note(Printed::Stderr, &format!("x{}", "ü".repeat(LONGEST)));
        let (_, line) = &heard.lines().lines[0];
        assert_eq!(line.len(), LONGEST - 1 + "…".len());
        assert!(line.ends_with("ü…"));
    }
}
