//! Publications between the frames of lapin, octet by octet.

use std::future::poll_fn;
use std::sync::Arc;

use futures_io::{AsyncRead as _, AsyncWrite as _};
use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;
use crate::message::outgoing::Outgoing;
use crate::publish::published;
use crate::wire::frame::{BODY, HEADER, METHOD};
use crate::wire::screen::tests::frame;

pub(super) const GREETING: &[u8] = b"AMQP\0\0\x09\x01";
/// The channel that publishes. lapin's frames are on others.
pub(super) const CHANNEL: u8 = 7;
/// The least that AMQP allows.
pub(super) const FRAME_MAX: u32 = 4096;

/// A socket that takes so many octets until they are read at its other end.
pub(super) fn socket(room: usize) -> (Socket, Endings, DuplexStream) {
    let endings = Endings::default();
    let (near, far) = tokio::io::duplex(room);
    let socket = Socket {
        transport: Transport::Given(Box::new(near)),
        screen: Screen::new(BrokerSlot::default(), None).with_rooms(endings.clone()),
        waiting: Waiting::new(Handle::current(), endings.clone()),
        endings: endings.clone(),
        outbound: Outbound::default(),
        instead: Instead::default(),
        wakers: Wakers::default(),
    };
    (socket, endings, far)
}

fn polled<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let mut poll = Some(poll);
    poll_fn(|context| match poll.take() {
        Some(poll) => poll(context).map(Some),
        None => Poll::Ready(None),
    })
    .now_or_never()
    .flatten()
}

/// lapin writes what it can, at most so much at once; how much that was.
pub(super) fn write(socket: &mut Socket, bytes: &[u8]) -> usize {
    let written = polled(|context| Pin::new(&mut *socket).poll_write(context, bytes));
    written.map_or(0, |written| written.expect("it can be written"))
}

fn flush(socket: &mut Socket) {
    let flushed = polled(|context| Pin::new(&mut *socket).poll_flush(context));
    if let Some(flushed) = flushed {
        flushed.expect("it can be written");
    }
}

/// What is at the other end.
pub(super) fn arrived(far: &mut DuplexStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    let count = far.read(&mut bytes).now_or_never();
    bytes.truncate(count.map_or(0, |count| count.expect("it can be read")));
    bytes
}

/// The frames in a stream: kind, channel, payload.
pub(super) fn frames(mut stream: &[u8]) -> Vec<(u8, u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((&[kind, 0, channel, size @ ..], rest)) = stream.split_first_chunk::<7>() {
        let (payload, rest) = rest.split_at(u32::from_be_bytes(size) as usize);
        assert_eq!(rest[0], 0xce);
        frames.push((kind, channel, payload));
        stream = &rest[1..];
    }
    assert_eq!(stream, b"", "the rest of a frame is missing");
    frames
}

pub(super) fn with_body(length: usize) -> Outgoing {
    published("q", vec![b'x'; length])
}

proptest! {
    #[test]
    fn publications_stand_whole_between_the_frames_of_lapin(
        bodies in proptest::collection::vec(prop_oneof![0usize..20, 4000usize..20_000], 0..12),
        lapins in proptest::collection::vec(0usize..300, 0..12),
        most in 1usize..400,
        room in prop_oneof![1usize..100, 1000usize..100_000],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime starts");
        let _entered = runtime.enter();
        let (mut socket, endings, mut far) = socket(room);
        let poster = endings.posts().begin(CHANNEL.into(), FRAME_MAX);
        let of_lapin: Vec<Vec<u8>> = lapins.iter().map(|size| frame(BODY, 1, &vec![b'l'; *size])).collect();
        let mut to_write = [GREETING, &of_lapin.concat()].concat();
        let mut to_post = bodies.iter();
        let mut stream = Vec::new();
        for _ in 0..100_000 {
            if let Some(length) = to_post.next() {
                prop_assert!(poster.post(&with_body(*length)));
            }
            let part = most.min(to_write.len());
            let written = if part > 0 { write(&mut socket, &to_write[..part]) } else { 0 };
            to_write.drain(..written);
            flush(&mut socket);
            let new = arrived(&mut far);
            let is_done = new.is_empty() && to_write.is_empty() && poster.written() == bodies.len() as u64;
            stream.extend(new);
            if is_done {
                break;
            }
        }
        let stream = stream.strip_prefix(GREETING).expect("it comes first");
        let (ours, of_lapins): (Vec<_>, Vec<_>) = frames(stream).into_iter().partition(|one| one.1 == CHANNEL);
        prop_assert_eq!(of_lapins.len(), lapins.len());
        prop_assert!(of_lapins.iter().zip(&lapins).all(|(one, size)| one.2.len() == *size));
        let mut ours = ours.into_iter().peekable();
        for length in &bodies {
            prop_assert_eq!(ours.next().map(|one| one.0), Some(METHOD));
            prop_assert_eq!(ours.next().map(|one| one.0), Some(HEADER));
            let mut here = 0;
            while let Some((_, _, piece)) = ours.next_if(|one| one.0 == BODY) {
                prop_assert!(piece.len() + 8 <= FRAME_MAX as usize);
                here += piece.len();
            }
            prop_assert_eq!(here, *length);
        }
        prop_assert_eq!(ours.next(), None);
    }
}

#[tokio::test]
async fn what_is_begun_is_written_to_its_end_before_lapin_has_its_turn() {
    let (mut socket, endings, mut far) = socket(10_000);
    assert_eq!(write(&mut socket, GREETING), GREETING.len());
    assert_eq!(arrived(&mut far), GREETING);
    let poster = endings.posts().begin(CHANNEL.into(), FRAME_MAX);
    assert!(poster.post(&with_body(100_000)) && poster.post(&with_body(1)));
    flush(&mut socket);
    // The channel is closed: the second is not written.
    drop(poster);
    let close = frame(METHOD, CHANNEL, b"\x00\x14\x00\x28");
    let mut stream = Vec::new();
    while write(&mut socket, &close) == 0 {
        stream.extend(arrived(&mut far));
    }
    stream.extend(arrived(&mut far));
    let frames = frames(&stream);
    let kinds: Vec<u8> = frames.iter().map(|one| one.0).collect();
    assert_eq!(kinds[..2], [METHOD, HEADER]);
    let (last, bodies) = kinds[2..].split_last().expect("there are more");
    assert_eq!((*last, bodies), (METHOD, &[BODY; 25][..]));
    assert_eq!(frames[27].2, b"\x00\x14\x00\x28");
}

#[tokio::test]
async fn behind_the_brokers_close_nothing_is_written_on_the_channel() {
    let (mut socket, endings, mut far) = socket(100_000);
    write(&mut socket, GREETING);
    let posters = [1, 2].map(|channel| endings.posts().begin(channel, FRAME_MAX));
    arrived(&mut far);
    for poster in &posters {
        assert!(poster.post(&with_body(1)));
    }
    let close = frame(METHOD, 1, b"\x00\x14\x00\x28\x01\x94\x00\x00\x00\x00\x00");
    tokio::io::AsyncWriteExt::write_all(&mut far, &close)
        .await
        .expect("it is written");
    let mut read = [0; 100];
    let count = poll_fn(|context| Pin::new(&mut socket).poll_read(context, &mut read)).await;
    assert_eq!(count.expect("it can be read"), close.len());
    flush(&mut socket);
    let stream = arrived(&mut far);
    assert!(frames(&stream).iter().all(|one| one.1 == 2), "{stream:?}");
    assert!(!posters[0].post(&with_body(1)), "it is refused at once");
    // The same number is another channel.
    let again = endings.posts().begin(1, FRAME_MAX);
    drop(posters);
    assert!(again.post(&with_body(1)));
    flush(&mut socket);
    assert_eq!(frames(&arrived(&mut far)).len(), 3);
}

#[tokio::test]
async fn nothing_is_begun_while_an_alarm_blocks_the_connection_and_its_end_wakes_the_writer() {
    let (mut socket, endings, mut far) = socket(100_000);
    write(&mut socket, GREETING);
    arrived(&mut far);
    let poster = endings.posts().begin(CHANNEL.into(), FRAME_MAX);
    let blocked = frame(METHOD, 0, b"\x00\x0a\x00\x3c\x03low");
    let unblocked = frame(METHOD, 0, b"\x00\x0a\x00\x3d");
    let mut read = [0; 100];
    for (notice, frames_there) in [(blocked, 0), (unblocked, 3)] {
        tokio::io::AsyncWriteExt::write_all(&mut far, &notice)
            .await
            .expect("it is written");
        let count = poll_fn(|context| Pin::new(&mut socket).poll_read(context, &mut read)).await;
        assert_eq!(count.expect("it can be read"), notice.len());
        if frames_there == 0 {
            assert!(poster.post(&with_body(1)));
            poster.wake();
        }
        flush(&mut socket);
        assert_eq!(frames(&arrived(&mut far)).len(), frames_there);
    }
}

#[tokio::test]
async fn who_posts_wakes_the_one_who_writes() {
    let (mut socket, endings, mut far) = socket(100_000);
    write(&mut socket, GREETING);
    arrived(&mut far);
    let woken = Arc::new(tokio::sync::Notify::new());
    struct Wakes(Arc<tokio::sync::Notify>);
    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.notify_one();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Wakes(Arc::clone(&woken))));
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut socket).poll_flush(&mut context).is_ready());
    let poster = endings.posts().begin(CHANNEL.into(), FRAME_MAX);
    for _ in 0..3 {
        poster.post(&with_body(1));
        poster.wake();
        woken.notified().await;
        assert!(Pin::new(&mut socket).poll_flush(&mut context).is_ready());
        assert_eq!(frames(&arrived(&mut far)).len(), 3);
    }
}
