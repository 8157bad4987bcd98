//! What is taken past lapin of a stream of frames, however they are cut, and what is left to it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::wire::arrivals::Taker;
use crate::wire::in_flight::Share;
use crate::wire::screen::tests::{frame, rooms};
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
    taking_within(Endings::default())
}

fn taking_within(endings: Endings) -> (Screen, Endings, Taker<Arrived>) {
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

/// Where something before it is for lapin, the screen looks at it more than once.
#[test]
fn a_delivery_takes_its_room_once() {
    for chunk in [1, 1000, 50_000] {
        let (mut screen, _endings, taker) = taking_within(rooms(100 << 10));
        let for_lapin = delivery(2, 1, b"other").concat();
        let body = vec![b'x'; 60 << 10];
        let stream = [for_lapin.clone(), delivery(CHANNEL, 1, &body).concat()].concat();
        assert_eq!(read(&mut screen, &stream, chunk), for_lapin);
        assert_eq!(screen.held(), None);
        let bodies: Vec<_> = taken(&taker).into_iter().map(|one| one.body).collect();
        assert_eq!(bodies, [body], "read in pieces of {chunk}");
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
