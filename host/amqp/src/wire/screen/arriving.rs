//! A delivery that is about to be read: whether there is room in memory for its body.
//!
//! `basic.deliver` is a method frame, and the length of the body is in the frame behind it, its content header
//! (AMQP 0-9-1, section 4.2.6). Nothing of a delivery is passed on before both were seen: lapin would take a delivery
//! without its content for an error.

use std::collections::BTreeSet;

use super::HEAD;
use crate::wire::endings::Endings;
use crate::wire::frame::{self, DELIVER, OPEN_OK};
use crate::wire::in_flight::{Arrival, NOT_COUNTED};

/// The octet that ends a frame.
const FRAME_END: usize = 1;

/// A delivery with a body that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) struct Arriving {
    pub(in crate::wire) channel: u16,
    tag: u64,
    /// The length of its body.
    pub(in crate::wire) bytes: u64,
}

/// What is done with the next frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing stands against it.
    Pass,
    /// More has to be read before that is known.
    NotYet,
    /// It is taken out.
    LeaveOut,
    /// It is a delivery that waits for room.
    Hold(Arriving),
}

/// Looks at the next frame, whose payload has `size` octets. `left_out` are the channels whose deliveries are taken out.
pub(super) fn look(
    rest: &[u8],
    size: usize,
    left_out: &mut BTreeSet<[u8; 2]>,
    rooms: &Endings,
) -> Look {
    let Some(&[kind, high, low, ..]) = rest.first_chunk::<HEAD>() else {
        return Look::NotYet;
    };
    let channel = [high, low];
    match kind {
        // Of content, such a channel has deliveries alone.
        frame::HEADER | frame::BODY if left_out.contains(&channel) => Look::LeaveOut,
        frame::METHOD => {
            let Some(method) = rest
                .get(HEAD..)
                .and_then(|payload| payload.first_chunk::<4>())
            else {
                return Look::NotYet;
            };
            match *method {
                OPEN_OK => {
                    left_out.remove(&channel);
                    Look::Pass
                }
                DELIVER if left_out.contains(&channel) => Look::LeaveOut,
                DELIVER => deliver(rest, size, channel, left_out, rooms),
                _ => Look::Pass,
            }
        }
        _ => Look::Pass,
    }
}

fn deliver(
    rest: &[u8],
    size: usize,
    channel: [u8; 2],
    left_out: &mut BTreeSet<[u8; 2]>,
    rooms: &Endings,
) -> Look {
    let Some(behind) = rest.get(HEAD + size + FRAME_END..) else {
        return Look::NotYet;
    };
    let (Some(head), Some(header)) = (
        behind.first_chunk::<HEAD>(),
        behind
            .get(HEAD..)
            .and_then(|payload| payload.first_chunk::<12>()),
    ) else {
        return Look::NotYet;
    };
    // RabbitMQ writes the two in one go. Where anything else stood between them, the body would not be counted.
    let is_its_header = head[0] == frame::HEADER && head[1..3] == channel;
    let bytes = u64::from_be_bytes([
        header[4], header[5], header[6], header[7], header[8], header[9], header[10], header[11],
    ]);
    let Some(tag) = tag(&rest[HEAD..HEAD + size]) else {
        return Look::Pass;
    };
    if !is_its_header || bytes <= NOT_COUNTED {
        return Look::Pass;
    }
    let arriving = Arriving {
        channel: u16::from_be_bytes(channel),
        tag,
        bytes,
    };
    match rooms.arrives(arriving.channel, tag, bytes) {
        Arrival::LetIn => Look::Pass,
        Arrival::Waits => Look::Hold(arriving),
        Arrival::LeftOut => {
            left_out.insert(channel);
            Look::LeaveOut
        }
    }
}

/// The delivery tag, which follows the consumer tag.
fn tag(payload: &[u8]) -> Option<u64> {
    let (length, rest) = payload.get(DELIVER.len()..)?.split_first()?;
    let octets = rest.get(usize::from(*length)..)?.first_chunk()?;
    Some(u64::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::wire::endings::End;
    use crate::wire::in_flight::Share;
    use crate::wire::screen::tests::{frame, rooms};
    use crate::wire::screen::{BrokerSlot, Screen};

    const KIB: u64 = 1 << 10;

    fn delivery(channel: u8, tag: u64, length: u64) -> Vec<u8> {
        let method = [
            &DELIVER[..],
            b"\x02ct",
            &tag.to_be_bytes(),
            b"\x00",
            b"\x00",
            b"\x01q",
        ]
        .concat();
        let header = [&[0, 60, 0, 0][..], &length.to_be_bytes(), &[0, 0]].concat();
        let body = vec![b'x'; length as usize];
        [
            frame(frame::METHOD, channel, &method),
            frame(frame::HEADER, channel, &header),
            frame(frame::BODY, channel, &body),
        ]
        .concat()
    }

    /// A channel, number 1, whose bodies are counted and whose deliveries lapin has.
    fn counted(rooms: &Endings, most: Option<u64>) -> Arc<End> {
        let end = rooms.watch(1);
        end.bodies().count(&Share::new(rooms.in_flight(), most));
        end
    }

    fn read(screen: &mut Screen, mut stream: &[u8], chunk: usize) -> Vec<u8> {
        let mut seen = Vec::new();
        let mut out = [0; 100];
        loop {
            loop {
                match screen.take(&mut out) {
                    0 => break,
                    count => seen.extend_from_slice(&out[..count]),
                }
            }
            if screen.held().is_some() || stream.is_empty() {
                return seen;
            }
            let (piece, rest) = stream.split_at(chunk.min(stream.len()));
            screen.room()[..piece.len()].copy_from_slice(piece);
            screen.filled(piece.len());
            stream = rest;
        }
    }

    #[test]
    fn the_screen_stops_before_a_delivery_without_room_and_goes_on_when_there_is_some() {
        for chunk in [1, 3, 100, 50_000] {
            let rooms = rooms(100 * KIB);
            let end = counted(&rooms, None);
            let mut screen = Screen::new(BrokerSlot::default(), None).with_rooms(rooms);
            let (first, second) = (delivery(1, 1, 60 * KIB), delivery(1, 2, 50 * KIB));
            let small = delivery(2, 1, KIB);
            let stream = [first.clone(), small.clone(), second.clone()].concat();
            let seen = read(&mut screen, &stream, chunk);
            assert_eq!(seen, [first, small].concat());
            let held = screen.held().expect("the second waits");
            assert_eq!((held.channel, held.tag, held.bytes), (1, 2, 50 * KIB));
            drop(end.bodies().part_of(1, 60 << 10));
            screen.look_again();
            let rest = stream.len() - seen.len();
            // What was not read yet is read now.
            let unread = rest - (screen.end - screen.start);
            assert_eq!(
                read(&mut screen, &stream[stream.len() - unread..], chunk),
                second
            );
        }
    }

    #[test]
    fn of_a_channel_that_is_full_only_deliveries_are_left_out_until_its_number_is_used_again() {
        for chunk in [1, 7, 50_000] {
            let rooms = rooms(100 * KIB);
            let _end = counted(&rooms, Some(70 * KIB));
            let mut screen = Screen::new(BrokerSlot::default(), None).with_rooms(rooms.clone());
            let first = delivery(1, 1, 60 * KIB);
            let cancel_ok = frame(frame::METHOD, 1, b"\x00\x3c\x00\x1f\x02ct");
            let other = delivery(2, 1, 10);
            let stream = [
                first.clone(),
                delivery(1, 2, 60 * KIB),
                other.clone(),
                delivery(1, 3, 10),
                cancel_ok.clone(),
            ]
            .concat();
            let seen = read(&mut screen, &stream, chunk);
            assert_eq!(seen, [first.clone(), other, cancel_ok].concat());
            let open_ok = frame(frame::METHOD, 1, b"\x00\x14\x00\x0b\x00\x00\x00\x00");
            let _new = counted(&rooms, None);
            let again = [open_ok, delivery(1, 1, 10)].concat();
            assert_eq!(read(&mut screen, &again, chunk), again);
        }
    }
}
