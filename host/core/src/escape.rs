//! Text from outside, as people may read it: in one line, with nothing in it that ends a line, moves a
//! terminal's cursor or changes the order of letters. Pure.
//!
//! Message-ids, names, error texts of components and of the broker, and what components print are written
//! by others. Everything that shows such a text shows it through here. Each such character comes out as
//! Rust writes it: `\n`, `\u{1b}`. A backslash stays as it is, so that paths stay readable: the answer
//! is for reading, and two texts may share it.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Ends a line for some readers, though not a control character.
const SEPARATORS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Whether a character does something other than be read. The format characters are those of the Unicode
/// Bidirectional Algorithm (UAX #9, section 2).
fn acts(c: char) -> bool {
    let changes_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || SEPARATORS.contains(&c) || changes_direction
}

/// A text in one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// A text of several lines, as several lines: line ends and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// A text whose lines after the first are indented, so that none of them can be taken for a line of the
/// program's own.
pub fn paragraph(text: &str) -> String {
    let text = text.trim_end().replace("\r\n", "\n");
    lines(&text).replace('\n', "\n  ")
}

/// JSON text that is still the same JSON: such characters occur only within strings.
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) && !c.is_ascii_whitespace() {
            // All of them are of the basic plane.
            true => write!(escaped, "\\u{:04x}", u32::from(c)).expect("a String takes everything"),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| acts(c) && !stays(c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// A value whose text is shown as by [`line()`], without a copy of it.
pub struct Shown<T>(pub T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Line(f), "{}", self.0)
    }
}

/// Escapes what is written to it as [`line()`] does.
pub struct Line<W>(pub W);

impl<W: Write> Write for Line<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&line(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any text at all, with many of the characters that it is about.
    fn text() -> impl Strategy<Value = String> {
        let acting = prop::sample::select(vec![
            '\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{61c}', '\u{200e}',
            '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}',
        ]);
        let c = prop_oneof![any::<char>(), acting, prop::char::range(' ', '~')];
        prop::collection::vec(c, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_acts_in_a_line(text in text()) {
            let shown = line(&text);
            prop_assert!(!shown.contains(acts), "{:?}", shown);
            prop_assert_eq!(line(&shown), &*shown, "what is shown once stays so");
            prop_assert_eq!(Shown(&text).to_string(), &*shown);
            let harmless: String = text.chars().filter(|c| !acts(*c)).collect();
            if harmless == text {
                prop_assert_eq!(&*shown, &text);
            }
        }

        #[test]
        fn several_lines_have_their_ends_and_their_tabs(text in text()) {
            let shown = lines(&text);
            prop_assert!(!shown.contains(|c| acts(c) && !matches!(c, '\n' | '\t')), "{:?}", shown);
            let count = |text: &str| text.matches('\n').count();
            prop_assert_eq!(count(&shown), count(&text));
        }

        #[test]
        fn a_line_behind_the_first_cannot_pose_as_a_first(text in text()) {
            let mut behind = paragraph(&text);
            behind.insert(0, '*');
            let mut behind = behind.lines().skip(1).map(str::to_owned);
            prop_assert!(behind.all(|line| line.starts_with("  ")));
        }

        #[test]
        fn json_stays_the_same_json_in_one_line(text in text()) {
            let value = serde_json::json!({ "text": text });
            let shown = json(&value.to_string()).into_owned();
            prop_assert!(!shown.contains(acts), "{:?}", shown);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }

    #[test]
    fn characters_come_out_as_rust_writes_them() {
        let text =
            "größe\t☕\n2026 ERROR forged\r\0\u{1b}[2J\u{9b}1m\u{7f}\u{202e}txt\u{2028}C:\\n";
        let expected = concat!(
            r"größe\t☕\n2026 ERROR forged\r\u{0}\u{1b}[2J\u{9b}1m\u{7f}\u{202e}txt\u{2028}",
            r"C:\n"
        );
        assert_eq!(line(text), expected);
        assert_eq!(paragraph("a\tb\r\nc\u{1b}\n"), "a\tb\n  c\\u{1b}");
    }
}
