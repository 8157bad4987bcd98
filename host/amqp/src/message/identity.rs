//! What a message is known by: its own id, or what tells it apart from others.
//!
//! Publications that come of a delivery get ids made from it, so that whoever consumes them can recognise
//! a repeat. A false repeat loses a message, so an id must never be shared by two messages.
//!
//! - A message with an id is known by that, at every attempt and after every crash.
//! - So is one in a stream, by its offset.
//! - Any other may have a twin that is the same in everything. A [`Mark`], drawn when the delivery arrives,
//!   tells them apart. Retry copies and dead letters carry it, so that every attempt has the same id. A
//!   delivery that the broker hands out again is marked anew: nothing says which of the twins it is. The
//!   host may give it a mark that it had drawn for one of them and lost with its delivery, unacknowledged:
//!   no message is done with under that mark, and of twins each may have the other's.
//!
//! What the host itself has to recognise when it comes again goes by its [`Fingerprint`], which twins share:
//! what is remembered of one of them is as true of the other.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use lapin::BasicProperties;
use sha2::{Digest, Sha256};

use super::encode::{Sink, put_numbered_properties};
use super::original::Original;

/// Octets of the hash that are kept.
const KEPT: usize = 16;

/// Room for the index of a publication behind an identity: "-" and a number.
const ROOM_FOR_INDEX: usize = 21;

/// A hash that a message shares only with identical ones, at every delivery: see [`Original::fingerprint`].
pub type Fingerprint = [u8; 32];

/// Distinguishes a message without an id from identical ones.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    number: u128,
    /// For this delivery; a copy carries its own.
    is_drawn: bool,
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Mark {
    /// One that no other message has, of this host or another.
    pub(crate) fn draw() -> Self {
        // Its keys come from the system's own source of random numbers.
        static RANDOM: LazyLock<u128> = LazyLock::new(|| {
            let half = |which: u8| u128::from(RandomState::new().hash_one(which));
            half(0) << 64 | half(1)
        });
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        let number = DRAWN.fetch_add(1, Ordering::Relaxed);
        Self {
            number: RANDOM.wrapping_add(number.into()),
            is_drawn: true,
        }
    }

    /// Reads a copy's mark, as [`fmt::Display`] writes it.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self {
            number,
            is_drawn: false,
        })
    }

    /// Whether it was drawn as this delivery arrived.
    pub(crate) fn is_drawn(self) -> bool {
        self.is_drawn
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.number)
    }
}

struct Hash(Sha256);

impl Sink for Hash {
    fn put(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl Hash {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u64).to_be_bytes());
        self.put(bytes);
    }

    fn message(&mut self, original: &Original, body: &[u8]) {
        self.part(original.queue.as_bytes());
        self.part(original.exchange.as_str().as_bytes());
        self.part(original.routing_key.as_str().as_bytes());
        put_numbered_properties(&original.properties, self);
        self.part(body);
        if let Some(offset) = original.stream_offset {
            self.part(&offset.to_be_bytes());
        }
    }

    fn finish(self) -> String {
        let digest = self.0.finalize();
        let mut text = "hive-".to_owned();
        for octet in &digest[..KEPT] {
            text.push_str(&format!("{octet:02x}"));
        }
        text
    }
}

/// The message-id, if there is one that is not empty.
pub(crate) fn own_id(properties: &BasicProperties) -> Option<&str> {
    let id = properties.message_id().as_ref()?.as_str();
    (!id.is_empty()).then_some(id)
}

/// The identity of a message, once the host's bookkeeping is taken off.
pub(crate) fn identity(original: &Original, body: &[u8]) -> String {
    if let Some(id) = own_id(&original.properties) {
        return shorten(id);
    }
    let mut hash = Hash::new();
    hash.message(original, body);
    if let Some(mark) = original.mark {
        hash.part(mark.to_string().as_bytes());
    }
    hash.finish()
}

/// A hash of the message, shared only by messages that are equal to the byte, whatever ids their publishers
/// gave them; in a stream, by none.
pub(crate) fn fingerprint(original: &Original, body: &[u8]) -> Fingerprint {
    let mut hash = Hash::new();
    hash.message(original, body);
    hash.0.finalize().into()
}

/// An id that leaves no room for an index is hashed: two long ones must not become the same.
fn shorten(id: &str) -> String {
    if id.len() + ROOM_FOR_INDEX <= 255 {
        return id.to_owned();
    }
    let mut hash = Hash::new();
    hash.part(id.as_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(properties: BasicProperties) -> Original {
        Original {
            queue: "orders".into(),
            exchange: "shop".into(),
            routing_key: "order.created".into(),
            properties,
            stream_offset: None,
            mark: Some(Mark::draw()),
            first_trace: None,
        }
    }

    #[test]
    fn an_id_of_its_own_is_kept() {
        let properties = BasicProperties::default().with_message_id("m-1".into());
        assert_eq!(original(properties).identity(b"{}"), "m-1");
    }

    #[test]
    fn twins_without_an_id_are_told_apart_and_every_attempt_has_the_same() {
        let twin = original(BasicProperties::default());
        let other = original(BasicProperties::default());
        assert_eq!(twin.fingerprint(b"{}"), other.fingerprint(b"{}"));
        assert_ne!(twin.identity(b"{}"), other.identity(b"{}"));
        let written = twin.mark.expect("it was drawn").to_string();
        let mark = Mark::read(written.as_bytes());
        let copy = Original { mark, ..other };
        assert_eq!(twin.identity(b"{}"), copy.identity(b"{}"));
        assert_ne!(twin.identity(b"{}"), twin.identity(b"{ }"));
        assert_eq!(twin.identity(b"{}").len(), "hive-".len() + 32);
    }

    #[test]
    fn a_message_of_a_stream_is_known_by_its_offset_after_a_crash_too() {
        let at = |offset| Original {
            stream_offset: Some(offset),
            mark: None,
            ..original(BasicProperties::default())
        };
        assert_eq!(at(7).identity(b"{}"), at(7).identity(b"{}"));
        assert_ne!(at(7).identity(b"{}"), at(8).identity(b"{}"));
    }

    #[test]
    fn messages_with_one_id_have_fingerprints_of_their_own() {
        let properties = BasicProperties::default().with_message_id("m-1".into());
        let of = |body: &[u8], stream_offset| {
            let original = Original {
                stream_offset,
                ..original(properties.clone())
            };
            original.fingerprint(body)
        };
        assert_eq!(of(b"{}", None), of(b"{}", None));
        assert_ne!(of(b"{}", None), of(b"{ }", None));
        assert_ne!(of(b"{}", Some(1)), of(b"{}", Some(2)));
    }

    #[test]
    fn an_id_without_room_for_an_index_is_hashed() {
        let long = "x".repeat(250);
        let properties = BasicProperties::default().with_message_id(long.as_str().into());
        assert!(original(properties).identity(b"").starts_with("hive-"));
    }
}
