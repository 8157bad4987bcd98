//! A text of several deliveries, such as a file with one a line, and the place of whatever is wrong in it.

use serde_json::Value;

use super::fields::Malformed;
use super::message::read_delivery;
use crate::message::Envelope;

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// The line, from 1.
    pub line: usize,
    /// The byte of that line, from 1.
    pub column: usize,
    /// The fault there.
    pub fault: Malformed,
}

/// Every delivery of a text: one a line, or one over several lines, with nothing between them but space.
///
/// # Errors
///
/// Every fault, in the order of the text. Behind broken JSON it is read on where a line begins an object.
pub fn read_deliveries(text: &[u8]) -> Result<Vec<Envelope>, Vec<Misplaced>> {
    // Some editors put it in front of a file.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut deliveries = Vec::new();
    let mut faults = Vec::new();
    let mut rest = 0;
    while let Some(begin) = first_of_a_value(text, rest) {
        let mut values = serde_json::Deserializer::from_slice(&text[begin..]).into_iter::<Value>();
        match values.next() {
            None => break,
            Some(Ok(value)) => {
                rest = begin + values.byte_offset();
                match read_delivery(&value) {
                    Ok(delivery) => deliveries.push(delivery),
                    Err(fault) => {
                        let key = fault
                            .of_key()
                            .and_then(|(key, _)| key_in(&text[begin..rest], key));
                        faults.push(misplaced(text, begin + key.unwrap_or(0), fault));
                    }
                }
            }
            Some(Err(error)) => {
                let place = begin + offset(&text[begin..], error.line(), error.column());
                let words = error.to_string();
                // The place in the message is relative to this part of the text.
                let words = words
                    .rsplit_once(" at line ")
                    .map_or(&*words, |(words, _)| words);
                let fault = Malformed(format!("is not JSON: {words}"));
                faults.push(misplaced(text, place, fault));
                let next = text[place..].windows(2).position(|pair| pair == b"\n{");
                rest = next.map_or(text.len(), |next| place + next + 1);
            }
        }
    }
    match faults.is_empty() {
        true => Ok(deliveries),
        false => Err(faults),
    }
}

fn first_of_a_value(text: &[u8], from: usize) -> Option<usize> {
    let is_value = |byte: &u8| !byte.is_ascii_whitespace();
    text[from..]
        .iter()
        .position(is_value)
        .map(|skipped| from + skipped)
}

/// The byte that a line and a column mean, both from 1; the end of the text where they lie beyond it.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

fn misplaced(text: &[u8], place: usize, fault: Malformed) -> Misplaced {
    let before = &text[..place];
    let line_breaks = before.iter().filter(|byte| **byte == b'\n').count();
    let begin_of_line = before.iter().rposition(|byte| *byte == b'\n');
    Misplaced {
        line: line_breaks + 1,
        column: place - begin_of_line.map_or(0, |last| last + 1) + 1,
        fault,
    }
}

/// The position of `key` in the text of an object, which is JSON: not within a nested value.
fn key_in(object: &[u8], key: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = object.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = end_of_string(object, at);
                let is_it = object.get(at + 1..end) == Some(key.as_bytes());
                let after = object.get(end + 1..).unwrap_or_default().trim_ascii_start();
                if depth == 1 && is_it && after.starts_with(b":") {
                    return Some(at);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The quotation mark that ends the string which begins at `begin`.
fn end_of_string(text: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(usize, usize, String)> {
        let faults = read_deliveries(text.as_bytes()).unwrap_err();
        let told = faults.into_iter();
        told.map(|one| (one.line, one.column, one.fault.to_string()))
            .collect()
    }

    #[test]
    fn one_a_line_and_one_over_many_lines_are_read() {
        let text = "{\"body\": \"a\"}\n\n{\"body\": \"b\"}\n{\n  \"body\":\n \"c\"\n}";
        let read = read_deliveries(text.as_bytes()).unwrap();
        let bodies: Vec<&[u8]> = read.iter().map(|one| &*one.message.body).collect();
        assert_eq!(bodies, [b"a", b"b", b"c"]);
        assert_eq!(read_deliveries(b" \n"), Ok(Vec::new()));
        let marked = format!("\u{feff}{text}");
        assert_eq!(read_deliveries(marked.as_bytes()).unwrap(), read);
    }

    #[test]
    fn a_fault_is_told_where_its_key_stands() {
        let text = "{\n  \"headers\": {\"bdy\": \"\\\"bdy\\\": 1\"},\n  \"bdy\": \"x\"\n}\n{\"attempt\": 0}";
        let told = faults(text);
        assert_eq!((told[0].0, told[0].1), (3, 3), "{told:?}");
        assert!(told[0].2.contains("did you mean `body`"), "{told:?}");
        assert_eq!((told[1].0, told[1].1), (5, 2), "{told:?}");
        assert_eq!(faults("\n  [1]")[0].0, 2);
        let told = faults("\u{feff}{\"bdy\": 1}");
        assert_eq!(
            (told[0].0, told[0].1),
            (1, 2),
            "a byte order mark is seen by nobody"
        );
    }

    #[test]
    fn broken_json_hides_no_fault_of_another_line() {
        let told = faults("{\"body\": \"x\"}\nbad\n{\"bdy\": 1}\n{\"body\": }\n");
        let lines: Vec<usize> = told.iter().map(|one| one.0).collect();
        assert_eq!(lines, [2, 3, 4], "{told:?}");
        assert!(told[0].2.starts_with("is not JSON: "), "{told:?}");
        let told = faults("{\n  \"body\": \"x\",\n}\n");
        assert_eq!((told.len(), told[0].0), (1, 3), "{told:?}");
        assert_eq!(faults("{\"body\": \"x\"").len(), 1);
    }
}
