//! A walk over the payload of a frame that notes what is to be changed.

use std::collections::BTreeMap;

use super::Mended;
use super::change::{Change, written_short};
use crate::message::octet_text::{holder_of, is_holder, octets as octets_of, standing_for};

/// Tables and arrays nested deeper are handed on as byte arrays. No sane header goes this deep.
const DEEPEST: usize = 64;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the broker to lapin.
    In,
    /// From lapin to the broker.
    Out,
}

/// Walks over a payload. `None` means that it ends too early, or holds an unknown type.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) at: usize,
    pub(super) way: Way,
    pub(super) mended: Mended,
    pub(super) changes: Vec<Change>,
    /// Where the lengths stand of what it is within.
    pub(super) within: Vec<usize>,
    /// Strings on their way in that are named by their hash.
    pub(super) to_hold: Vec<Vec<u8>>,
    /// Strings on their way out, by the names of the headers that hold them.
    pub(super) held: BTreeMap<String, Vec<u8>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a mut [u8], way: Way) -> Self {
        Self {
            bytes,
            at: 0,
            way,
            mended: Mended::Nothing,
            changes: Vec::new(),
            within: Vec::new(),
            to_hold: Vec::new(),
            held: BTreeMap::new(),
        }
    }
}

impl Cursor<'_> {
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let to = self.at.checked_add(count)?;
        (to <= self.bytes.len()).then(|| self.at = to)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let value = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(value)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let octets = self.bytes.get(self.at..)?.first_chunk()?;
        let value = u16::from_be_bytes(*octets);
        self.at += 2;
        Some(value)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let octets = self.bytes.get(self.at..)?.first_chunk()?;
        let value = u32::from_be_bytes(*octets);
        self.at += 4;
        Some(value)
    }

    pub(super) fn octets_of_short_string(&mut self) -> Option<std::ops::Range<usize>> {
        let length = usize::from(self.u8()?);
        let from = self.at;
        self.skip(length)?;
        Some(from..self.at)
    }

    /// A sentence for people, in which a byte that is not UTF-8 may be any other.
    pub(super) fn words(&mut self) -> Option<()> {
        let octets = self.octets_of_short_string()?;
        let text = &mut self.bytes[octets];
        while let Err(error) = std::str::from_utf8(text) {
            text[error.valid_up_to()] = b'?';
            self.mended = Mended::Something;
        }
        Some(())
    }

    /// A string that programs read: lapin has it as text, the broker as bytes.
    pub(super) fn short_string(&mut self) -> Option<()> {
        let from = self.at;
        let octets = self.octets_of_short_string()?;
        let octets = &self.bytes[octets];
        let with = match self.way {
            Way::In => match standing_for(octets) {
                None => return Some(()),
                Some(standing) => {
                    if standing.is_by_hash {
                        self.to_hold.push(octets.to_vec());
                    }
                    standing.text.into_bytes()
                }
            },
            Way::Out => {
                let text = std::str::from_utf8(octets).ok()?;
                let held = holder_of(text).and_then(|holder| self.held.get(&holder));
                match held {
                    Some(held) => held.clone(),
                    None => octets_of(text).into_owned(),
                }
            }
        };
        if with != octets {
            self.changes.push(Change {
                octets: from..self.at,
                with: written_short(&with)?,
                within: self.within.clone(),
            });
        }
        Some(())
    }

    pub(super) fn table(&mut self, depth: usize) -> Option<()> {
        let length_at = self.at;
        let end = self.end_of_long()?;
        self.within.push(length_at);
        while self.at < end {
            let from = self.at;
            let before = self.changes.len();
            self.short_string()?;
            let name = from + 1..self.at;
            let is_holder =
                self.way == Way::Out && std::str::from_utf8(&self.bytes[name]).is_ok_and(is_holder);
            self.value(depth)?;
            if is_holder {
                // The broker never sees it.
                self.changes.truncate(before);
                self.changes.push(Change {
                    octets: from..self.at,
                    with: Vec::new(),
                    within: self.within.clone(),
                });
            }
        }
        self.within.pop();
        (self.at == end).then_some(())
    }

    pub(super) fn array(&mut self, depth: usize) -> Option<()> {
        let length_at = self.at;
        let end = self.end_of_long()?;
        self.within.push(length_at);
        while self.at < end {
            self.value(depth)?;
        }
        self.within.pop();
        (self.at == end).then_some(())
    }

    /// Reads the length that a table, an array or a long string begins with.
    pub(super) fn end_of_long(&mut self) -> Option<usize> {
        let length = self.u32()? as usize;
        let end = self.at.checked_add(length)?;
        (end <= self.bytes.len()).then_some(end)
    }

    pub(super) fn value(&mut self, depth: usize) -> Option<()> {
        let kind_at = self.at;
        match self.u8()? {
            b'V' => Some(()),
            b't' | b'b' | b'B' => self.skip(1),
            b's' | b'u' | b'U' => self.skip(2),
            b'I' | b'i' | b'f' => self.skip(4),
            b'D' => self.skip(5),
            b'l' | b'L' | b'd' | b'T' => self.skip(8),
            b'S' | b'x' => {
                self.at = self.end_of_long()?;
                Some(())
            }
            kind @ (b'F' | b'A') => {
                let from = self.at;
                let end = self.end_of_long()?;
                self.at = from;
                let before = (self.changes.len(), self.to_hold.len(), self.within.len());
                let read = match kind {
                    _ if depth >= DEEPEST => None,
                    b'F' => self.table(depth + 1),
                    _ => self.array(depth + 1),
                };
                if read.is_none() {
                    // It is kept as the bytes that came, so nothing in it is changed.
                    self.changes.truncate(before.0);
                    self.to_hold.truncate(before.1);
                    self.within.truncate(before.2);
                    if self.way == Way::In {
                        self.bytes[kind_at] = b'x';
                        self.mended = Mended::Something;
                    }
                }
                self.at = end;
                Some(())
            }
            _ => None,
        }
    }
}
