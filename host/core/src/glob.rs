//! Patterns of exchanges and routing keys.

use std::fmt;

/// A pattern that a text matches as a whole: `*` is any run of characters, dots included and none
/// too, `?` is any one character, and `\` takes the character behind it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    This(char),
}

impl Glob {
    /// The pattern in `text`; `None` if it ends in a `\` that escapes nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::This(characters.next()?),
                other => Piece::This(other),
            });
        }
        Some(Self(pieces))
    }

    /// The text, if the pattern is matched by one text alone.
    pub fn fixed(&self) -> Option<String> {
        let characters = self.0.iter().map(|piece| match piece {
            Piece::This(character) => Some(*character),
            Piece::Any | Piece::One => None,
        });
        characters.collect()
    }

    /// Whether the whole of `text` is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        let pieces = &self.0;
        let mut at = 0;
        let mut rest = text.chars();
        // Only the last `*` is ever widened: what stood before it has matched, and a wider one
        // before could not reach further than this one can. So no text takes exponential time.
        let mut last_any = None;
        loop {
            let mut next = rest.clone();
            let character = next.next();
            match (pieces.get(at), character) {
                (None, None) => return true,
                (Some(Piece::Any), _) => {
                    at += 1;
                    last_any = Some((at, rest.clone()));
                    continue;
                }
                (Some(Piece::One), Some(_)) => {}
                (Some(Piece::This(wanted)), Some(character)) if *wanted == character => {}
                _ => {
                    let Some((behind, widened)) = &mut last_any else {
                        return false;
                    };
                    if widened.next().is_none() {
                        return false;
                    }
                    (at, rest) = (*behind, widened.clone());
                    continue;
                }
            }
            at += 1;
            rest = next;
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Any => f.write_str("*")?,
                Piece::One => f.write_str("?")?,
                Piece::This(character @ ('*' | '?' | '\\' | ':')) => write!(f, "\\{character}")?,
                Piece::This(character) => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_whole_texts() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a.b.c", true),
            ("orders.*", "orders.created.eu", true),
            ("orders.*", "orders", false),
            ("orders.*", "my.orders.created", false),
            ("*.created", "orders.created", true),
            ("*.created", "orders.created.eu", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("?", "é", true),
            ("?", "", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\:b", "a:b", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(glob(pattern).matches(text), expected, "{pattern} on {text}");
        }
        assert_eq!(Glob::parse(r"a\"), None);
    }

    #[test]
    fn a_pattern_of_one_text_is_that_text() {
        assert_eq!(glob("").fixed().as_deref(), Some(""));
        assert_eq!(glob(r"a\*b").fixed().as_deref(), Some("a*b"));
        assert_eq!(glob("a*").fixed(), None);
        assert_eq!(glob("a?").fixed(), None);
    }

    #[test]
    fn a_pattern_made_to_take_long_does_not() {
        let pattern = glob(&"a*".repeat(100));
        let text = format!("{}b", "a".repeat(50));
        assert!(!pattern.matches(&text));
        assert!(!glob(&format!("{}c", "*a".repeat(60))).matches(&"a".repeat(10_000)));
    }

    /// The meaning, written down with no thought of speed.
    fn plainly(pieces: &[Piece], text: &[char]) -> bool {
        match (pieces, text) {
            ([], []) => true,
            ([Piece::Any, others @ ..], _) => {
                plainly(others, text) || (!text.is_empty() && plainly(pieces, &text[1..]))
            }
            ([Piece::One, others @ ..], [_, rest @ ..]) => plainly(others, rest),
            ([Piece::This(wanted), others @ ..], [character, rest @ ..]) => {
                wanted == character && plainly(others, rest)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_answers_as_the_plain_meaning_does(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let glob = glob(&pattern);
            let characters: Vec<char> = text.chars().collect();
            prop_assert_eq!(glob.matches(&text), plainly(&glob.0, &characters));
        }

        #[test]
        fn it_is_shown_as_it_can_be_written(pattern in r"[a:*?.]{0,8}") {
            let read = glob(&pattern);
            prop_assert_eq!(glob(&read.to_string()), read);
        }
    }
}
