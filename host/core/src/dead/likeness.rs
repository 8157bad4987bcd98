//! When two errors are the same one: their texts without what differs from message to message.
//!
//! 1. The first line that is not empty; where it ends in a colon, as that of a Rust panic does, the next one with it.
//! 2. UUIDs become `#`.
//! 3. Numbers become `#`, with their points and commas: `17`, `2.50`, `10.0.0.1`.
//! 4. Of a word of letters and digits, `#` stands for the whole if it is hexadecimal of at least 8 letters and digits,
//!    or any of at least 16; otherwise for each number in it: `o-17` is `o-#`.
//! 5. White space becomes one space, and 200 characters are kept.
//!
//! A word without a digit always stays: `teapot` and `kettle` are two errors. The rule is written down for users in
//! docs/retry-and-dead-letters.md.

/// What stands for a number or an id.
const NUMBER: char = '#';

/// The most characters that are kept.
const LONGEST: usize = 200;

/// More than this of a line is not looked at.
const LOOKED_AT: usize = 2_000;

/// Hexadecimal words from this length on are ids.
const HEXADECIMAL: usize = 8;

/// Any word with a digit from this length on is an id.
const RANDOM: usize = 16;

/// The text that an error shares with those that are the same but for numbers and ids.
pub fn alike(error: &str) -> String {
    let line = first_line(error);
    let mut text = String::new();
    let mut rest = line.as_str();
    while let Some(next) = rest.chars().next() {
        let (length, put) = match () {
            () if next.is_whitespace() => (next.len_utf8(), Put::Space),
            () if next.is_alphanumeric() => word(rest),
            () => (next.len_utf8(), Put::AsItIs),
        };
        let (taken, behind) = rest.split_at(length);
        rest = behind;
        match put {
            Put::Space if text.is_empty() || text.ends_with(' ') => {}
            Put::Space => text.push(' '),
            Put::Number => text.push(NUMBER),
            Put::Numbers => numbers(taken, &mut text),
            Put::AsItIs => text.push_str(taken),
        }
    }
    let text = text.trim_end();
    text.chars().take(LONGEST).collect()
}

/// What is put in the place of a part of the text.
enum Put {
    Space,
    /// A number, or an id.
    Number,
    /// The same with each number in it replaced.
    Numbers,
    AsItIs,
}

fn first_line(error: &str) -> String {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut first = lines.next().unwrap_or_default().to_owned();
    if first.ends_with(':')
        && let Some(second) = lines.next()
    {
        first = format!("{first} {second}");
    }
    first.truncate(first.floor_char_boundary(LOOKED_AT));
    first
}

/// The length of the word that begins here, and what is put in its place.
fn word(rest: &str) -> (usize, Put) {
    if let Some(length) = uuid(rest) {
        return (length, Put::Number);
    }
    let length = rest.find(|c: char| !c.is_alphanumeric());
    let word = &rest[..length.unwrap_or(rest.len())];
    let is_digit = |c: char| c.is_ascii_digit();
    if word.chars().all(is_digit) {
        return (number(rest), Put::Number);
    }
    let is_hexadecimal =
        || word.len() >= HEXADECIMAL && word.chars().all(|c| c.is_ascii_hexdigit());
    let put = match word.contains(is_digit) {
        false => Put::AsItIs,
        true if word.len() >= RANDOM || is_hexadecimal() => Put::Number,
        true => Put::Numbers,
    };
    (word.len(), put)
}

/// The length of a number with its points and commas.
fn number(rest: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(rest);
    while let Some(b'.' | b',') = rest.as_bytes().get(length) {
        match digits(&rest[length + 1..]) {
            0 => break,
            more => length += 1 + more,
        }
    }
    length
}

/// The length of a UUID, if one begins here and ends with its word.
fn uuid(rest: &str) -> Option<usize> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut at = 0;
    for (index, length) in GROUPS.into_iter().enumerate() {
        if index > 0 {
            (rest.as_bytes().get(at) == Some(&b'-')).then_some(())?;
            at += 1;
        }
        let group = rest.get(at..at + length)?;
        group.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
        at += length;
    }
    let behind = rest[at..].chars().next();
    (!behind.is_some_and(char::is_alphanumeric)).then_some(at)
}

/// A word with `#` for each number in it.
fn numbers(word: &str, text: &mut String) {
    let mut in_number = false;
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if in_number => {}
            true => text.push(NUMBER),
            false => text.push(c),
        }
        in_number = c.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_do_not_matter() {
        let cases = [
            ("order 17 has no price", "order # has no price"),
            ("order o-17: 2.50 is not 1,000.00", "order o-#: # is not #"),
            ("cannot reach 10.0.0.1:5432", "cannot reach #:#"),
            (
                "no user 550e8400-e29b-41d4-a716-446655440000 here",
                "no user # here",
            ),
            ("no blob deadbee5f00dcafe", "no blob #"),
            ("no user usr_01HZX3KQ4V9S2M7T8B6N", "no user usr_#"),
            ("no user u17x4", "no user u#x#"),
            ("at 12:30:01 it was late", "at #:#:# it was late"),
        ];
        for (error, expected) in cases {
            assert_eq!(alike(error), expected);
        }
    }

    #[test]
    fn words_stay_as_they_are() {
        for error in [
            "there is no price of \"teapot\" yet",
            "deadbeef is a word of letters",
            "größer als nötig",
            "",
        ] {
            assert_eq!(alike(error), error);
        }
    }

    #[test]
    fn the_first_line_counts_and_the_next_where_it_ends_in_a_colon() {
        assert_eq!(alike("\n  first \t 1  \nsecond"), "first #");
        let panic = "thread '<unnamed>' panicked at src/lib.rs:12:5:\nno price\nnote: run with";
        assert_eq!(
            alike(panic),
            "thread '<unnamed>' panicked at src/lib.rs:#:#: no price"
        );
        assert_eq!(alike("alone:"), "alone:");
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        let line = alike(&"ä ".repeat(100_000));
        assert_eq!(line.chars().count(), LONGEST);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_and_once_is_enough(error in ".*") {
            let once = alike(&error);
            proptest::prop_assert_eq!(alike(&once), once.trim_end().to_owned());
        }
    }
}
