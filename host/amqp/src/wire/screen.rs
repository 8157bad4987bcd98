//! Screens the frames between a broker and lapin, so that no message can kill a connection and each is passed
//! on unchanged.
//!
//! AMQP requires short strings to be UTF-8 and no broker checks it, while lapin drops the whole connection over
//! one that is not. A single message with a binary correlation id would be redelivered at every reconnection,
//! for ever. So lapin gets a text that stands for the bytes ([`crate::message::octet_text`]), and the frames that it
//! sends get the bytes back ([`Outbound`]). A table nested some thousand levels deep would overflow the stack
//! of lapin's io thread and take the process with it; it becomes a byte array, which has the same layout.
//!
//! Nor does a broker check that the headers that it sends fit in a frame, once it has added its own. Headers
//! that lapin would not take are left out.
//!
//! The screen also reads the broker's version, which lapin keeps to itself, and sees the end of a channel's
//! deliveries long before lapin reports it. It stops in front of a delivery whose body has no room in memory
//! ([`arriving`]), and takes the deliveries of consumers and the answers to publications, which lapin never sees
//! ([`taking`]).

mod arriving;
pub(crate) mod outbound;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hive_telemetry::Fact;
use tokio::time::Instant;

use self::arriving::{Arriving, Look};
use self::taking::Taking;
use super::endings::Endings;
use super::frame::{self, AROUND, BrokerVersion, Ending, HEAD, Mended};

/// Where the version of the broker is put once it has introduced itself.
pub type BrokerSlot = Arc<OnceLock<BrokerVersion>>;

/// AMQP's least frame_max (section 4.2.3); lapin takes no less.
const LEAST_FRAME_MAX: u32 = 4096;
/// A larger frame than any that is ever negotiated: the stream is out of step, lapin shall say so.
const LARGEST: usize = 64 << 20;
/// How much is read at once.
const ROOM: usize = 64 << 10;
/// For how long lapin hears nothing while deliveries come: half of the shortest heartbeat.
const QUIET: Duration = Duration::from_millis(500);
/// A whole frame: a heartbeat, on channel 0.
const HEARTBEAT: [u8; AROUND] = [frame::HEARTBEAT, 0, 0, 0, 0, 0, 0, frame::END];

/// Bytes on their way from the broker to lapin: `start..screened` may go, `screened..end` may not yet.
#[derive(Debug)]
pub struct Screen {
    bytes: Vec<u8>,
    start: usize,
    screened: usize,
    end: usize,
    /// The rest of a frame that is not inspected: the bodies, which may be large.
    passing: usize,
    /// The stream is not made of frames; everything goes through.
    unframed: bool,
    told: bool,
    /// For each channel, what the method before a content header named by its hash.
    to_hold: BTreeMap<[u8; 2], Vec<Vec<u8>>>,
    broker: BrokerSlot,
    /// Channels whose deliveries have ended, for [`Screen::take_endings`].
    endings: Vec<(u16, Ending)>,
    /// Whether publications are read, where the broker has said so since [`Screen::take_blocked`] was asked.
    blocked: Option<bool>,
    /// The largest frame that lapin takes; what the plan asks for until the broker has offered one.
    frame_max: Option<u32>,
    /// Has the memory for bodies; none where none is counted.
    rooms: Option<Endings>,
    /// The delivery that waits for room. Nothing behind it is screened.
    held: Option<Arriving>,
    /// Channels whose deliveries are left out.
    left_out: BTreeSet<[u8; 2]>,
    /// The rest of a frame that is left out.
    leaving_out: usize,
    /// Takes the deliveries of channels that consume; none where lapin has them all.
    taking: Option<Taking>,
    /// A body frame that is taken: its channel, and how many of its octets are missing, with the one that ends it.
    in_body: Option<(u16, usize)>,
    /// What lapin is to have comes before a delivery that is taken.
    is_behind: bool,
    /// Deliveries were taken since [`Screen::has_taken`] was asked.
    has_taken: bool,
    /// When lapin had something the last time.
    heard_at: Instant,
}

impl Screen {
    /// `frame_max` is what the plan asks for.
    pub fn new(broker: BrokerSlot, frame_max: Option<u32>) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            screened: 0,
            end: 0,
            passing: 0,
            unframed: false,
            told: false,
            to_hold: BTreeMap::new(),
            broker,
            endings: Vec::new(),
            blocked: None,
            frame_max: frame_max.filter(|asked| *asked > 0),
            rooms: None,
            held: None,
            left_out: BTreeSet::new(),
            leaving_out: 0,
            taking: None,
            in_body: None,
            is_behind: false,
            has_taken: false,
            heard_at: Instant::now(),
        }
    }

    /// The same, with memory for the bodies of deliveries, and with those who take deliveries.
    pub(super) fn with_rooms(mut self, rooms: Endings) -> Self {
        self.taking = Some(Taking::new(rooms.clone()));
        self.rooms = Some(rooms);
        self
    }

    /// Hands out what is screened; 0 when more has to be read first.
    pub fn take(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.screened - self.start);
        out[..count].copy_from_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
        if count > 0 {
            self.heard_at = Instant::now();
        }
        count
    }

    /// Screens on if that had stopped until lapin has what came before; false if it had not.
    pub(super) fn goes_on(&mut self) -> bool {
        let was_behind = std::mem::take(&mut self.is_behind);
        if was_behind {
            while self.step() {}
        }
        was_behind
    }

    /// Wakes those whose deliveries were taken.
    pub(super) fn wake(&mut self) {
        if let Some(taking) = &mut self.taking {
            taking.wake();
        }
    }

    /// Whether deliveries were taken since this was asked the last time.
    ///
    /// A broker sends no heartbeats while it has deliveries to send, and lapin takes a broker for dead that it does not
    /// hear. So it gets a heartbeat now and then where it gets nothing else.
    pub(super) fn has_taken(&mut self) -> bool {
        let has_taken = std::mem::take(&mut self.has_taken);
        let is_between_frames = self.passing == 0 && self.leaving_out == 0;
        let is_empty = self.start == self.screened;
        if has_taken && is_between_frames && is_empty && self.heard_at.elapsed() > QUIET {
            self.bytes.splice(self.start..self.start, HEARTBEAT);
            self.end += HEARTBEAT.len();
            self.screened += HEARTBEAT.len();
        }
        has_taken
    }

    /// Hands out what there is, since nothing will follow it.
    pub fn take_rest(&mut self, out: &mut [u8]) -> usize {
        self.screened = self.end;
        self.take(out)
    }

    /// Where to read to. [`Screen::filled`] takes how much was read.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.screened -= self.start;
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() < self.end + ROOM {
            self.bytes.resize(self.end + ROOM, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes were read into [`Screen::room`].
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        while self.step() {}
    }

    /// The channels on which nothing more is delivered, as far as was read.
    pub(crate) fn take_endings(&mut self) -> impl Iterator<Item = (u16, Ending)> {
        self.endings.drain(..)
    }

    /// Whether the broker reads no publications, if it has said so since this was asked the last time.
    pub(super) fn take_blocked(&mut self) -> Option<bool> {
        self.blocked.take()
    }

    /// Screens the next piece; false when there is none, or not all of it.
    fn step(&mut self) -> bool {
        if self.leaving_out > 0 {
            return self.leave_out();
        }
        if let Some((channel, missing)) = self.in_body {
            return self.take_piece(channel, missing);
        }
        let rest = &mut self.bytes[self.screened..self.end];
        if rest.is_empty() || self.held.is_some() {
            return false;
        }
        if self.unframed {
            self.screened = self.end;
            return true;
        }
        if self.passing > 0 {
            let count = self.passing.min(rest.len());
            self.passing -= count;
            self.screened += count;
            return true;
        }
        let Some(&[kind, high, low, size @ ..]) = rest.first_chunk::<HEAD>() else {
            return false;
        };
        let size = u32::from_be_bytes(size) as usize;
        let channel = u16::from_be_bytes([high, low]);
        let mut is_taken = false;
        if let Some(taking) = self.taking.as_mut().filter(|_| size < LARGEST) {
            match taking.wants(kind, channel, &rest[HEAD..]) {
                Some(wanted) => is_taken = wanted,
                None => return false,
            }
            if is_taken && self.start < self.screened {
                self.is_behind = true;
                return false;
            }
            if is_taken && kind == frame::BODY {
                self.skip(HEAD);
                self.in_body = Some((channel, size + AROUND - HEAD));
                return true;
            }
            if is_taken && rest.len() < size + AROUND {
                return false;
            }
        }
        // Last, since a delivery that is let in has taken its room.
        if let Some(rooms) = &self.rooms {
            match arriving::look(rest, size, &mut self.left_out, rooms) {
                Look::Pass => {}
                Look::NotYet => return false,
                Look::LeaveOut => {
                    self.leaving_out = size + AROUND;
                    return true;
                }
                Look::Hold(arriving) => {
                    self.held = Some(arriving);
                    return false;
                }
            }
        }
        match kind {
            frame::METHOD | frame::HEADER if size < LARGEST => {
                let Some(payload) = rest.get_mut(HEAD..HEAD + size) else {
                    return false;
                };
                let to_hold = match kind {
                    frame::HEADER => self.to_hold.remove(&[high, low]),
                    _ => None,
                };
                let screened =
                    frame::screen(kind, payload, to_hold.unwrap_or_default(), &self.broker);
                if let Some(offered) = frame::offered_frame_max(payload) {
                    self.frame_max = agreed(self.frame_max, offered);
                } else if let Some(ending) = frame::ending(payload) {
                    self.endings.push((channel, ending));
                } else if let Some(is_blocked) = frame::blocked(payload) {
                    self.blocked = Some(is_blocked);
                }
                if !screened.to_hold.is_empty() {
                    self.to_hold.insert([high, low], screened.to_hold);
                }
                let mut mended = screened.mended;
                let mut length = size;
                if let Some(anew) = screened.anew {
                    length = anew.len();
                    self.replace(size, &anew);
                }
                let excess = excess(length, self.frame_max);
                if kind == frame::HEADER && excess > 0 {
                    let payload = self.screened + HEAD;
                    let kept = frame::trim(&mut self.bytes[payload..payload + length], excess);
                    if kept < length {
                        mended = Mended::Something;
                        self.shorten(length, kept);
                        length = kept;
                    }
                }
                self.tell(mended);
                if is_taken && self.take_frame(kind, channel, length) {
                    return true;
                }
                self.screened += HEAD + length;
                // The end octet may not be here yet.
                self.passing = AROUND - HEAD;
            }
            frame::BODY | frame::HEARTBEAT => self.passing = size + AROUND,
            // "AMQP": the broker speaks another version.
            _ => self.unframed = true,
        }
        true
    }

    /// The delivery that waits for room in memory.
    pub(super) fn held(&self) -> Option<Arriving> {
        self.held
    }

    /// There may be room for it now, or it is to be left out.
    pub(super) fn look_again(&mut self) {
        self.held = None;
        while self.step() {}
    }

    /// Takes the next frame, whose payload has `length` octets; false if it makes no sense, which lapin shall say.
    fn take_frame(&mut self, kind: u8, channel: u16, length: usize) -> bool {
        let payload = self.start + HEAD;
        let payload = &self.bytes[payload..payload + length];
        let taking = self.taking.as_mut();
        let makes_sense = taking.is_some_and(|taking| taking.take(kind, channel, payload));
        if makes_sense {
            self.skip(length + AROUND);
        }
        makes_sense
    }

    /// Takes of a body what is here.
    fn take_piece(&mut self, channel: u16, missing: usize) -> bool {
        let here = missing.min(self.end - self.start);
        if here == 0 {
            return false;
        }
        // The last octet ends the frame.
        let of_body = here.min(missing - 1);
        let piece = &self.bytes[self.start..self.start + of_body];
        let taking = self.taking.as_mut();
        if of_body > 0 && taking.is_some_and(|taking| !taking.take_body(channel, piece)) {
            // More than its header says: the stream is out of step, lapin shall say so.
            (self.unframed, self.in_body) = (true, None);
            return true;
        }
        self.skip(here);
        self.in_body = Some((channel, missing - here)).filter(|(_, missing)| *missing > 0);
        true
    }

    /// So much is taken.
    fn skip(&mut self, count: usize) {
        self.start += count;
        self.screened = self.start;
        self.has_taken = true;
    }

    /// Takes the rest of a frame out, as far as it is here.
    fn leave_out(&mut self) -> bool {
        let count = self.leaving_out.min(self.end - self.screened);
        self.bytes
            .copy_within(self.screened + count..self.end, self.screened);
        self.end -= count;
        self.leaving_out -= count;
        count > 0
    }

    /// Puts another payload in the place of the next frame's, which has `size` octets.
    fn replace(&mut self, size: usize, anew: &[u8]) {
        let payload = self.screened + HEAD;
        self.bytes
            .splice(payload..payload + size, anew.iter().copied());
        self.end = self.end + anew.len() - size;
        self.tell_size(anew.len());
    }

    /// Writes the size of the next frame's payload.
    fn tell_size(&mut self, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
        let payload = self.screened + HEAD;
        self.bytes[payload - size.len()..payload].copy_from_slice(&size);
    }

    /// Closes the gap behind the payload of the next frame, which has `length` octets left of `size`.
    fn shorten(&mut self, size: usize, length: usize) {
        self.tell_size(length);
        let payload = self.screened + HEAD;
        self.bytes
            .copy_within(payload + size..self.end, payload + length);
        self.end -= size - length;
    }

    fn tell(&mut self, mended: Mended) {
        if mended == Mended::Nothing || self.told {
            return;
        }
        self.told = true;
        Fact::MessageMended {}.emit();
    }
}

/// By how much a frame with a payload of `size` is too large.
fn excess(size: usize, frame_max: Option<u32>) -> usize {
    match frame_max {
        Some(frame_max) => (size + AROUND).saturating_sub(frame_max as usize),
        None => 0,
    }
}

/// The agreed value when one side asks and the other offers; 0 means no limit.
fn agreed(asked: Option<u32>, offered: u32) -> Option<u32> {
    let offered = Some(offered).filter(|offered| *offered > 0);
    let least = asked.into_iter().chain(offered).min()?;
    Some(least.max(LEAST_FRAME_MAX))
}

#[cfg(test)]
pub(in crate::wire) mod tests;
