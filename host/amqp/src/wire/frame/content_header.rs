//! The headers in a content header, and those that are added to hold texts which are replaced by their hash.

use std::collections::BTreeMap;
use std::ops::Range;

use super::change::{Change, written_short};
use super::cursor::Cursor;
use crate::message::octet_text::{holder_of, standing_for};

/// The position of the headers in a content header.
pub(super) struct Headers {
    /// All of the table with its length; where it would stand if there is none.
    pub(super) table: Range<usize>,
    pub(super) is_there: bool,
}

/// Where the flags stand that say which properties there are.
pub(super) const FLAGS: usize = 12;

/// The flag that says that there are headers, in the first octet of the flags.
pub(super) const HAS_HEADERS: u8 = 1 << 5;

pub(super) fn content_header(cursor: &mut Cursor<'_>) -> Option<Headers> {
    // Class, weight, size of the body.
    cursor.skip(FLAGS)?;
    let flags = cursor.u16()?;
    let mut headers = Headers {
        table: cursor.at..cursor.at,
        is_there: false,
    };
    // Properties are in the order of their flags, from the highest bit down.
    for bit in (2..16).rev() {
        let is_there = flags & (1 << bit) != 0;
        if bit == 13 {
            let from = cursor.at;
            if is_there {
                cursor.table(0)?;
            }
            headers.table = from..cursor.at;
            headers.is_there = is_there;
            continue;
        }
        if !is_there {
            continue;
        }
        match bit {
            // delivery-mode, priority
            12 | 11 => cursor.skip(1)?,
            // timestamp
            6 => cursor.skip(8)?,
            _ => cursor.short_string()?,
        }
    }
    Some(headers)
}

impl Cursor<'_> {
    /// Adds headers with the bytes of the texts that are replaced by their hash.
    pub(super) fn hold(&mut self, headers: Headers) -> Option<()> {
        if self.to_hold.is_empty() {
            return Some(());
        }
        let mut entries = BTreeMap::new();
        for octets in &self.to_hold {
            let holder = holder_of(&standing_for(octets)?.text)?;
            let length = u32::try_from(octets.len()).ok()?.to_be_bytes();
            let value = [b"x".as_slice(), &length, octets].concat();
            entries.insert(written_short(holder.as_bytes())?, value);
        }
        let mut with: Vec<u8> = Vec::new();
        for (name, value) in entries {
            with.extend(name);
            with.extend(value);
        }
        let Headers { table, is_there } = headers;
        let mut within = Vec::new();
        if is_there {
            within.push(table.start);
        } else {
            let length = u32::try_from(with.len()).ok()?.to_be_bytes();
            with.splice(..0, length);
            self.bytes[FLAGS] |= HAS_HEADERS;
        }
        self.changes.push(Change {
            octets: table.end..table.end,
            with,
            within,
        });
        Some(())
    }
}
