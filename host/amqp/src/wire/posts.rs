//! Publications on their way to the broker, past lapin: [`Posts`].
//!
//! lapin would make a value of each frame, hand it to its thread, and keep an account of what is not confirmed that goes wrong
//! (`publish`). Here a publication is encoded once, by its publisher, and the socket writes what has gathered
//! between two frames of lapin's.
//!
//! lapin opens and closes the channels. Behind its close, or its answer to the broker's, nothing may follow on the channel:
//! the broker would close the connection over it (AMQP 0-9-1, section 4.6.3). So what is not begun by then is not written.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use super::frame::{self, AROUND, CONNECTION, publication};
use crate::message::outgoing::Outgoing;

/// The publications of one connection that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    state: Mutex<State>,
    /// Of the one who writes them.
    writer: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Post>,
    /// A part of it is written. Until the rest is, nothing else is.
    begun: Option<Post>,
    channels: HashMap<u16, Opening>,
    openings: u64,
    /// The broker reads no publications for now.
    is_blocked: bool,
    /// The connection has ended.
    is_over: bool,
}

/// A channel on which is published, from its opening to its end. Numbers of channels are used again.
#[derive(Debug)]
struct Opening {
    number: u64,
    /// How many of its publications are written.
    written: Arc<AtomicU64>,
}

/// One publication.
#[derive(Debug)]
struct Post {
    channel: u16,
    /// The frames of the method and of the content header; empty once they are written.
    head: Vec<u8>,
    /// What is not written of the body.
    body: Bytes,
    /// The most octets of the body in one frame.
    piece: usize,
}

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The rest of the publication that is begun.
    Begun,
    /// All there is.
    All,
}

impl Posts {
    /// A channel begins to publish that was opened just now, in frames of at most `frame_max` octets.
    pub(crate) fn begin(self: &Arc<Self>, channel: u16, frame_max: u32) -> Poster {
        let mut state = self.lock();
        state.openings += 1;
        let number = state.openings;
        let written = Arc::default();
        let opening = Opening {
            number,
            written: Arc::clone(&written),
        };
        if !state.is_over {
            state.channels.insert(channel, opening);
        }
        Poster {
            posts: Arc::clone(self),
            channel,
            number,
            written,
            piece: (frame_max as usize).saturating_sub(AROUND).max(1),
        }
    }

    /// Nothing more goes out on a channel, or on any if it is that of the connection.
    pub(super) fn ends(&self, channel: u16) {
        let mut state = self.lock();
        match channel {
            CONNECTION => {
                state.is_over = true;
                state.channels.clear();
                state.waiting.clear();
            }
            channel => state.ends(channel),
        }
    }

    /// Whether the broker reads publications.
    pub(super) fn are_blocked(&self, is_blocked: bool) {
        self.lock().is_blocked = is_blocked;
        self.writer.wake();
    }

    /// Whether the broker reads no publications for now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.lock().is_blocked
    }

    /// Has `writer` woken when there is something to write.
    pub(super) fn tell(&self, writer: &Waker) {
        self.writer.register(writer);
    }

    /// Whether there is something to write.
    pub(super) fn has_some(&self) -> bool {
        let state = self.lock();
        !state.is_blocked && (state.begun.is_some() || !state.waiting.is_empty())
    }

    /// Puts octets behind those in `into`, about as many as are given; false if there were none.
    pub(super) fn fill(&self, into: &mut Vec<u8>, about: usize, part: Part) -> bool {
        let before = into.len();
        let mut state = self.lock();
        while into.len() - before < about {
            if state.begun.is_none() && part == Part::All && !state.is_blocked {
                state.begun = state.waiting.pop_front();
            }
            let Some(post) = &mut state.begun else {
                break;
            };
            if post.put_next(into) {
                let channel = post.channel;
                state.begun = None;
                if let Some(opening) = state.channels.get(&channel) {
                    opening.written.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        into.len() > before
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ends(&mut self, channel: u16) {
        if self.channels.remove(&channel).is_some() {
            self.waiting.retain(|post| post.channel != channel);
        }
    }

    fn opening(&self, of: &Poster) -> Option<&Opening> {
        let opening = self.channels.get(&of.channel)?;
        (opening.number == of.number).then_some(opening)
    }
}

impl Post {
    /// Puts its next frames; whether those were the last.
    fn put_next(&mut self, into: &mut Vec<u8>) -> bool {
        if !self.head.is_empty() {
            into.append(&mut self.head);
        } else {
            let piece = self.body.split_to(self.piece.min(self.body.len()));
            publication::put_frame(frame::BODY, self.channel, &piece, into);
        }
        self.body.is_empty()
    }
}

/// The right to publish on a channel. Once it is dropped, what is not begun is not written.
#[derive(Debug)]
pub(crate) struct Poster {
    posts: Arc<Posts>,
    channel: u16,
    number: u64,
    piece: usize,
    written: Arc<AtomicU64>,
}

impl Poster {
    /// One more publication. False if the channel has ended. The writer is not woken by that: see [`Poster::wake`].
    pub(crate) fn post(&self, outgoing: &Outgoing) -> bool {
        let head = publication::head(self.channel, outgoing);
        let post = Post {
            channel: self.channel,
            head,
            body: outgoing.body.clone(),
            piece: self.piece,
        };
        let mut state = self.posts.lock();
        let is_open = state.opening(self).is_some();
        if is_open {
            state.waiting.push_back(post);
        }
        is_open
    }

    /// Has what was posted written.
    pub(crate) fn wake(&self) {
        self.posts.writer.wake();
    }

    /// How many of its publications are written. The next one may be begun.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl Drop for Poster {
    fn drop(&mut self) {
        let mut state = self.posts.lock();
        if state.opening(self).is_some() {
            state.ends(self.channel);
        }
    }
}
