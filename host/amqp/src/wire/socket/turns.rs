//! Publications under lapin's loop, which waits for an event of its socket unless it can read: nothing is left behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use futures_io::{AsyncRead as _, AsyncWrite as _};
use tokio::io::DuplexStream;

use super::tests::{CHANNEL, FRAME_MAX, GREETING, arrived, frames, socket, with_body, write};
use super::*;
use crate::wire::frame::{HEARTBEAT, METHOD};
use crate::wire::posts::Poster;
use crate::wire::screen::tests::frame;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Readable,
    Writable,
}

type Events = Arc<Mutex<VecDeque<Event>>>;

struct Tells(Event, Events);

impl Wake for Tells {
    fn wake(self: Arc<Self>) {
        let Self(event, events) = &*self;
        events.lock().expect("nobody panicked").push_back(*event);
    }
}

/// lapin 4.12 with no frames of its own: `run` of its `io_loop.rs`, and its `socket_state.rs`.
struct Lapin {
    socket: Socket,
    events: Events,
    wakers: [Waker; 2],
    is_readable: bool,
}

impl Lapin {
    fn new(mut socket: Socket, far: &mut DuplexStream) -> Self {
        write(&mut socket, GREETING);
        assert_eq!(arrived(far), GREETING);
        let events = Events::default();
        let wakers = [Event::Readable, Event::Writable];
        let wakers = wakers.map(|event| Waker::from(Arc::new(Tells(event, Arc::clone(&events)))));
        Self {
            socket,
            events,
            wakers,
            is_readable: true,
        }
    }

    fn drain(&mut self) -> usize {
        let events: Vec<Event> = self
            .events
            .lock()
            .expect("nobody panicked")
            .drain(..)
            .collect();
        self.is_readable |= events.contains(&Event::Readable);
        events.len()
    }

    /// One turn; false if it would wait for ever. `meanwhile` comes between its flush and its next look.
    fn turn(&mut self, meanwhile: impl FnOnce()) -> bool {
        self.drain();
        if !self.is_readable && self.drain() == 0 {
            return false;
        }
        let [reader, writer] = self.wakers.clone();
        let mut context = Context::from_waker(&writer);
        if let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(&mut context) {
            flushed.expect("it can be written");
        }
        meanwhile();
        let mut context = Context::from_waker(&reader);
        let mut bytes = [0; 1000];
        let mut read = || Pin::new(&mut self.socket).poll_read(&mut context, &mut bytes);
        if self.is_readable && read().is_pending() {
            self.is_readable = false;
        }
        true
    }

    /// Turns until it waits.
    fn turns(&mut self) {
        for _ in 0..10_000 {
            if !self.turn(|| ()) {
                return;
            }
        }
        panic!("it never waits");
    }
}

/// A socket that takes so many octets until they are read, under a loop that waits; with a channel that publishes.
fn waiting(room: usize) -> (Lapin, Poster, DuplexStream) {
    let (socket, endings, mut far) = socket(room);
    let mut lapin = Lapin::new(socket, &mut far);
    let poster = endings.posts().begin(CHANNEL.into(), FRAME_MAX);
    lapin.turns();
    // As after a handshake, in which it has read and come back.
    say(&mut far, &frame(HEARTBEAT, 0, b""));
    lapin.turns();
    (lapin, poster, far)
}

/// tokio's streams take any number of octets outside its tasks.
fn outside_tasks(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime starts");
    let _entered = runtime.enter();
    test();
}

fn say(far: &mut DuplexStream, bytes: &[u8]) {
    let said = tokio::io::AsyncWriteExt::write_all(far, bytes);
    let said = futures_util::FutureExt::now_or_never(said).expect("there is room");
    said.expect("it is written");
}

#[test]
fn what_waited_for_the_end_of_an_alarm_is_written() {
    outside_tasks(|| {
        let (mut lapin, poster, mut far) = waiting(100_000);
        say(&mut far, &frame(METHOD, 0, b"\x00\x0a\x00\x3c\x03low"));
        lapin.turns();
        assert!(poster.post(&with_body(1)));
        poster.wake();
        lapin.turns();
        assert_eq!(arrived(&mut far), b"");
        say(&mut far, &frame(METHOD, 0, b"\x00\x0a\x00\x3d"));
        lapin.turns();
        assert_eq!(frames(&arrived(&mut far)).len(), 3);
    });
}

#[test]
fn what_is_more_than_is_written_at_once_is_written_to_its_end() {
    outside_tasks(|| {
        let (mut lapin, poster, mut far) = waiting(10 << 20);
        assert!(poster.post(&with_body(3 * AT_ONCE)));
        poster.wake();
        lapin.turns();
        assert_eq!(poster.written(), 1);
        let mut there = 0;
        while there < 3 * AT_ONCE {
            let new = arrived(&mut far).len();
            assert!(new > 0, "the rest is missing");
            there += new;
        }
    });
}

#[test]
fn what_the_peer_had_no_room_for_is_written_as_it_reads() {
    outside_tasks(|| {
        let (mut lapin, poster, mut far) = waiting(1000);
        assert!(poster.post(&with_body(100_000)));
        poster.wake();
        let mut stream = Vec::new();
        loop {
            lapin.turns();
            let new = arrived(&mut far);
            if new.is_empty() {
                break;
            }
            stream.extend(new);
        }
        assert_eq!(poster.written(), 1);
        assert_eq!(frames(&stream).len(), 2 + 25);
    });
}

#[test]
fn what_is_posted_at_any_moment_of_a_turn_is_written() {
    outside_tasks(|| {
        let (mut lapin, poster, mut far) = waiting(100_000);
        for number in 1..=3 {
            say(&mut far, &frame(HEARTBEAT, 0, b""));
            assert!(lapin.turn(|| {
                assert!(poster.post(&with_body(1)));
                poster.wake();
            }));
            lapin.turns();
            assert_eq!(poster.written(), number);
            assert_eq!(frames(&arrived(&mut far)).len(), 3);
        }
    });
}
