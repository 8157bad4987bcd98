//! What lapin sees of a stream, whatever its pieces.

use std::sync::Arc;

use hive_telemetry::Telemetry;
use proptest::prelude::*;

use super::*;
use crate::wire::in_flight::InFlight;

fn run(stream: &[u8], chunk: usize, out: usize) -> Vec<u8> {
    let mut screen = Screen::new(BrokerSlot::default(), None);
    let mut seen = Vec::new();
    let mut buffer = vec![0; out];
    for piece in stream.chunks(chunk) {
        screen.room()[..piece.len()].copy_from_slice(piece);
        screen.filled(piece.len());
        loop {
            match screen.take(&mut buffer) {
                0 => break,
                count => seen.extend_from_slice(&buffer[..count]),
            }
        }
    }
    loop {
        match screen.take_rest(&mut buffer) {
            0 => break,
            count => seen.extend_from_slice(&buffer[..count]),
        }
    }
    seen
}

proptest! {
    #[test]
    fn loses_no_byte_of_anything(
        stream in proptest::collection::vec(any::<u8>(), 0..2000),
        chunk in 1usize..300,
        out in 1usize..300,
    ) {
        prop_assert!(run(&stream, chunk, out).len() >= stream.len());
    }

    #[test]
    fn lets_sound_frames_through_unchanged(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..20),
        chunk in 1usize..300,
        out in 1usize..300,
    ) {
        let mut stream = Vec::new();
        for body in bodies {
            stream.extend_from_slice(&[frame::BODY, 0, 1]);
            stream.extend_from_slice(&(body.len() as u32).to_be_bytes());
            stream.extend_from_slice(&body);
            stream.push(0xce);
        }
        prop_assert_eq!(run(&stream, chunk, out), stream);
    }
}

/// A whole frame.
pub(in crate::wire) fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u32).to_be_bytes();
    [&[kind, 0, channel][..], &size, payload, b"\xce"].concat()
}

/// So much memory for the bodies of a connection's deliveries.
pub(super) fn rooms(most: u64) -> Endings {
    let telemetry = Telemetry::new().expect("metrics are registered").bodies();
    Endings::within(&Arc::new(InFlight::new(most, telemetry)))
}

/// The same on channel 1.
fn whole(kind: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind, 1, payload)
}

#[test]
fn headers_larger_than_the_agreed_frame_are_left_out() {
    let tune = [0, 10, 0, 30, 7, 255, 0, 0, 0x10, 0, 0, 60];
    let text = |name: &[u8], length: u16| {
        let length_of_text = [&[0, 0][..], &length.to_be_bytes()].concat();
        let text = vec![b'x'; length.into()];
        [&[name.len() as u8][..], name, b"S", &length_of_text, &text].concat()
    };
    let header = |table: &[u8]| {
        let length = (table.len() as u32).to_be_bytes();
        [&[0; 12][..], &[0x20, 0], &length, table].concat()
    };
    let (kept, added) = (text(b"kept", 4000), text(b"x-death", 90));
    let too_large = whole(frame::HEADER, &header(&[kept.clone(), added].concat()));
    let fits = whole(frame::HEADER, &header(&kept));
    let before = whole(frame::METHOD, &tune);
    let after = whole(frame::BODY, b"body");
    let seen = run(&[&before[..], &too_large, &after].concat(), 700, 100);
    assert_eq!(seen, [before, fits, after].concat());
}

#[test]
fn the_smaller_frame_is_agreed_on() {
    assert_eq!(agreed(None, 131_072), Some(131_072));
    assert_eq!(agreed(Some(8192), 131_072), Some(8192));
    assert_eq!(agreed(Some(8192), 0), Some(8192));
    assert_eq!(agreed(None, 0), None);
    assert_eq!(agreed(Some(1), 131_072), Some(LEAST_FRAME_MAX));
}

#[test]
fn the_end_of_a_channels_deliveries_is_seen() {
    let mut cancel = whole(
        frame::METHOD,
        &[&[0, 60, 0, 30][..], b"\x03tag\x01"].concat(),
    );
    cancel[2] = 7;
    let mut screen = Screen::new(BrokerSlot::default(), None);
    screen.room()[..cancel.len()].copy_from_slice(&cancel);
    screen.filled(cancel.len());
    let seen: Vec<_> = screen.take_endings().collect();
    assert_eq!(seen, [(7, Ending::Cancelled)]);
    assert_eq!(screen.take_endings().count(), 0, "it is told once");
}

#[test]
fn another_protocol_goes_through() {
    assert_eq!(run(b"AMQP\x00\x00\x09\x01", 3, 8), b"AMQP\x00\x00\x09\x01");
}

#[test]
fn a_binary_correlation_id_becomes_a_text_of_its_own_and_what_follows_is_untouched() {
    let properties = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0];
    let binary = [&properties[..], &[3, 0xff, b'a', 0xc3]].concat();
    let text = [&properties[..], &[17], b"hive-bytes:ff61c3"].concat();
    let body = whole(frame::BODY, b"body");
    let stream = [whole(frame::HEADER, &binary), body.clone()].concat();
    let expected = [whole(frame::HEADER, &text), body].concat();
    for chunk in [1, 5, 100] {
        assert_eq!(run(&stream, chunk, 100), expected);
    }
}
