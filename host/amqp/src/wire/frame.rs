//! AMQP 0-9-1 frames as bytes: finds the short strings and tables in one, and changes those that lapin
//! would not take, or that the broker is to have as they came.

mod trim;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

pub(crate) use self::trim::trim;
use crate::message::octet_text::{
    BEGINNING, holder_of, is_holder, octets as octets_of, standing_for,
};

/// The frame types.
pub(crate) const METHOD: u8 = 1;
/// See [`METHOD`].
pub(crate) const HEADER: u8 = 2;
/// See [`METHOD`].
pub(crate) const BODY: u8 = 3;
/// See [`METHOD`].
pub(crate) const HEARTBEAT: u8 = 8;

/// Tables and arrays nested deeper are handed on as byte arrays. No sane header goes this deep.
const DEEPEST: usize = 64;

/// Whether a frame had to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It is as it came.
    Nothing,
    /// A string or a table is another now.
    Something,
}

/// A broker's version, as far as it decides what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerVersion {
    major: u32,
    minor: u32,
}

impl BrokerVersion {
    /// The first with quorum queues.
    pub(crate) const QUORUM_QUEUES: Self = Self { major: 3, minor: 8 };
    /// The first whose quorum queues count a delivery that is lost with its channel, and not one that is
    /// refused with `basic.nack`.
    pub(crate) const UNCOUNTED_NACK: Self = Self { major: 4, minor: 3 };
    /// The first that cancels a consumer which leaves a message unacknowledged for too long; those before
    /// close its channel.
    pub(crate) const CANCELS_SLOW_CONSUMERS: Self = Self { major: 4, minor: 3 };
    /// The first version whose quorum queues drop messages that were delivered often, unless a queue says
    /// otherwise.
    pub(crate) const DELIVERY_LIMIT: Self = Self { major: 4, minor: 0 };
    /// The first that closes a connection over a small `frame_max`, without a word.
    pub(crate) const LARGER_FRAMES: Self = Self { major: 4, minor: 1 };
    /// The first whose quorum queues dead-letter at least once.
    pub(crate) const AT_LEAST_ONCE: Self = Self {
        major: 3,
        minor: 10,
    };

    /// From "3.10.8" or the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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

/// The result of screening an incoming payload.
#[derive(Debug)]
pub struct Screened {
    /// Whether anything was changed.
    pub mended: Mended,
    /// The new payload, if its length changed.
    pub anew: Option<Vec<u8>>,
    /// Strings that a method names by their hash. The content header that follows it is to hold them.
    pub to_hold: Vec<Vec<u8>>,
}

/// Screens the payload of a method or header frame on its way in, and notes the version of a broker that
/// introduces itself. `to_hold` is what the method before a content header named by a hash. A payload that
/// makes no sense is left as it is.
pub fn screen(
    kind: u8,
    payload: &mut [u8],
    to_hold: Vec<Vec<u8>>,
    broker: &OnceLock<BrokerVersion>,
) -> Screened {
    let mut cursor = Cursor::new(payload, Way::In);
    cursor.to_hold = to_hold;
    let understood = match kind {
        METHOD => method(&mut cursor, broker),
        _ => content_header(&mut cursor).and_then(|headers| cursor.hold(headers)),
    };
    // `None` means that the frame ended early, or is of a kind that is not inspected: nothing to do.
    let Cursor {
        mended,
        changes,
        to_hold,
        ..
    } = cursor;
    let anew = understood.and_then(|()| changed(payload, changes));
    Screened {
        mended,
        anew,
        to_hold: if kind == METHOD { to_hold } else { Vec::new() },
    }
}

/// The payload of an outgoing method or header frame, with the bytes that its texts stand for; `None` if it
/// needs no change.
pub fn restored(kind: u8, payload: &[u8]) -> Option<Vec<u8>> {
    if !payload.windows(BEGINNING.len()).any(|at| at == BEGINNING) {
        return None;
    }
    let payload = &mut payload.to_vec()[..];
    let held = match kind {
        METHOD => BTreeMap::new(),
        _ => trim::held(payload)?,
    };
    let mut cursor = Cursor::new(payload, Way::Out);
    cursor.held = held;
    match kind {
        METHOD => publish(&mut cursor)?,
        _ => content_header(&mut cursor).map(drop)?,
    }
    let changes = cursor.changes;
    changed(payload, changes)
}

/// Other octets in the place of some.
#[derive(Debug)]
struct Change {
    octets: Range<usize>,
    with: Vec<u8>,
    /// Where the lengths stand of what the place is within.
    within: Vec<usize>,
}

/// A payload with these changes; `None` if there are none.
fn changed(payload: &[u8], mut changes: Vec<Change>) -> Option<Vec<u8>> {
    if changes.is_empty() {
        return None;
    }
    // An insertion comes before the bytes behind it.
    changes.sort_by_key(|change| (change.octets.start, change.octets.end));
    let mut counted = payload.to_vec();
    for change in &changes {
        for at in &change.within {
            let length: &mut [u8; 4] = counted.get_mut(*at..)?.first_chunk_mut()?;
            let before = u32::from_be_bytes(*length) as usize;
            let after = (before + change.with.len()).checked_sub(change.octets.len())?;
            *length = u32::try_from(after).ok()?.to_be_bytes();
        }
    }
    let mut anew = Vec::with_capacity(payload.len() + 64);
    let mut from = 0;
    for change in changes {
        anew.extend_from_slice(counted.get(from..change.octets.start)?);
        anew.extend_from_slice(&change.with);
        from = change.octets.end;
    }
    anew.extend_from_slice(&counted[from..]);
    Some(anew)
}

fn written_short(octets: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(octets.len()).ok()?;
    Some([&[length][..], octets].concat())
}

/// The largest frame that a broker offers in connection.tune, where this is one.
pub(crate) fn offered_frame_max(payload: &[u8]) -> Option<u32> {
    let octets = payload.strip_prefix(&[0, 10, 0, 30])?.get(2..)?;
    octets.first_chunk().copied().map(u32::from_be_bytes)
}

/// A method of the broker that ends the deliveries of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The consumer is cancelled; the channel stays.
    Cancelled,
    /// The channel is closed, with this code and these words.
    Closed(u16, String),
}

/// The end of a channel's deliveries, where the payload of a method frame is one: basic.cancel or
/// channel.close. To be read once the payload is mended.
pub(crate) fn ending(payload: &[u8]) -> Option<Ending> {
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
            cursor.words()
        }
        // connection.blocked: reason. queue.declare-ok: the name, which we sent.
        (10, 60) | (50, 11) => cursor.words(),
        // basic.return: code, text, exchange, routing key.
        (60, 50) => {
            cursor.skip(2)?;
            cursor.words()?;
            cursor.short_string()?;
            cursor.short_string()
        }
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        (60, 60) => {
            cursor.words()?;
            cursor.skip(9)?;
            cursor.short_string()?;
            cursor.short_string()
        }
        _ => None,
    }
}

fn server_version(cursor: &mut Cursor<'_>) -> Option<BrokerVersion> {
    // Names in it that are not UTF-8 get longer, and with them the table.
    cursor.within.push(cursor.at);
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

/// basic.publish: a number of no use, exchange, routing key.
fn publish(cursor: &mut Cursor<'_>) -> Option<()> {
    if (cursor.u16()?, cursor.u16()?) != (60, 40) {
        return None;
    }
    cursor.skip(2)?;
    cursor.short_string()?;
    cursor.short_string()
}

/// The position of the headers in a content header.
struct Headers {
    /// All of the table with its length; where it would stand if there is none.
    table: Range<usize>,
    is_there: bool,
}

/// Where the flags stand that say which properties there are.
const FLAGS: usize = 12;

/// The flag that says that there are headers, in the first octet of the flags.
const HAS_HEADERS: u8 = 1 << 5;

fn content_header(cursor: &mut Cursor<'_>) -> Option<Headers> {
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

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the broker to lapin.
    In,
    /// From lapin to the broker.
    Out,
}

/// Walks over a payload. `None` means that it ends too early, or holds an unknown type.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
    way: Way,
    mended: Mended,
    changes: Vec<Change>,
    /// Where the lengths stand of what it is within.
    within: Vec<usize>,
    /// Strings on their way in that are named by their hash.
    to_hold: Vec<Vec<u8>>,
    /// Strings on their way out, by the names of the headers that hold them.
    held: BTreeMap<String, Vec<u8>>,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a mut [u8], way: Way) -> Self {
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

    /// A sentence for people, in which a byte that is not UTF-8 may be any other.
    fn words(&mut self) -> Option<()> {
        let octets = self.octets_of_short_string()?;
        let text = &mut self.bytes[octets];
        while let Err(error) = std::str::from_utf8(text) {
            text[error.valid_up_to()] = b'?';
            self.mended = Mended::Something;
        }
        Some(())
    }

    /// A string that programs read: lapin has it as text, the broker as bytes.
    fn short_string(&mut self) -> Option<()> {
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

    fn table(&mut self, depth: usize) -> Option<()> {
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

    fn array(&mut self, depth: usize) -> Option<()> {
        let length_at = self.at;
        let end = self.end_of_long()?;
        self.within.push(length_at);
        while self.at < end {
            self.value(depth)?;
        }
        self.within.pop();
        (self.at == end).then_some(())
    }

    /// Adds headers with the bytes of the texts that are replaced by their hash.
    fn hold(&mut self, headers: Headers) -> Option<()> {
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
                let before = (self.changes.len(), self.to_hold.len(), self.within.len());
                let read = match kind {
                    _ if depth >= DEEPEST => None,
                    b'F' => self.table(depth + 1),
                    _ => self.array(depth + 1),
                };
                if read.is_none() {
                    // As bytes it stays what it is.
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

#[cfg(test)]
mod tests {
    use lapin::types::parsing::parse_field_table;
    use proptest::prelude::*;

    use super::*;

    fn long(octets: &[u8]) -> Vec<u8> {
        [&(octets.len() as u32).to_be_bytes()[..], octets].concat()
    }

    fn header_with(table: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; 12];
        payload.extend_from_slice(&(1u16 << 13).to_be_bytes());
        payload.extend_from_slice(table);
        payload
    }

    /// A payload as lapin reads it.
    fn screened(kind: u8, mut payload: Vec<u8>, to_hold: Vec<Vec<u8>>) -> Vec<u8> {
        let screened = screen(kind, &mut payload, to_hold, &OnceLock::new());
        screened.anew.unwrap_or(payload)
    }

    /// A payload of lapin's as the broker reads it.
    fn sent(kind: u8, payload: Vec<u8>) -> Vec<u8> {
        restored(kind, &payload).unwrap_or(payload)
    }

    fn screened_table(table: &[u8]) -> Vec<u8> {
        screened(HEADER, header_with(table), Vec::new()).split_off(14)
    }

    /// The version that this value of the broker's property means.
    fn introduce(version: &[u8]) -> Option<BrokerVersion> {
        let mut table = b"\x07productS".to_vec();
        table.extend(long(b"RabbitMQ"));
        table.extend(b"\x07version");
        table.extend(version);
        let mut payload = vec![0, 10, 0, 10, 0, 9];
        payload.extend(long(&table));
        let broker = OnceLock::new();
        let screened = screen(METHOD, &mut payload, Vec::new(), &broker);
        assert_eq!(screened.mended, Mended::Nothing);
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
    fn a_name_that_is_not_utf8_can_be_read_and_goes_out_as_it_came() {
        // Beside a nested one, in a table in an array in a table.
        let inner = long(b"\x01\xfft\x01");
        let array = long(&[b"F".as_slice(), &inner].concat());
        let entries = [b"\x02\xff\xfeV\x02\xff\xfdA".as_slice(), &array].concat();
        let table = long(&entries);
        assert!(parse_field_table(&table[..]).is_err());
        let payload = screened(HEADER, header_with(&table), Vec::new());
        let (rest, read) = parse_field_table(&payload[14..]).unwrap();
        assert!(rest.is_empty());
        let names: Vec<_> = read.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["hive-bytes:fffd", "hive-bytes:fffe"]);
        assert_eq!(sent(HEADER, payload), header_with(&table));
    }

    #[test]
    fn a_string_without_room_for_its_text_is_held_by_a_header() {
        let long_id: Vec<u8> = [[255].as_slice(), &[0xfe; 255]].concat();
        // A message-id and no headers, and then with headers too.
        let id_alone = [vec![0; 12], vec![0, 0x80], long_id.clone()].concat();
        let table = long(b"\x01aV");
        let beside_a_header = [vec![0; 12], vec![0x20, 0x80], table, long_id].concat();
        for payload in [id_alone, beside_a_header] {
            let seen = screened(HEADER, payload.clone(), Vec::new());
            assert_eq!(seen[12..14], [0x20, 0x80]);
            let (rest, headers) = parse_field_table(&seen[14..]).unwrap();
            let holders = headers
                .inner()
                .keys()
                .filter(|name| is_holder(name.as_str()));
            assert_eq!(holders.count(), 1);
            assert!(std::str::from_utf8(&rest[1..]).is_ok());
            let back = sent(HEADER, seen);
            match payload[12] {
                0 => {
                    // There are headers now, even if no publisher set any.
                    let with_empty = [
                        vec![0; 12],
                        vec![0x20, 0x80],
                        long(b""),
                        payload[14..].to_vec(),
                    ];
                    assert_eq!(back, with_empty.concat());
                }
                _ => assert_eq!(back, payload),
            }
        }
    }

    #[test]
    fn what_a_delivery_names_by_its_hash_is_held_by_its_message() {
        let key: Vec<u8> = [[200].as_slice(), &[0xfe; 200]].concat();
        let mut deliver = [vec![0, 60, 0, 60, 1, b't'], vec![0; 9], vec![0], key].concat();
        let screened = screen(METHOD, &mut deliver, Vec::new(), &OnceLock::new());
        assert_eq!(screened.to_hold, [vec![0xfe; 200]]);
        assert!(screened.anew.is_some());
        let mut content = [vec![0; 12], vec![0x10, 0, 2]].concat();
        let held = screen(HEADER, &mut content, screened.to_hold, &OnceLock::new());
        let held = held.anew.expect("it has a header now");
        let (rest, headers) = parse_field_table(&held[14..]).unwrap();
        assert_eq!((rest, headers.inner().len()), (&[2][..], 1));
    }

    #[test]
    fn a_routing_key_goes_out_as_bytes() {
        let publish = |key: &[u8]| {
            let key = [&[key.len() as u8][..], key].concat();
            [vec![0, 60, 0, 40, 0, 0, 0], key, vec![1]].concat()
        };
        assert_eq!(
            sent(METHOD, publish(b"hive-bytes:ff00")),
            publish(&[0xff, 0])
        );
        assert_eq!(
            sent(METHOD, publish(b"hive-bytes:41")),
            publish(b"hive-bytes:41")
        );
        assert_eq!(sent(METHOD, publish(b"order")), publish(b"order"));
    }

    #[test]
    fn tables_without_end_become_bytes() {
        let mut nested = Vec::new();
        for _ in 0..10_000 {
            nested = [b"A".as_slice(), &long(&nested)].concat();
        }
        let table = long(&[b"\x01n".as_slice(), &nested].concat());
        let mended = screened_table(&table);
        assert_eq!(mended.len(), table.len());
        assert!(parse_field_table(&mended[..]).is_ok());
    }

    proptest! {
        #[test]
        fn what_came_in_goes_out_as_it_was(
            names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..255), 0..5),
            id in proptest::collection::vec(any::<u8>(), 0..255),
        ) {
            let mut entries = Vec::new();
            for name in names {
                entries.extend([&[name.len() as u8][..], &name, b"V"].concat());
            }
            let id = [&[id.len() as u8][..], &id].concat();
            let payload = [vec![0; 12], vec![0x20, 0x80], long(&entries), id].concat();
            let seen = screened(HEADER, payload.clone(), Vec::new());
            prop_assert!(parse_field_table(&seen[14..]).is_ok());
            prop_assert_eq!(sent(HEADER, seen), payload);
        }

        #[test]
        fn nothing_panics(
            kind in prop_oneof![Just(METHOD), Just(HEADER)],
            payload in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let seen = screened(kind, payload, Vec::new());
            sent(kind, seen);
        }
    }
}
