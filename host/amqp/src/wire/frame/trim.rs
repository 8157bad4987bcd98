//! Makes a content header fit in a frame again, by leaving headers out.
//!
//! A broker limits publishers to the frame size that was agreed on, and then adds headers of its own to
//! messages that it dead-letters or redelivers. It sends the larger frame as it is, lapin gives up the whole
//! connection over it, and the message is redelivered at every reconnection, for ever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::{Cursor, Way};
use crate::message::broker_headers;
use crate::message::octet_text::is_holder;

/// The octets of a table's length.
const LENGTH: usize = 4;

/// One header: its name, its type and its value.
struct Entry {
    octets: Range<usize>,
    name: Range<usize>,
}

/// Removes headers from the payload of a header frame until it is shorter by `excess`: the broker's own first,
/// then the largest. Returns the new length; a malformed payload keeps its length.
pub(crate) fn trim(payload: &mut [u8], excess: usize) -> usize {
    let mut cursor = Cursor::new(payload, Way::In);
    let Some((table, entries)) = headers(&mut cursor) else {
        return payload.len();
    };
    let mut order: Vec<&Entry> = entries.iter().collect();
    // The publisher does not miss the broker's own headers.
    let is_brokers_own = |entry: &Entry| {
        let name = std::str::from_utf8(&payload[entry.name.clone()]);
        name.is_ok_and(broker_headers::is_brokers_own)
    };
    order.sort_by_key(|entry| (!is_brokers_own(entry), Reverse(entry.octets.len())));
    let mut gone = 0;
    let mut left_out = HashSet::new();
    for entry in order {
        if gone >= excess {
            break;
        }
        gone += entry.octets.len();
        left_out.insert(entry.octets.start);
    }
    let Ok(length) = u32::try_from(table.len() - gone) else {
        return payload.len();
    };
    let mut shorter = length.to_be_bytes().to_vec();
    for entry in &entries {
        if !left_out.contains(&entry.octets.start) {
            shorter.extend_from_slice(&payload[entry.octets.clone()]);
        }
    }
    shorter.extend_from_slice(&payload[table.end..]);
    let from = table.start - LENGTH;
    let to = from + shorter.len();
    payload[from..to].copy_from_slice(&shorter);
    to
}

/// The bytes that the headers of a payload hold for strings that are replaced by their hash, by the headers'
/// names; `None` if the payload is malformed.
pub(super) fn held(payload: &mut [u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let mut held = BTreeMap::new();
    let mut cursor = Cursor::new(payload, Way::Out);
    let Some((_, entries)) = headers(&mut cursor) else {
        return Some(held);
    };
    for Entry { octets, name } in entries {
        let value = &payload[name.end..octets.end];
        let name = std::str::from_utf8(&payload[name]).ok()?;
        // Its type, four octets of length, the bytes.
        if is_holder(name)
            && let [b'x', _, _, _, _, bytes @ ..] = value
        {
            held.insert(name.to_owned(), bytes.to_vec());
        }
    }
    Some(held)
}

/// Where the entries of the header table stand, all of them and each.
fn headers(cursor: &mut Cursor<'_>) -> Option<(Range<usize>, Vec<Entry>)> {
    // Class, weight, size of the body.
    cursor.skip(12)?;
    let flags = cursor.u16()?;
    // content-type and content-encoding stand before the headers.
    for bit in [15, 14] {
        if flags & (1 << bit) != 0 {
            cursor.short_string()?;
        }
    }
    if flags & (1 << 13) == 0 {
        return None;
    }
    let end = cursor.end_of_long()?;
    let table = cursor.at..end;
    let mut entries = Vec::new();
    while cursor.at < end {
        let start = cursor.at;
        let name = cursor.octets_of_short_string()?;
        cursor.value(0)?;
        entries.push(Entry {
            octets: start..cursor.at,
            name,
        });
    }
    (cursor.at == end).then_some((table, entries))
}

#[cfg(test)]
mod tests {
    use lapin::types::parsing::parse_field_table;
    use proptest::prelude::*;

    use super::*;

    /// A header frame's payload with a content-type, these text headers, and a priority behind them.
    fn payload(headers: &[(&str, usize)]) -> Vec<u8> {
        let mut table = Vec::new();
        for (name, length) in headers {
            table.push(name.len() as u8);
            table.extend_from_slice(name.as_bytes());
            table.push(b'S');
            table.extend_from_slice(&(*length as u32).to_be_bytes());
            table.extend(std::iter::repeat_n(b'x', *length));
        }
        let mut payload = vec![0; 12];
        let flags: u16 = (1 << 15) | (1 << 13) | (1 << 11);
        payload.extend_from_slice(&flags.to_be_bytes());
        payload.extend_from_slice(b"\x04text");
        payload.extend_from_slice(&(table.len() as u32).to_be_bytes());
        payload.extend_from_slice(&table);
        payload.push(7);
        payload
    }

    /// The names of the headers that are left, once the rest was seen to be as it was.
    fn left(mut payload: Vec<u8>, excess: usize) -> Vec<String> {
        let before = payload.len();
        let after = trim(&mut payload, excess);
        assert!(after + excess <= before, "{after} of {before} bytes");
        payload.truncate(after);
        assert_eq!(&payload[14..19], b"\x04text");
        let (rest, table) = parse_field_table(&payload[19..]).expect("it is a table");
        assert_eq!(rest, [7]);
        let names = table.inner().keys();
        names.map(|name| name.to_string()).collect()
    }

    #[test]
    fn the_brokers_own_go_first() {
        let headers = [
            ("a", 1000),
            ("x-death", 200),
            ("x-delivery-count", 8),
            ("b", 9),
        ];
        assert_eq!(left(payload(&headers), 1), ["a", "b", "x-delivery-count"]);
        assert_eq!(left(payload(&headers), 220), ["a", "b"]);
    }

    #[test]
    fn then_the_largest() {
        let headers = [("a", 10), ("large", 1000), ("b", 20)];
        assert_eq!(left(payload(&headers), 100), ["a", "b"]);
    }

    #[test]
    fn what_makes_no_sense_is_left_as_it_is() {
        let mut sound = payload(&[("a", 10)]);
        let broken = &mut sound[..25];
        let before = broken.to_vec();
        assert_eq!(trim(broken, 5), before.len());
        assert_eq!(broken, before);
    }

    proptest! {
        #[test]
        fn never_panics_and_never_grows(
            mut payload in proptest::collection::vec(any::<u8>(), 0..400),
            excess in 0usize..500,
        ) {
            let length = payload.len();
            prop_assert!(trim(&mut payload, excess) <= length);
        }
    }
}
