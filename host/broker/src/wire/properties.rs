//! The properties of a message, as the publisher wrote them, with the few changes that a broker makes.

use std::borrow::Cow;

use amq_protocol::frame::WriteContext;
use amq_protocol::types::generation::gen_value;
use amq_protocol::types::parsing::parse_value;
use amq_protocol::types::{AMQPValue, FieldTable};
use bytes::Bytes;

use super::table;

/// The properties that mean something to a broker, by their places in AMQP 0-9-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Headers = 2,
    Priority = 4,
    ReplyTo = 6,
    Expiration = 7,
    UserId = 11,
}

const FIELDS: usize = 14;

/// The properties of one message. Values keep the octets that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    /// Where each begins and how long it is, with the length that a text or table begins with; 0 where it
    /// is not there.
    places: [(u32, u32); FIELDS],
    raw: Bytes,
}

impl Properties {
    /// Reads flags and values, or `None` where they are malformed.
    pub(crate) fn read(raw: Bytes) -> Option<Self> {
        let flags = u16::from_be_bytes(*raw.first_chunk::<2>()?);
        // The lowest bit announces more flags, of which there are none; the next one is not used.
        if flags & 0b11 != 0 {
            return None;
        }
        let mut places = [(0, 0); FIELDS];
        let mut at = 2;
        for (index, place) in places.iter_mut().enumerate() {
            if flags & (1 << (15 - index)) == 0 {
                continue;
            }
            let rest = raw.get(at..)?;
            let length = match index {
                2 => {
                    let table = table::prefixed(rest)?;
                    table::entries(table)?;
                    4 + table.len()
                }
                3 | 4 => 1,
                9 => 8,
                _ => 1 + usize::from(*rest.first()?),
            };
            rest.get(..length)?;
            *place = (u32::try_from(at).ok()?, u32::try_from(length).ok()?);
            at += length;
        }
        (at == raw.len()).then_some(Self { places, raw })
    }

    /// Flags and values, as they are sent.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    fn field(&self, field: Field) -> Option<&[u8]> {
        self.at(field as usize)
    }

    fn at(&self, index: usize) -> Option<&[u8]> {
        let (start, length) = self.places[index];
        let (start, length) = (start as usize, length as usize);
        (length > 0).then(|| &self.raw[start..start + length])
    }

    /// The value of a text property. Octets that are not UTF-8 are replaced by U+FFFD: such a text must neither pass for a
    /// missing one nor be equal to a name.
    pub(crate) fn text(&self, field: Field) -> Option<Cow<'_, str>> {
        self.field(field)
            .map(|value| String::from_utf8_lossy(&value[1..]))
    }

    pub(crate) fn priority(&self) -> Option<u8> {
        self.field(Field::Priority).map(|value| value[0])
    }

    /// The value of a header; `None` also where no client library could read it.
    pub(crate) fn header(&self, name: &str) -> Option<AMQPValue> {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.name == name.as_bytes())?;
        parsed(entry.value)
    }

    /// All headers that a client library could read.
    pub(crate) fn headers(&self) -> FieldTable {
        let mut headers = FieldTable::default();
        for entry in self.entries() {
            if let (Ok(name), Some(value)) = (std::str::from_utf8(entry.name), parsed(entry.value))
            {
                headers.insert(name.into(), value);
            }
        }
        headers
    }

    fn entries(&self) -> Vec<table::Entry<'_>> {
        let Some(headers) = self.field(Field::Headers) else {
            return Vec::new();
        };
        table::entries(&headers[4..]).unwrap_or_default()
    }

    /// The same with a text property set, or left out.
    #[must_use]
    pub(crate) fn with_text(&self, field: Field, text: Option<&str>) -> Self {
        let value = text.map(|text| {
            let text = &text.as_bytes()[..text.len().min(255)];
            [&[text.len() as u8][..], text].concat()
        });
        self.with(field, value.as_deref())
    }

    /// The same with these headers set: each in the place of one of its name, or else at the end.
    #[must_use]
    pub(crate) fn with_headers(&self, set: &[(&str, AMQPValue)]) -> Self {
        let mut table = Vec::new();
        let mut left: Vec<&(&str, AMQPValue)> = set.iter().collect();
        for entry in self.entries() {
            let place = left
                .iter()
                .position(|(name, _)| name.as_bytes() == entry.name);
            match place {
                Some(place) => {
                    let (name, value) = left.remove(place);
                    write_entry(&mut table, name, value);
                }
                None => table.extend_from_slice(entry.whole),
            }
        }
        for (name, value) in left {
            write_entry(&mut table, name, value);
        }
        self.with(Field::Headers, Some(&with_length(&table)))
    }

    /// The properties without a header.
    #[must_use]
    pub(crate) fn without_header(&self, name: &str) -> Self {
        let entries = self.entries();
        let kept = entries.iter().filter(|entry| entry.name != name.as_bytes());
        let table: Vec<u8> = kept.flat_map(|entry| entry.whole).copied().collect();
        self.with(Field::Headers, Some(&with_length(&table)))
    }

    fn with(&self, field: Field, value: Option<&[u8]>) -> Self {
        let mut flags = 0_u16;
        let mut places = [(0, 0); FIELDS];
        let mut raw = vec![0, 0];
        for (index, place) in places.iter_mut().enumerate() {
            let value = if index == field as usize {
                value
            } else {
                self.at(index)
            };
            if let Some(value) = value {
                flags |= 1 << (15 - index);
                *place = (raw.len() as u32, value.len() as u32);
                raw.extend_from_slice(value);
            }
        }
        raw[..2].copy_from_slice(&flags.to_be_bytes());
        Self {
            places,
            raw: raw.into(),
        }
    }
}

fn parsed(value: &[u8]) -> Option<AMQPValue> {
    match parse_value(value) {
        Ok(([], value)) => Some(value),
        _ => None,
    }
}

fn with_length(table: &[u8]) -> Vec<u8> {
    let length = (table.len() as u32).to_be_bytes();
    [&length[..], table].concat()
}

fn write_entry(table: &mut Vec<u8>, name: &str, value: &AMQPValue) {
    // Writing to memory fails only where a length does not fit its field, and all of ours do.
    if let Ok(written) = gen_value(value)(WriteContext::from(Vec::new())) {
        table.push(name.len() as u8);
        table.extend_from_slice(name.as_bytes());
        table.extend_from_slice(&written.write);
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;
    use amq_protocol::protocol::basic::gen_properties;
    use proptest::prelude::*;

    use super::*;

    fn written(properties: &BasicProperties) -> Properties {
        let written = gen_properties(properties)(WriteContext::from(Vec::new())).unwrap();
        Properties::read(written.write.into()).unwrap()
    }

    #[test]
    fn values_are_found_and_kept_as_they_came() {
        let mut headers = FieldTable::default();
        headers.insert("n".into(), AMQPValue::LongInt(7));
        let original = BasicProperties::default()
            .with_expiration("500".into())
            .with_priority(3)
            .with_headers(headers)
            .with_timestamp(99)
            .with_user_id("guest".into());
        let properties = written(&original);
        assert_eq!(properties.text(Field::Expiration).as_deref(), Some("500"));
        assert_eq!(properties.text(Field::UserId).as_deref(), Some("guest"));
        assert_eq!(properties.priority(), Some(3));
        assert_eq!(properties.header("n"), Some(AMQPValue::LongInt(7)));
        let changed = properties.with_text(Field::Expiration, None);
        assert_eq!(changed.text(Field::Expiration), None);
        assert_eq!(
            changed.with_text(Field::Expiration, Some("500")),
            properties
        );
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_not_missing() {
        let properties = Properties::read(Bytes::from_static(b"\0\x10\x01\xff")).unwrap();
        assert_eq!(properties.text(Field::UserId).as_deref(), Some("\u{fffd}"));
        assert_eq!(properties.text(Field::Expiration), None);
    }

    #[test]
    fn a_header_is_set_in_its_place_and_others_keep_their_octets() {
        // `u` is a type that a reader may know by another name, and the order is not the alphabet's.
        let table = b"\x01zu\0\x01\x01aI\0\0\0\x07";
        let raw = [&[0x20, 0][..], &with_length(table)].concat();
        let properties = Properties::read(raw.into()).unwrap();
        let set = properties.with_headers(&[("z", true.into()), ("new", 1_i64.into())]);
        let expected = b"\x01zt\x01\x01aI\0\0\0\x07\x03newl\0\0\0\0\0\0\0\x01";
        assert_eq!(&set.field(Field::Headers).unwrap()[4..], expected);
        let left = properties.without_header("a");
        assert_eq!(&left.field(Field::Headers).unwrap()[4..], b"\x01zu\0\x01");
    }

    #[test]
    fn malformed_properties_are_refused() {
        for raw in [
            &b""[..],
            b"\0",
            b"\0\x01",
            b"\x80\0\x05ab",
            b"\x80\0",
            b"\0\0x",
            b"\x20\0\0\0\0\x02\x09a",
        ] {
            assert_eq!(
                Properties::read(Bytes::copy_from_slice(raw)),
                None,
                "{raw:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_can_be_read_can_be_written(raw in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(properties) = Properties::read(raw.into()) {
                let again = properties.with(Field::UserId, properties.field(Field::UserId));
                prop_assert_eq!(again.raw(), properties.raw());
            }
        }
    }
}
