//! A way into the broker without a socket, for the fuzz target: not part of the API.

use crate::state::{Flow, Limits, State};
use crate::time::Time;
use crate::wire::{Decoder, Frame, Properties};

/// The frames that a client sends until it is logged in: header, login, limits, vhost, and channel 1.
const ENTRY: &[&[u8]] = &[
    b"AMQP\0\0\x09\x01",
    b"\x01\0\0\0\0\0\x24\0\x0a\0\x0b\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US\xce",
    b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\0\x0a\0\0\x20\0\0\0\xce",
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
        if state.input(id, &mut decoder) == Flow::Ended {
            break;
        }
    }
    state.advance(Time::from_millis(86_400_000));
    let answers = state.take_out(id);
    read(&answers);
    state.disconnect(id);
}

/// Reads answers to their end: frames, or the header that a client with another one gets.
fn read(answers: &[u8]) {
    let mut decoder = Decoder::default();
    decoder.set_frame_max(0);
    decoder.buffer().extend_from_slice(answers);
    if answers.starts_with(b"AMQP") {
        decoder
            .protocol_header()
            .expect("a header has eight octets");
    }
    while let Some(frame) = decoder.frame().expect("the broker answers in frames") {
        if let Frame::Header { properties, .. } = frame {
            Properties::read(properties).expect("properties are whole");
        }
    }
    assert!(decoder.buffer().is_empty(), "a frame is cut off");
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
