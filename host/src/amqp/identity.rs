//! What a message is known by: its own id, or what tells it apart from others.
//!
//! Publications that come of a delivery get ids made from the delivery's, so that whoever consumes
//! them can recognise a repeat. It must be the same at every attempt and after every crash.

use lapin::BasicProperties;
use sha2::{Digest, Sha256};

use super::encode::{Sink, put_numbered_properties};

/// Octets of the hash that are kept.
const KEPT: usize = 16;

/// Room for the index of a publication behind an identity: "-" and a number.
const ROOM_FOR_INDEX: usize = 21;

struct Hash(Sha256);

impl Sink for Hash {
    fn put(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl Hash {
    fn part(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u64).to_be_bytes());
        self.put(bytes);
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

/// The identity of a message from `queue`. `properties` are as they were published, without the host's
/// bookkeeping.
pub(super) fn identity(
    queue: &str,
    exchange: &str,
    routing_key: &str,
    properties: &BasicProperties,
    body: &[u8],
) -> String {
    if let Some(id) = properties.message_id().as_ref().map(|id| id.as_str())
        && !id.is_empty()
    {
        return shorten(id);
    }
    let mut hash = Hash(Sha256::new());
    hash.part(queue.as_bytes());
    hash.part(exchange.as_bytes());
    hash.part(routing_key.as_bytes());
    put_numbered_properties(properties, &mut hash);
    hash.part(body);
    hash.finish()
}

/// What tells one message of `queue` from every other that is not the same to the byte, whatever ids
/// their publishers gave them; in a stream, from every other. `offset` is its place there.
pub(super) fn fingerprint(
    queue: &str,
    exchange: &str,
    routing_key: &str,
    properties: &BasicProperties,
    body: &[u8],
    offset: Option<u64>,
) -> [u8; 32] {
    let mut hash = Hash(Sha256::new());
    hash.part(queue.as_bytes());
    hash.part(exchange.as_bytes());
    hash.part(routing_key.as_bytes());
    put_numbered_properties(properties, &mut hash);
    hash.part(body);
    if let Some(offset) = offset {
        hash.part(&offset.to_be_bytes());
    }
    hash.0.finalize().into()
}

/// An id that leaves no room for an index is hashed: two long ones must not become the same.
fn shorten(id: &str) -> String {
    if id.len() + ROOM_FOR_INDEX <= 255 {
        return id.to_owned();
    }
    let mut hash = Hash(Sha256::new());
    hash.part(id.as_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_of(properties: &BasicProperties, body: &[u8]) -> String {
        identity("orders", "shop", "order.created", properties, body)
    }

    #[test]
    fn an_id_of_its_own_is_kept() {
        let properties = BasicProperties::default().with_message_id("m-1".into());
        assert_eq!(identity_of(&properties, b"{}"), "m-1");
    }

    #[test]
    fn a_message_without_one_is_known_by_what_it_is() {
        let properties = BasicProperties::default();
        let once = identity_of(&properties, b"{}");
        assert_eq!(once, identity_of(&properties, b"{}"));
        assert_ne!(once, identity_of(&properties, b"{ }"));
        let other = properties.with_app_id("shop".into());
        assert_ne!(once, identity_of(&other, b"{}"));
        assert_eq!(once.len(), "hive-".len() + 32);
    }

    #[test]
    fn messages_with_one_id_have_fingerprints_of_their_own() {
        let properties = BasicProperties::default().with_message_id("m-1".into());
        let of = |body: &[u8], offset| {
            fingerprint("orders", "shop", "order.created", &properties, body, offset)
        };
        assert_eq!(of(b"{}", None), of(b"{}", None));
        assert_ne!(of(b"{}", None), of(b"{ }", None));
        assert_ne!(of(b"{}", Some(1)), of(b"{}", Some(2)));
    }

    #[test]
    fn an_id_without_room_for_an_index_is_hashed() {
        let long = "x".repeat(250);
        let properties = BasicProperties::default().with_message_id(long.as_str().into());
        assert!(identity_of(&properties, b"").starts_with("hive-"));
    }
}
