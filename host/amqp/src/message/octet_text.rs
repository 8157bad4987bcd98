//! Short strings that are not UTF-8, as text that stands for them, and back.
//!
//! AMQP's short strings (ids, names of headers, routing keys) may hold any bytes, while lapin and the
//! contract with components have text. So `ff 00` comes in as the text `hive-bytes:ff00` and goes out as the
//! two bytes again: every string has a text of its own, and a component that hands the text back publishes
//! the bytes. A string that happens to be such a text itself is written in the same way, so that no two
//! strings share one.
//!
//! A string whose text would pass AMQP's 255 bytes is named by its hash, and a header of the message holds
//! the bytes for as long as it is in the host.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Stands before the bytes in hexadecimal.
const IN_HEX: &str = "hive-bytes:";

/// Stands before the SHA-256 of the bytes in hexadecimal.
const BY_HASH: &str = "hive-bytes-sha256:";

/// Stands before the same hash in the name of the header that holds the bytes.
const HOLDER: &str = "hive-bytes-held:";

/// The prefix of all of them.
pub const BEGINNING: &[u8] = b"hive-bytes";

/// The longest short string.
const LONGEST_SHORT: usize = 255;

/// The longest string that has room in hexadecimal.
const LONGEST_IN_HEX: usize = (LONGEST_SHORT - IN_HEX.len()) / 2;

/// A text that stands for other bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) text: String,
    /// Whether the text names the bytes by their hash, so that they have to come along in a header.
    pub(crate) is_by_hash: bool,
}

/// The text that stands for `octets`; `None` if they are a text that stands for itself.
pub(crate) fn standing_for(octets: &[u8]) -> Option<Standing> {
    if std::str::from_utf8(octets).is_ok_and(|text| !stands_for_others(text)) {
        return None;
    }
    let is_by_hash = octets.len() > LONGEST_IN_HEX;
    let text = match is_by_hash {
        false => hex(IN_HEX, octets),
        true => hex(BY_HASH, &Sha256::digest(octets)),
    };
    Some(Standing { text, is_by_hash })
}

/// The bytes that a text stands for, as far as they follow from it: mostly its own.
pub(crate) fn octets(text: &str) -> Cow<'_, [u8]> {
    match in_hex(text) {
        Some(octets) => octets.into(),
        None => text.as_bytes().into(),
    }
}

/// The name of the header that holds the bytes for the hash in `text`; `None` if there is none.
pub(crate) fn holder_of(text: &str) -> Option<String> {
    let digits = text.strip_prefix(BY_HASH).filter(|it| is_hash(it))?;
    Some(format!("{HOLDER}{digits}"))
}

/// Whether a header of this name holds bytes that are named by their hash.
pub fn is_holder(name: &str) -> bool {
    name.strip_prefix(HOLDER).is_some_and(is_hash)
}

/// The text that a component means where it writes this one: it may write bytes, and names none by a hash.
pub(crate) fn meant(text: &str) -> Cow<'_, str> {
    match standing_for(text.as_bytes()) {
        Some(standing) if in_hex(text).is_none() => standing.text.into(),
        _ => text.into(),
    }
}

/// The text that stands for this one, letter by letter.
pub(crate) fn literal(text: &str) -> Cow<'_, str> {
    match standing_for(text.as_bytes()) {
        Some(standing) => standing.text.into(),
        None => text.into(),
    }
}

/// Whether a text is written as one that stands for other bytes.
fn stands_for_others(text: &str) -> bool {
    in_hex(text).is_some() || holder_of(text).is_some() || is_holder(text)
}

fn is_hash(digits: &str) -> bool {
    digits.len() == 64 && unhex(digits).is_some()
}

/// The bytes of a text in hexadecimal. Each string has exactly one such text; a string that needs none has
/// none.
fn in_hex(text: &str) -> Option<Vec<u8>> {
    let octets = unhex(text.strip_prefix(IN_HEX)?)?;
    match std::str::from_utf8(&octets) {
        Ok(text) if !stands_for_others(text) => None,
        _ => Some(octets),
    }
}

fn hex(before: &str, octets: &[u8]) -> String {
    let mut text = before.to_owned();
    for octet in octets {
        write!(text, "{octet:02x}").expect("a string takes every text");
    }
    text
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(value(high)? << 4 | value(low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(octets: &[u8]) -> String {
        match standing_for(octets) {
            Some(standing) => standing.text,
            None => String::from_utf8(octets.to_vec()).expect("it stands for itself"),
        }
    }

    #[test]
    fn bytes_are_written_in_hexadecimal_and_text_is_left_alone() {
        assert_eq!(text(&[0xff, 0]), "hive-bytes:ff00");
        assert_eq!(text("ä 7".as_bytes()), "ä 7");
        assert_eq!(text(b""), "");
        // This looks like one and is not, since the letter would be written as itself.
        assert_eq!(text(b"hive-bytes:41"), "hive-bytes:41");
        assert_eq!(text(b"hive-bytes:FF"), "hive-bytes:FF");
        assert_eq!(octets("hive-bytes:41").as_ref(), b"hive-bytes:41");
    }

    #[test]
    fn a_text_that_looks_like_bytes_stays_what_it_was() {
        let tricky = "hive-bytes:ff00";
        assert_ne!(text(tricky.as_bytes()), tricky);
        assert_eq!(octets(&text(tricky.as_bytes())).as_ref(), tricky.as_bytes());
        let digest = format!("{BY_HASH}{}", "0".repeat(64));
        assert_eq!(octets(&text(digest.as_bytes())).as_ref(), digest.as_bytes());
    }

    #[test]
    fn a_component_may_write_bytes_and_everything_else_is_meant_letter_by_letter() {
        assert_eq!(meant("hive-bytes:ff"), "hive-bytes:ff");
        assert_eq!(octets(&literal("hive-bytes:ff")).as_ref(), b"hive-bytes:ff");
        let digest = format!("{BY_HASH}{}", "0".repeat(64));
        assert_eq!(octets(&meant(&digest)).as_ref(), digest.as_bytes());
        assert_eq!(meant("order"), "order");
    }

    #[test]
    fn what_has_no_room_is_named_by_its_hash() {
        let long = [0xff; 255];
        let standing = standing_for(&long).expect("it is no text");
        assert!(standing.is_by_hash, "{standing:?}");
        let holder = holder_of(&standing.text).expect("a header holds it");
        assert!(is_holder(&holder), "{holder}");
        assert!(
            !standing_for(&long[..LONGEST_IN_HEX])
                .expect("it is no text")
                .is_by_hash
        );
        assert_ne!(Some(standing), standing_for(&long[1..]));
    }

    proptest! {
        #[test]
        fn every_string_has_a_text_of_its_own(
            one in proptest::collection::vec(any::<u8>(), 0..50),
            other in "(hive-bytes:){0,2}[0-9a-f]{0,8}",
        ) {
            prop_assert!(text(&one).len() <= LONGEST_SHORT);
            let back = octets(&text(&one)).into_owned();
            prop_assert_eq!(back, one.clone());
            let twice = text(text(&one).as_bytes());
            let once_back = octets(&twice).into_owned();
            prop_assert_eq!(once_back, text(&one).into_bytes());
            let back = octets(&text(other.as_bytes())).into_owned();
            prop_assert_eq!(back, other.into_bytes());
        }

        #[test]
        fn every_text_says_what_it_stands_for(any in "(hive-bytes:)?[0-9a-f]{0,60}") {
            // Text that stands for other bytes is written as those bytes.
            let bytes = octets(&any).into_owned();
            if bytes != any.as_bytes() {
                prop_assert_eq!(text(&bytes), any);
            }
        }
    }
}
