//! Walks a field table without building it: to find an entry, to replace it, and to refuse a table that
//! is nested so deep that reading it would need more stack than there is.

/// No client nests deeper; each level costs a reader stack.
const DEEPEST: usize = 64;

/// An entry of a table: where its name and the whole of it are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    /// The type's letter and the value.
    pub(super) value: &'a [u8],
    /// Name, type and value.
    pub(super) whole: &'a [u8],
}

/// The entries of a table (without its length), or `None` where it is malformed or too deep.
pub(super) fn entries(table: &[u8]) -> Option<Vec<Entry<'_>>> {
    entries_at(table, DEEPEST)
}

fn entries_at(mut rest: &[u8], depth: usize) -> Option<Vec<Entry<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let name_length = usize::from(rest[0]);
        let name = rest.get(1..=name_length)?;
        let value_start = 1 + name_length;
        let value_length = value_length(rest.get(value_start..)?, depth)?;
        let end = value_start + value_length;
        found.push(Entry {
            name,
            value: &rest[value_start..end],
            whole: &rest[..end],
        });
        rest = &rest[end..];
    }
    Some(found)
}

/// The length of a type's letter and the value behind it.
fn value_length(value: &[u8], depth: usize) -> Option<usize> {
    let (kind, rest) = value.split_first()?;
    let length = match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' | b'U' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => 4 + prefixed(rest)?.len(),
        b'F' => {
            let inner = prefixed(rest)?;
            entries_at(inner, depth.checked_sub(1)?)?;
            4 + inner.len()
        }
        b'A' => {
            let inner = prefixed(rest)?;
            check_array(inner, depth.checked_sub(1)?)?;
            4 + inner.len()
        }
        _ => return None,
    };
    rest.get(..length)?;
    Some(1 + length)
}

fn check_array(mut rest: &[u8], depth: usize) -> Option<()> {
    while !rest.is_empty() {
        let length = value_length(rest, depth)?;
        rest = &rest[length..];
    }
    Some(())
}

/// The bytes after a length of four octets.
pub(super) fn prefixed(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    bytes.get(4..)?.get(..usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut table = Vec::new();
        for _ in 0..levels {
            let mut outer = vec![1, b'n', b'F'];
            outer.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
            outer.extend(&table);
            table = outer;
        }
        table
    }

    #[test]
    fn entries_are_found_whatever_their_type() {
        let table = b"\x01aI\0\0\0\x07\x02bbS\0\0\0\x02hi\x01cV\x01dt\x01";
        let entries = entries(table).unwrap();
        let names: Vec<&[u8]> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names, [&b"a"[..], b"bb", b"c", b"d"]);
        assert_eq!(entries[1].value, b"S\0\0\0\x02hi");
        assert_eq!(entries[2].whole, b"\x01cV");
    }

    #[test]
    fn a_table_that_ends_early_or_has_an_unknown_type_is_refused() {
        for table in [
            &b"\x05ab"[..],
            b"\x01aI\0\0",
            b"\x01aq",
            b"\x01aS\0\0\0\x09x",
            b"\x01a",
        ] {
            assert_eq!(entries(table), None, "{table:?}");
        }
    }

    #[test]
    fn a_table_is_refused_before_its_depth_costs_stack() {
        assert!(entries(&nested(DEEPEST)).is_some());
        assert!(entries(&nested(DEEPEST + 2)).is_none());
        assert!(entries(&nested(20_000)).is_none());
    }
}
