//! A way into the broker without a socket, for the fuzz target: not part of the API.

use amq_protocol::frame::parse_frame;

use crate::state::{Limits, State};
use crate::time::Time;
use crate::wire::Decoder;

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
        let (after, _frame) = parse_frame(rest).expect("the broker answers in frames");
        rest = after;
    }
    state.disconnect(id);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_gets_in() {
        feed(b"", 1, true);
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
