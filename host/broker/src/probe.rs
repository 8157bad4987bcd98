//! A way into the broker without a socket, for the fuzz target: not part of the API.

use amq_protocol::frame::parse_frame;
use bytes::Bytes;

use crate::state::{Limits, State};
use crate::time::Time;
use crate::wire::{Decoder, Properties};

/// The frames that a client sends until it is logged in: header, login, limits, vhost, and channel 1.
const ENTRY: &[&[u8]] = &[
    b"AMQP\0\0\x09\x01",
    b"\x01\0\0\0\0\0\x24\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US\xce",
    b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\0\x0a\0\0\x10\0\0\0\xce",
    b"\x01\0\0\0\0\0\x08\0\x0a\0\x28\x01/\0\0\xce",
    b"\x01\0\x01\0\0\0\x05\0\x14\0\x0a\0\xce",
];

/// Feeds the octets of one client to a broker, in pieces, and lets a day pass. Whatever the octets are, the
/// broker must survive, and its answers must be valid frames.
///
/// # Panics
///
/// If the broker answers with something that is not a frame.
pub fn feed(octets: &[u8], piece: usize, logged_in: bool) {
    let mut state = State::new(Limits::default(), Time::from_millis(0));
    let id = state.connect("fuzz".to_owned(), true);
    let mut decoder = Decoder::default();
    if logged_in {
        for part in ENTRY {
            decoder.buffer().extend_from_slice(part);
            let _flow = state.input(id, &mut decoder);
        }
        let connection = &state.connections[&id];
        assert!(connection.channels.contains_key(&1), "the entry is wrong");
    }
    for part in octets.chunks(piece.max(1)) {
        decoder.buffer().extend_from_slice(part);
        let _flow = state.input(id, &mut decoder);
    }
    state.advance(Time::from_millis(86_400_000));
    let answers = state.take_out(id);
    let mut rest = &answers[..];
    while !rest.is_empty() {
        rest = behind_a_frame(rest);
    }
    state.disconnect(id);
}

/// The type of a frame with the properties of a message.
const CONTENT_HEADER: u8 = 2;
/// Ends a frame.
const FRAME_END: u8 = 0xce;
/// In front of the properties: type and channel and size of the frame, class and weight and size of the body.
const BEFORE_PROPERTIES: usize = 7 + 12;

/// What is behind the first frame.
fn behind_a_frame(answers: &[u8]) -> &[u8] {
    if answers[0] != CONTENT_HEADER {
        let (after, _frame) = parse_frame(answers).expect("the broker answers in frames");
        return after;
    }
    // Properties keep the octets that came, and the library reads no text but UTF-8.
    let length = answers.get(3..7).expect("a frame has a size");
    let length = u32::from_be_bytes(length.try_into().expect("these are four octets")) as usize;
    let (frame, after) = answers
        .split_at_checked(7 + length + 1)
        .expect("a frame is as long as it says");
    let properties = &frame[BEFORE_PROPERTIES..7 + length];
    let properties = Properties::read(Bytes::copy_from_slice(properties));
    assert!(properties.is_some(), "the properties are whole");
    assert_eq!(frame.last(), Some(&FRAME_END));
    after
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_gets_in() {
        feed(b"", 1, true);
    }

    /// A mandatory publication to no queue, with a content type that is not UTF-8: it comes back as it is.
    #[test]
    fn a_text_that_is_not_utf_8_comes_back_in_a_frame() {
        let publish = b"\x01\0\x01\0\0\0\x09\0\x3c\0\x28\0\0\0\0\x01\xce";
        let header = b"\x02\0\x01\0\0\0\x10\0\x3c\0\0\0\0\0\0\0\0\0\0\x80\0\x01\xff\xce";
        feed(&[&publish[..], header].concat(), 900, true);
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_harms_the_broker(
            octets in prop::collection::vec(any::<u8>(), 0..300),
            piece in 1..50_usize,
            logged_in in any::<bool>(),
        ) {
            feed(&octets, piece, logged_in);
        }
    }
}
