//! What goes to consumers and publishers past lapin: read off its frames here, as the screen comes to them.
//!
//! A delivery, or a message that comes back, is a method frame, a content header, and as many body frames as the header says
//! (AMQP 0-9-1, section 4.2.6); frames of other channels may stand between them. lapin would parse each frame into a value of
//! its own, hand it through two locks, and wake the consumer at each message. Here the consumer is woken once for all that was
//! read. What is answered to publications comes in the order of the wire, which lapin does not keep (`publish`).

use std::collections::HashMap;
use std::sync::Arc;

use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use lapin::types::ShortString;

use crate::message::answered::{Answered, Returned};
use crate::message::arrived::Arrived;
use crate::wire::endings::{Endings, Takes};
use crate::wire::frame::{self, ACK, DELIVER, NACK, OPEN_OK, RETURN};

/// The class, a weight of no use, and the length of the body, in front of the properties.
const BEFORE_PROPERTIES: usize = 12;
/// A body that is announced as longer is given its room as it comes.
const ROOM_AT_ONCE: u64 = 256 << 20;

/// The channels of a connection on which something is taken.
#[derive(Debug)]
pub(super) struct Taking {
    endings: Endings,
    channels: HashMap<u16, Channel>,
    /// Who was given something since the last time that they were woken.
    to_wake: Vec<Takes>,
}

#[derive(Debug, Default)]
struct Channel {
    /// None for a channel that is lapin's alone.
    to: Option<Takes>,
    partial: Option<Partial>,
}

/// A message of which not all is here.
#[derive(Debug)]
struct Partial {
    content: Content,
    /// What is missing of its body; none before its header.
    missing: Option<u64>,
}

#[derive(Debug)]
enum Content {
    Delivery(Arrived),
    /// Its body is of no use.
    Returned(Returned),
}

impl Taking {
    pub(super) fn new(endings: Endings) -> Self {
        Self {
            endings,
            channels: HashMap::new(),
            to_wake: Vec::new(),
        }
    }

    /// Whether the next frame, which begins like this, is a part of a delivery that is taken. `None` if more of it has to
    /// be here to know.
    pub(super) fn wants(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Option<bool> {
        if kind != frame::METHOD {
            let of_channel = self.channels.get(&channel);
            let partial = of_channel.and_then(|of_channel| of_channel.partial.as_ref());
            return Some(match (kind, partial) {
                (frame::HEADER, Some(partial)) => partial.missing.is_none(),
                (frame::BODY, Some(partial)) => partial.missing.is_some(),
                _ => false,
            });
        }
        let method = *payload.first_chunk::<4>()?;
        if method == OPEN_OK {
            self.channels.remove(&channel);
        }
        Some(match method {
            DELIVER => matches!(self.takes(channel), Some(Takes::Deliveries(_))),
            ACK | NACK | RETURN => matches!(self.takes(channel), Some(Takes::Answers(_))),
            _ => false,
        })
    }

    /// Who has what comes on a channel. It is asked once, for as long as the channel is open.
    fn takes(&mut self, channel: u16) -> Option<&Takes> {
        let endings = &self.endings;
        let of_channel = self.channels.entry(channel).or_insert_with(|| Channel {
            to: endings.takes(channel),
            partial: None,
        });
        of_channel.to.as_ref()
    }

    /// Takes the payload of a method or a header; false if it makes no sense.
    pub(super) fn take(&mut self, kind: u8, channel: u16, payload: &[u8]) -> bool {
        let Some(of_channel) = self.channels.get_mut(&channel) else {
            return false;
        };
        let partial = of_channel.partial.take();
        if kind != frame::METHOD {
            of_channel.partial = partial.and_then(|partial| partial.with_header(payload));
            let makes_sense = of_channel.partial.is_some();
            of_channel.complete(&mut self.to_wake);
            return makes_sense;
        }
        if let (Some(Takes::Answers(to)), Some(answered)) = (&of_channel.to, confirm(payload)) {
            to.put(answered);
            wake_later(&mut self.to_wake, &Takes::Answers(Arc::clone(to)));
            return true;
        }
        of_channel.partial = Partial::of(payload);
        of_channel.partial.is_some()
    }

    /// Takes a piece of a body; false if there is more of it than its header says.
    pub(super) fn take_body(&mut self, channel: u16, piece: &[u8]) -> bool {
        let Some(of_channel) = self.channels.get_mut(&channel) else {
            return false;
        };
        let Some(Partial {
            content,
            missing: Some(missing),
        }) = &mut of_channel.partial
        else {
            return false;
        };
        let Some(rest) = missing.checked_sub(piece.len() as u64) else {
            return false;
        };
        if let Content::Delivery(arrived) = content {
            arrived.body.extend_from_slice(piece);
        }
        *missing = rest;
        of_channel.complete(&mut self.to_wake);
        true
    }

    /// Wakes those who were given something.
    pub(super) fn wake(&mut self) {
        for to in self.to_wake.drain(..) {
            match to {
                Takes::Deliveries(to) => to.wake(),
                Takes::Answers(to) => to.wake(),
            }
        }
    }
}

fn wake_later(to_wake: &mut Vec<Takes>, one: &Takes) {
    if !to_wake.iter().any(|other| other.is(one)) {
        to_wake.push(one.clone());
    }
}

impl Channel {
    /// Hands its message over if nothing of it is missing.
    fn complete(&mut self, to_wake: &mut Vec<Takes>) {
        let Some(to) = &self.to else {
            return;
        };
        let whole = self.partial.take_if(|partial| partial.missing == Some(0));
        let Some(Partial { content, .. }) = whole else {
            return;
        };
        match (to, content) {
            (Takes::Deliveries(to), Content::Delivery(arrived)) => to.put(arrived),
            (Takes::Answers(to), Content::Returned(back)) => {
                to.put(Answered::Returned(Box::new(back)))
            }
            // Of what does not belong on its channel nothing was taken.
            (Takes::Deliveries(_), Content::Returned(_))
            | (Takes::Answers(_), Content::Delivery(_)) => return,
        }
        wake_later(to_wake, to);
    }
}

impl Partial {
    /// What begins with this method.
    fn of(payload: &[u8]) -> Option<Self> {
        let content = match *payload.first_chunk()? {
            DELIVER => Content::Delivery(deliver(payload)?),
            RETURN => Content::Returned(came_back(payload)?),
            _ => return None,
        };
        Some(Self {
            content,
            missing: None,
        })
    }

    /// With the properties and the length of the header that follows the method, and room for the body.
    fn with_header(mut self, payload: &[u8]) -> Option<Self> {
        let (length, properties) = content_header(payload)?;
        match &mut self.content {
            Content::Delivery(arrived) => {
                arrived.properties = properties;
                let room = usize::try_from(length.min(ROOM_AT_ONCE)).ok()?;
                arrived.body.reserve_exact(room);
            }
            Content::Returned(back) => {
                back.properties = properties;
                back.length = length;
            }
        }
        self.missing = Some(length);
        Some(self)
    }
}

/// basic.ack and basic.nack: delivery tag, multiple.
fn confirm(payload: &[u8]) -> Option<Answered> {
    let (method, rest) = payload.split_first_chunk()?;
    let (tag, rest) = rest.split_first_chunk()?;
    let tag = u64::from_be_bytes(*tag);
    let multiple = rest.first()? & 1 == 1;
    match *method {
        ACK => Some(Answered::Ack { tag, multiple }),
        NACK => Some(Answered::Nack { tag, multiple }),
        _ => None,
    }
}

/// basic.return: code, text, exchange, routing key.
fn came_back(payload: &[u8]) -> Option<Returned> {
    let (code, rest) = payload.get(RETURN.len()..)?.split_first_chunk()?;
    let (words, rest) = short_string(rest)?;
    let (exchange, rest) = short_string(rest)?;
    let (routing_key, _) = short_string(rest)?;
    Some(Returned {
        code: u16::from_be_bytes(*code),
        text: text(words)?,
        exchange: text(exchange)?,
        routing_key: text(routing_key)?,
        properties: Default::default(),
        length: 0,
    })
}

/// basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
fn deliver(payload: &[u8]) -> Option<Arrived> {
    let (_consumer_tag, rest) = short_string(payload.get(DELIVER.len()..)?)?;
    let (tag, rest) = rest.split_first_chunk()?;
    let (flags, rest) = rest.split_first()?;
    let (exchange, rest) = short_string(rest)?;
    let (routing_key, _) = short_string(rest)?;
    Some(Arrived {
        tag: u64::from_be_bytes(*tag),
        redelivered: flags & 1 == 1,
        exchange: text(exchange)?,
        routing_key: text(routing_key)?,
        properties: Default::default(),
        body: Vec::new(),
    })
}

fn short_string(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn text(octets: &[u8]) -> Option<ShortString> {
    std::str::from_utf8(octets).ok().map(ShortString::from)
}

/// The length of the body, and the properties.
fn content_header(payload: &[u8]) -> Option<(u64, BasicProperties)> {
    let (before, properties) = payload.split_first_chunk::<BEFORE_PROPERTIES>()?;
    let (_class_and_weight, length) = before.split_last_chunk()?;
    let (_rest, properties) = parse_properties(properties).ok()?;
    Some((u64::from_be_bytes(*length), properties))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::time::Duration;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::arrivals::Taker;
    use crate::wire::in_flight::Share;
    use crate::wire::screen::tests::frame;
    use crate::wire::screen::{BrokerSlot, Screen};

    const CHANNEL: u8 = 1;

    /// A method, a header with a content type and a message id, and a body in pieces of 100 octets.
    fn delivery(channel: u8, tag: u64, body: &[u8]) -> Vec<Vec<u8>> {
        let method = [
            &DELIVER[..],
            b"\x02ct",
            &tag.to_be_bytes(),
            b"\x01",
            b"\x01e",
            b"\x01q",
        ];
        let length = (body.len() as u64).to_be_bytes();
        let header = [&[0, 60, 0, 0][..], &length, &[0x80, 0x80], b"\x01t\x02id"];
        let mut frames = vec![
            frame(frame::METHOD, channel, &method.concat()),
            frame(frame::HEADER, channel, &header.concat()),
        ];
        let pieces = body.chunks(100);
        frames.extend(pieces.map(|piece| frame(frame::BODY, channel, piece)));
        frames
    }

    /// A screen that takes the deliveries of [`CHANNEL`].
    fn taking() -> (Screen, Endings, Taker<Arrived>) {
        let endings = Endings::default();
        let share = Share::new(endings.in_flight(), None);
        let (_end, taker) = endings.watch_consuming(CHANNEL.into(), &share);
        let screen = Screen::new(BrokerSlot::default(), None).with_rooms(endings.clone());
        (screen, endings, taker)
    }

    /// What lapin sees of a stream that is read in chunks.
    fn read(screen: &mut Screen, stream: &[u8], chunk: usize) -> Vec<u8> {
        let mut seen = Vec::new();
        let mut out = [0; 50];
        for piece in stream.chunks(chunk) {
            screen.room()[..piece.len()].copy_from_slice(piece);
            screen.filled(piece.len());
            loop {
                let count = screen.take(&mut out);
                seen.extend_from_slice(&out[..count]);
                if count == 0 && !screen.goes_on() {
                    break;
                }
            }
        }
        seen
    }

    fn taken<T>(taker: &Taker<T>) -> Vec<T> {
        let mut taken = VecDeque::new();
        taker.take(&mut taken);
        taken.into()
    }

    proptest! {
        #[test]
        fn each_delivery_is_taken_whole_and_lapin_has_the_rest(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..12),
            between in 0usize..5,
            chunk in 1usize..700,
        ) {
            let (mut screen, _endings, taker) = taking();
            let mut stream = Vec::new();
            let mut for_lapin = Vec::new();
            for (tag, body) in (1..).zip(&bodies) {
                for (number, frame) in delivery(CHANNEL, tag, body).iter().enumerate() {
                    stream.extend_from_slice(frame);
                    // Frames of other channels may stand anywhere.
                    if number == between {
                        let other = delivery(2, tag, body).concat();
                        stream.extend_from_slice(&other);
                        for_lapin.extend_from_slice(&other);
                    }
                }
            }
            prop_assert_eq!(read(&mut screen, &stream, chunk), for_lapin);
            let taken = taken(&taker);
            let expected: Vec<_> = (1..).zip(bodies).collect();
            let found: Vec<_> = taken.iter().map(|one| (one.tag, one.body.clone())).collect();
            prop_assert_eq!(found, expected);
            for one in taken {
                prop_assert!(one.redelivered);
                prop_assert_eq!((one.exchange.as_str(), one.routing_key.as_str()), ("e", "q"));
                let kind = one.properties.content_type().as_ref().map(ShortString::as_str);
                let id = one.properties.message_id().as_ref().map(ShortString::as_str);
                prop_assert_eq!((kind, id), (Some("t"), Some("id")));
            }
        }
    }

    #[test]
    fn a_routing_key_that_is_no_text_is_taken_as_lapin_would_have_it() {
        let (mut screen, _endings, taker) = taking();
        let mut frames = delivery(CHANNEL, 1, b"x");
        frames[0] = frame(
            frame::METHOD,
            CHANNEL,
            &[&DELIVER[..], b"\x00", &[0; 9], b"\x00", b"\x02\xff\xfe"].concat(),
        );
        assert_eq!(read(&mut screen, &frames.concat(), 1000), b"");
        let taken = taken(&taker);
        assert_eq!(taken[0].routing_key.as_str(), "hive-bytes:fffe");
    }

    #[test]
    fn the_number_of_a_channel_that_is_used_again_is_another_channel() {
        let (mut screen, endings, before) = taking();
        let first = delivery(CHANNEL, 1, b"first");
        // Its body never comes.
        assert_eq!(read(&mut screen, &first[..2].concat(), 1000), b"");
        let open_ok = frame(frame::METHOD, CHANNEL, &[&OPEN_OK[..], &[0; 4]].concat());
        assert_eq!(read(&mut screen, &open_ok, 1000), open_ok);
        endings.watch(CHANNEL.into());
        let second = delivery(CHANNEL, 1, b"second").concat();
        assert_eq!(read(&mut screen, &second, 1000), second);
        assert_eq!(taken(&before), []);
    }

    #[test]
    fn what_makes_no_sense_is_for_lapin_to_refuse() {
        let frames = delivery(CHANNEL, 1, b"body");
        let too_short = [&frame(frame::METHOD, CHANNEL, &DELIVER)[..], &frames[1]].concat();
        // A content type of 50 octets, of which none is there.
        let header = [&[0, 60, 0, 0][..], &4_u64.to_be_bytes(), &[0x80, 0, 50]].concat();
        let header = frame(frame::HEADER, CHANNEL, &header);
        let header_without_method = frames[1].clone();
        for stream in [too_short, header_without_method] {
            let (mut screen, ..) = taking();
            assert_eq!(read(&mut screen, &stream, 1000), stream);
        }
        let (mut screen, ..) = taking();
        let stream = [&frames[0][..], &header].concat();
        assert_eq!(read(&mut screen, &stream, 1000), header);
        let (mut screen, _endings, taker) = taking();
        let too_long = frame(frame::BODY, CHANNEL, b"bodies");
        let stream = [&frames[0][..], &frames[1], &too_long].concat();
        assert_eq!(read(&mut screen, &stream, 1000), b"bodies\xce");
        assert_eq!(taken(&taker), []);
    }

    #[test]
    fn a_consumer_that_is_gone_gets_nothing_and_one_that_waits_is_woken_once_for_all() {
        let (mut screen, endings, taker) = taking();
        let mut ahead = VecDeque::new();
        let (waker, woken) = counting_waker();
        let mut context = std::task::Context::from_waker(&waker);
        assert!(taker.poll_take(&mut context, &mut ahead).is_pending());
        let three = [1, 2, 3].map(|tag| delivery(CHANNEL, tag, b"x").concat());
        assert_eq!(read(&mut screen, &three.concat(), 1000), b"");
        screen.wake();
        screen.wake();
        assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 1);
        let came = poll_fn(|context| taker.poll_take(context, &mut ahead)).now_or_never();
        assert!(came.is_some());
        assert_eq!(ahead.len(), 3);
        drop(taker);
        assert_eq!(read(&mut screen, &three.concat(), 1000), b"");
        let Some(Takes::Deliveries(arrivals)) = endings.takes(CHANNEL.into()) else {
            panic!("it consumes");
        };
        let kept = taken(&Taker::new(&arrivals));
        assert_eq!(kept, []);
    }

    #[test]
    fn what_is_answered_to_publications_is_taken_in_the_order_of_the_wire() {
        for chunk in [1, 10, 1000] {
            let endings = Endings::default();
            let (_end, taker) = endings.watch_publishing(CHANNEL.into());
            let mut screen = Screen::new(BrokerSlot::default(), None).with_rooms(endings.clone());
            let confirm = |method: [u8; 4], channel: u8, tag: u64, flags: u8| {
                let payload = [&method[..], &tag.to_be_bytes(), &[flags]].concat();
                frame(frame::METHOD, channel, &payload)
            };
            let words = b"\x01\x38\x08NO_ROUTE\x01e\x02\xff\xfe";
            let back = frame(frame::METHOD, CHANNEL, &[&RETURN[..], words].concat());
            let content = &delivery(CHANNEL, 1, &[b'x'; 150])[1..];
            let of_lapin = confirm(ACK, 2, 3, 0);
            let stream = [
                &confirm(ACK, CHANNEL, 1, 1)[..],
                &of_lapin,
                &back,
                &content.concat(),
                &confirm(NACK, CHANNEL, 3, 0),
            ];
            assert_eq!(read(&mut screen, &stream.concat(), chunk), of_lapin);
            let taken = taken(&taker);
            let [
                Answered::Ack {
                    tag: 1,
                    multiple: true,
                },
                Answered::Returned(back),
                Answered::Nack {
                    tag: 3,
                    multiple: false,
                },
            ] = &taken[..]
            else {
                panic!("{taken:?}");
            };
            let id = back
                .properties
                .message_id()
                .as_ref()
                .map(ShortString::as_str);
            assert_eq!((back.length, id), (150, Some("id")));
            assert_eq!(
                back.words(),
                "312 NO_ROUTE (exchange \"e\", routing key \"hive-bytes:fffe\")"
            );
        }
    }

    /// A waker that counts.
    fn counting_waker() -> (std::task::Waker, Arc<std::sync::atomic::AtomicUsize>) {
        struct Counts(Arc<std::sync::atomic::AtomicUsize>);
        impl std::task::Wake for Counts {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let count = Arc::default();
        (Arc::new(Counts(Arc::clone(&count))).into(), count)
    }

    #[test]
    fn lapin_hears_something_while_only_deliveries_come() {
        let (mut screen, ..) = taking();
        let one = delivery(CHANNEL, 1, b"x").concat();
        assert_eq!(read(&mut screen, &one, 1000), b"");
        assert!(screen.has_taken() && !screen.has_taken());
        assert_eq!(read(&mut screen, b"", 1000), b"");
        screen.heard_at -= Duration::from_secs(1);
        // In the middle of a body as well.
        let half = one.len() - 1;
        assert_eq!(read(&mut screen, &one[..half], 1000), b"");
        assert!(screen.has_taken());
        let mut out = [0; 50];
        assert_eq!(screen.take(&mut out), 8);
        assert_eq!(out[..8], frame(frame::HEARTBEAT, 0, b"")[..]);
        assert_eq!(read(&mut screen, &one[half..], 1000), b"");
        assert!(screen.has_taken());
        assert_eq!(screen.take(&mut out), 0, "it heard something already");
    }
}
