//! AMQP 0-9-1 frames as bytes: finds the short strings and tables in one and mends them in place.

mod trim;

use std::fmt;
use std::sync::OnceLock;

pub(super) use self::trim::trim;

/// The frame types.
pub(super) const METHOD: u8 = 1;
/// See [`METHOD`].
pub(super) const HEADER: u8 = 2;
/// See [`METHOD`].
pub(super) const BODY: u8 = 3;
/// See [`METHOD`].
pub(super) const HEARTBEAT: u8 = 8;

/// Tables and arrays nested deeper are handed on as byte arrays. No sane header goes this deep.
const DEEPEST: usize = 64;

/// Whether a frame had to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mended {
    Nothing,
    Something,
}

/// What a broker says that it is, as far as it decides what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BrokerVersion {
    major: u32,
    minor: u32,
}

impl BrokerVersion {
    /// The first with quorum queues.
    pub(super) const QUORUM_QUEUES: Self = Self { major: 3, minor: 8 };
    /// The first whose quorum queues count a delivery that is lost with its channel, and not one that is
    /// refused with `basic.nack`.
    pub(super) const UNCOUNTED_NACK: Self = Self { major: 4, minor: 3 };
    /// The first that cancels a consumer which leaves a message unacknowledged for too long; those before
    /// close its channel.
    pub(super) const CANCELS_SLOW_CONSUMERS: Self = Self { major: 4, minor: 3 };
    /// The first whose quorum queues drop what was handed out often, unless told not to.
    pub(super) const DELIVERY_LIMIT: Self = Self { major: 4, minor: 0 };
    /// The first that closes a connection over a small `frame_max`, without a word.
    pub(super) const LARGER_FRAMES: Self = Self { major: 4, minor: 1 };
    /// The first whose quorum queues dead-letter at least once.
    pub(super) const AT_LEAST_ONCE: Self = Self {
        major: 3,
        minor: 10,
    };

    /// From "3.10.8" or the like.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        Some(Self { major, minor })
    }
}

impl fmt::Display for BrokerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Mends the payload of a method or header frame, and notes the version of a broker that
/// introduces itself. A payload that makes no sense is left as it is from there on.
pub(super) fn mend(kind: u8, payload: &mut [u8], broker: &OnceLock<BrokerVersion>) -> Mended {
    let mut cursor = Cursor {
        bytes: payload,
        at: 0,
        mended: Mended::Nothing,
    };
    // None says that the frame ended early, or is one that nobody looks into: nothing to do then.
    let _understood = match kind {
        METHOD => method(&mut cursor, broker),
        _ => content_header(&mut cursor),
    };
    cursor.mended
}

/// The largest frame that a broker offers in connection.tune, where this is one.
pub(super) fn offered_frame_max(payload: &[u8]) -> Option<u32> {
    let octets = payload.strip_prefix(&[0, 10, 0, 30])?.get(2..)?;
    octets.first_chunk().copied().map(u32::from_be_bytes)
}

/// What a broker says that ends the deliveries of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The consumer is cancelled; the channel stays.
    Cancelled,
    /// The channel is closed, with this code and these words.
    Closed(u16, String),
}

/// The end of a channel's deliveries, where the payload of a method frame is one: basic.cancel or
/// channel.close. To be read once the payload is mended.
pub(super) fn ending(payload: &[u8]) -> Option<Ending> {
    let (method, arguments) = payload.split_first_chunk::<4>()?;
    match method {
        [0, 60, 0, 30] => Some(Ending::Cancelled),
        [0, 20, 0, 40] => {
            let (code, rest) = arguments.split_first_chunk()?;
            let (length, rest) = rest.split_first()?;
            let text = rest.get(..usize::from(*length))?;
            let text = String::from_utf8_lossy(text).into_owned();
            Some(Ending::Closed(u16::from_be_bytes(*code), text))
        }
        _ => None,
    }
}

fn method(cursor: &mut Cursor<'_>, broker: &OnceLock<BrokerVersion>) -> Option<()> {
    let class = cursor.u16()?;
    let method = cursor.u16()?;
    match (class, method) {
        // connection.start: versions, server-properties.
        (10, 10) => {
            cursor.skip(2)?;
            if let Some(version) = server_version(cursor) {
                // The slot is new for each connection, and a connection starts once.
                broker.get_or_init(|| version);
            }
            Some(())
        }
        // connection.close, channel.close: code, text. The text quotes names, and is cut at a byte.
        (10, 50) | (20, 40) => {
            cursor.skip(2)?;
            cursor.short_string()
        }
        // connection.blocked: reason. queue.declare-ok: name.
        (10, 60) | (50, 11) => cursor.short_string(),
        // basic.return: code, text, exchange, routing key.
        (60, 50) => {
            cursor.skip(2)?;
            cursor.short_string()?;
            cursor.short_string()?;
            cursor.short_string()
        }
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        (60, 60) => {
            cursor.short_string()?;
            cursor.skip(9)?;
            cursor.short_string()?;
            cursor.short_string()
        }
        _ => None,
    }
}

fn server_version(cursor: &mut Cursor<'_>) -> Option<BrokerVersion> {
    let length = cursor.u32()? as usize;
    let end = cursor.at.checked_add(length)?;
    while cursor.at < end {
        let name = cursor.octets_of_short_string()?;
        let is_version = &cursor.bytes[name] == b"version";
        let from = cursor.at;
        cursor.value(0)?;
        if is_version {
            // Its type, four octets of length, the text. Of another type it would be no version.
            let [b'S', _, _, _, _, text @ ..] = &cursor.bytes[from..cursor.at] else {
                return None;
            };
            return BrokerVersion::parse(std::str::from_utf8(text).ok()?);
        }
    }
    None
}

fn content_header(cursor: &mut Cursor<'_>) -> Option<()> {
    // Class, weight, size of the body.
    cursor.skip(12)?;
    let flags = cursor.u16()?;
    // Properties stand in the order of their flags, from the highest bit down.
    for bit in (2..16).rev() {
        if flags & (1 << bit) == 0 {
            continue;
        }
        match bit {
            13 => cursor.table(0)?,
            // delivery-mode, priority
            12 | 11 => cursor.skip(1)?,
            // timestamp
            6 => cursor.skip(8)?,
            _ => cursor.short_string()?,
        }
    }
    Some(())
}

/// Walks over a payload. None says that it ends where it must not, or holds what nobody knows.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
    mended: Mended,
}

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        let to = self.at.checked_add(count)?;
        (to <= self.bytes.len()).then(|| self.at = to)
    }

    fn u8(&mut self) -> Option<u8> {
        let value = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(value)
    }

    fn u16(&mut self) -> Option<u16> {
        let octets = self.bytes.get(self.at..)?.first_chunk()?;
        let value = u16::from_be_bytes(*octets);
        self.at += 2;
        Some(value)
    }

    fn u32(&mut self) -> Option<u32> {
        let octets = self.bytes.get(self.at..)?.first_chunk()?;
        let value = u32::from_be_bytes(*octets);
        self.at += 4;
        Some(value)
    }

    fn octets_of_short_string(&mut self) -> Option<std::ops::Range<usize>> {
        let length = usize::from(self.u8()?);
        let from = self.at;
        self.skip(length)?;
        Some(from..self.at)
    }

    fn short_string(&mut self) -> Option<()> {
        let octets = self.octets_of_short_string()?;
        let text = &mut self.bytes[octets];
        while let Err(error) = std::str::from_utf8(text) {
            text[error.valid_up_to()] = b'?';
            self.mended = Mended::Something;
        }
        Some(())
    }

    fn table(&mut self, depth: usize) -> Option<()> {
        let end = self.end_of_long()?;
        while self.at < end {
            self.short_string()?;
            self.value(depth)?;
        }
        (self.at == end).then_some(())
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let end = self.end_of_long()?;
        while self.at < end {
            self.value(depth)?;
        }
        (self.at == end).then_some(())
    }

    /// Reads the length that a table, an array or a long string begins with.
    fn end_of_long(&mut self) -> Option<usize> {
        let length = self.u32()? as usize;
        let end = self.at.checked_add(length)?;
        (end <= self.bytes.len()).then_some(end)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
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
                let read = match kind {
                    _ if depth >= DEEPEST => None,
                    b'F' => self.table(depth + 1),
                    _ => self.array(depth + 1),
                };
                if read.is_none() {
                    self.bytes[kind_at] = b'x';
                    self.mended = Mended::Something;
                }
                self.at = end;
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::parsing::parse_field_table;
    use proptest::prelude::*;

    use super::*;

    fn long(octets: &[u8]) -> Vec<u8> {
        [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
    }

    fn mend_table(table: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; 12];
        payload.extend_from_slice(&(1u16 << 13).to_be_bytes());
        payload.extend_from_slice(table);
        mend(HEADER, &mut payload, &OnceLock::new());
        payload.split_off(14)
    }

    /// What is noted of a broker whose version is this value, type and all.
    fn introduce(version: &[u8]) -> Option<BrokerVersion> {
        let mut table = b"\x07productS".to_vec();
        table.extend(long(b"RabbitMQ"));
        table.extend(b"\x07version");
        table.extend(version);
        let mut payload = vec![0, 10, 0, 10, 0, 9];
        payload.extend(long(&table));
        let broker = OnceLock::new();
        assert_eq!(mend(METHOD, &mut payload, &broker), Mended::Nothing);
        broker.get().copied()
    }

    #[test]
    fn reads_the_version_of_a_broker() {
        let version = introduce(&[b"S".as_slice(), &long(b"3.10.8")].concat());
        assert_eq!(version, BrokerVersion::parse("3.10.8"));
        assert!(version.unwrap() >= BrokerVersion::AT_LEAST_ONCE);
    }

    /// Found by the fuzz target `frames`.
    #[test]
    fn a_version_that_is_no_text_is_none() {
        assert_eq!(introduce(b"V"), None);
        assert_eq!(introduce(b"t\x01"), None);
        assert_eq!(introduce(b"l\0\0\0\x004.10"), None);
    }

    #[test]
    fn a_cancelled_consumer_and_a_closed_channel_are_told_from_other_methods() {
        let cancel = [&[0, 60, 0, 30][..], b"\x03tag\x01"].concat();
        assert_eq!(ending(&cancel), Some(Ending::Cancelled));
        let close = [&[0, 20, 0, 40, 1, 0x96][..], b"\x04gone", &[0, 60, 0, 80]].concat();
        let closed = Ending::Closed(406, "gone".into());
        assert_eq!(ending(&close), Some(closed));
        // basic.cancel-ok, and a frame that ends too early.
        assert_eq!(ending(&[0, 60, 0, 31, 0]), None);
        assert_eq!(ending(&close[..8]), None);
    }

    #[test]
    fn compares_versions_by_number() {
        assert!(BrokerVersion::parse("3.9.29").unwrap() < BrokerVersion::AT_LEAST_ONCE);
        assert!(BrokerVersion::parse("4.0.0-rc.1").unwrap() > BrokerVersion::AT_LEAST_ONCE);
        assert_eq!(BrokerVersion::parse("unknown"), None);
    }

    #[test]
    fn a_name_that_is_not_utf8_can_be_read_afterwards() {
        let table = long(b"\x02\xff\xfeV");
        assert!(parse_field_table(&table[..]).is_err());
        let mended = mend_table(&table);
        let (_, read) = parse_field_table(&mended[..]).unwrap();
        assert!(read.contains_key("??"));
    }

    #[test]
    fn tables_without_end_become_bytes() {
        let mut nested = Vec::new();
        for _ in 0..10_000 {
            nested = [b"A".as_slice(), &long(&nested)].concat();
        }
        let table = long(&[b"\x01n".as_slice(), &nested].concat());
        let mended = mend_table(&table);
        assert_eq!(mended.len(), table.len());
        assert!(parse_field_table(&mended[..]).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics_and_never_grows(
            kind in prop_oneof![Just(METHOD), Just(HEADER)],
            mut payload in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let length = payload.len();
            mend(kind, &mut payload, &OnceLock::new());
            prop_assert_eq!(payload.len(), length);
        }
    }
}
