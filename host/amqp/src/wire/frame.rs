//! AMQP 0-9-1 frames as bytes: finds the short strings and tables in one, and changes those that lapin
//! would not take, or that the broker is to have as they came.

mod change;
mod content_header;
mod cursor;
pub(crate) mod publication;
mod trim;
mod version;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use self::change::changed;
use self::content_header::content_header;
use self::cursor::{Cursor, Way};
pub(crate) use self::trim::trim;
pub(crate) use self::version::BrokerVersion;
use crate::message::octet_text::BEGINNING;

/// The channel on which AMQP speaks of the connection itself.
pub(super) const CONNECTION: u16 = 0;

/// Type, channel and size of a frame.
pub(super) const HEAD: usize = 7;
/// The head, and the octet that ends a frame.
pub(super) const AROUND: usize = HEAD + 1;
/// That octet.
pub(super) const END: u8 = 0xce;

/// The frame types.
pub(crate) const METHOD: u8 = 1;
/// See [`METHOD`].
pub(crate) const HEADER: u8 = 2;
/// See [`METHOD`].
pub(crate) const BODY: u8 = 3;
/// See [`METHOD`].
pub(crate) const HEARTBEAT: u8 = 8;

/// `basic.deliver`, as the payload of its frame begins.
pub(crate) const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// `basic.return`, as the payload of its frame begins.
pub(crate) const RETURN: [u8; 4] = [0, 60, 0, 50];
/// `basic.ack`, which confirms a publication where it comes from a broker.
pub(crate) const ACK: [u8; 4] = [0, 60, 0, 80];
/// `basic.nack`, which says that a publication is not stored.
pub(crate) const NACK: [u8; 4] = [0, 60, 0, 120];
/// `channel.open-ok`: the number of the frame's channel is that of a new channel.
pub(crate) const OPEN_OK: [u8; 4] = [0, 20, 0, 11];

/// Whether a frame had to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It is as it came.
    Nothing,
    /// A string or a table is another now.
    Something,
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

/// The largest frame that a broker offers in connection.tune, where this is one.
pub(crate) fn offered_frame_max(payload: &[u8]) -> Option<u32> {
    let octets = payload.strip_prefix(&[0, 10, 0, 30])?.get(2..)?;
    octets.first_chunk().copied().map(u32::from_be_bytes)
}

/// Whether the broker reads no publications from now on, or reads them again, where this says one of these:
/// connection.blocked and connection.unblocked.
pub(crate) fn blocked(payload: &[u8]) -> Option<bool> {
    match payload.first_chunk()? {
        [0, 10, 0, 60] => Some(true),
        [0, 10, 0, 61] => Some(false),
        _ => None,
    }
}

/// A method of the broker that ends the deliveries of a channel, or of all on its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The consumer is cancelled; the channel stays.
    Cancelled,
    /// The channel is closed, or the connection if it is channel 0.
    Closed(Answer),
}

/// With what the broker closed a channel or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The reply code.
    pub(crate) code: u16,
    /// The reply text.
    pub(crate) text: String,
}

/// The end of a channel's deliveries, where the payload of a method frame is one: basic.cancel, channel.close or
/// connection.close. To be read once the payload is mended.
pub(crate) fn ending(payload: &[u8]) -> Option<Ending> {
    let (method, arguments) = payload.split_first_chunk::<4>()?;
    match method {
        [0, 60, 0, 30] => Some(Ending::Cancelled),
        [0, 10, 0, 50] | [0, 20, 0, 40] => {
            let (code, rest) = arguments.split_first_chunk()?;
            let (length, rest) = rest.split_first()?;
            let text = rest.get(..usize::from(*length))?;
            let text = String::from_utf8_lossy(text).into_owned();
            let code = u16::from_be_bytes(*code);
            Some(Ending::Closed(Answer { code, text }))
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

#[cfg(test)]
mod tests;
