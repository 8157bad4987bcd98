//! Screens the frames that lapin sends: a text that stands for bytes is sent as those bytes.
//!
//! Nearly all frames need no change, and are written from lapin's buffer. A frame that may need one must be
//! complete first; its beginning is kept here until then.

use super::LARGEST;
use crate::wire::frame::{self, AROUND, HEAD};

/// lapin's first bytes are not a frame.
const GREETING: usize = b"AMQP\0\0\x09\x01".len();

/// The next step with the bytes that lapin wants to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many may be written as they are; [`Outbound::passed`] takes how many were.
    Pass(usize),
    /// This many are kept: the frame continues behind them.
    Kept(usize),
    /// These bytes are to be written in the place of this many, and of those that were kept.
    Instead(usize, Vec<u8>),
}

/// How far the frames have been followed.
#[derive(Debug)]
pub(crate) struct Outbound {
    /// This many of the next bytes may be written as they are.
    passing: usize,
    /// The beginning of a frame.
    kept: Vec<u8>,
}

/// The part of a frame that has arrived.
enum Look {
    /// It needs no change, and is this long.
    Right(usize),
    /// Not all of it, or not enough to know.
    Cut,
    /// It is this long, and goes out as these bytes.
    Anew(usize, Vec<u8>),
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            passing: GREETING,
            kept: Vec::new(),
        }
    }
}

impl Outbound {
    /// Whether nothing is written of the frame that comes next, so that others may be written here.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.passing == 0
    }

    /// The next step with the next `bytes`, which must not be empty. Where somebody else wants to write it leads no
    /// further than to the next place between two frames.
    pub(crate) fn next(&mut self, bytes: &[u8], others_wait: bool) -> Step {
        if !self.kept.is_empty() {
            return self.complete(bytes);
        }
        let is_far_enough = others_wait && self.passing > 0;
        while self.passing < bytes.len() && !is_far_enough {
            match look(&bytes[self.passing..]) {
                Look::Right(length) => self.passing += length,
                Look::Anew(length, anew) if self.passing == 0 => {
                    return Step::Instead(length, anew);
                }
                Look::Cut | Look::Anew(..) => break,
            }
        }
        if self.passing > 0 {
            return Step::Pass(self.passing.min(bytes.len()));
        }
        self.kept.extend_from_slice(bytes);
        Step::Kept(bytes.len())
    }

    /// `count` of the bytes that might pass were written.
    pub(crate) fn passed(&mut self, count: usize) {
        self.passing -= count;
    }

    /// Continues a frame whose beginning was kept.
    fn complete(&mut self, bytes: &[u8]) -> Step {
        let wanted = match size(&self.kept) {
            Some(size) => size + AROUND,
            None => HEAD,
        };
        let taken = bytes.len().min(wanted - self.kept.len());
        self.kept.extend_from_slice(&bytes[..taken]);
        let is_whole = size(&self.kept).is_some_and(|size| self.kept.len() == size + AROUND);
        if !is_whole {
            return Step::Kept(taken);
        }
        let frame = std::mem::take(&mut self.kept);
        match look(&frame) {
            Look::Anew(_, anew) => Step::Instead(taken, anew),
            Look::Right(_) | Look::Cut => Step::Instead(taken, frame),
        }
    }
}

/// The size of a frame's payload, once that is known.
fn size(frame: &[u8]) -> Option<usize> {
    let &[_, _, _, size @ ..] = frame.first_chunk::<HEAD>()?;
    Some(u32::from_be_bytes(size) as usize)
}

fn look(bytes: &[u8]) -> Look {
    let Some(size) = size(bytes) else {
        return Look::Cut;
    };
    let kind = bytes[0];
    let length = size + AROUND;
    if !matches!(kind, frame::METHOD | frame::HEADER) || size >= LARGEST {
        return Look::Right(length);
    }
    let Some(whole) = bytes.get(..length) else {
        return Look::Cut;
    };
    let payload = &whole[HEAD..HEAD + size];
    let Some(anew) = frame::restored(kind, payload) else {
        return Look::Right(length);
    };
    let size = u32::try_from(anew.len()).unwrap_or(u32::MAX).to_be_bytes();
    let end = &whole[HEAD + payload.len()..];
    Look::Anew(length, [&whole[..3], &size, &anew, end].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = (payload.len() as u32).to_be_bytes();
        [&[kind, 0, 1][..], &size, payload, b"\xce"].concat()
    }

    /// A content header with this correlation-id.
    fn header(id: &[u8]) -> Vec<u8> {
        let properties = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0, id.len() as u8];
        frame(frame::HEADER, &[&properties[..], id].concat())
    }

    /// The output for `stream`, if lapin offers `chunk` more bytes each time and `most` are accepted at once.
    fn sent(stream: &[u8], chunk: usize, most: usize, others_wait: bool) -> Vec<u8> {
        let mut outbound = Outbound::default();
        let (mut from, mut to, mut arrived) = (0, 0, Vec::new());
        while from < stream.len() {
            to = (to + chunk).min(stream.len());
            from += match outbound.next(&stream[from..to], others_wait) {
                Step::Pass(count) => {
                    let written = count.min(most);
                    outbound.passed(written);
                    arrived.extend_from_slice(&stream[from..from + written]);
                    written
                }
                Step::Kept(count) => count,
                Step::Instead(count, bytes) => {
                    arrived.extend(bytes);
                    count
                }
            };
        }
        arrived
    }

    #[test]
    fn bytes_go_out_as_bytes_however_the_frames_are_cut() {
        let body = frame(frame::BODY, b"hive-bytes:ff is a body's own business");
        let stream = |id: &[u8]| {
            let frames = [header(b"c-1"), header(id), body.clone(), header(id)].concat();
            [b"AMQP\0\0\x09\x01".to_vec(), frames].concat()
        };
        let before = stream(b"hive-bytes:ff61c3");
        let after = stream(&[0xff, b'a', 0xc3]);
        for chunk in [1, 2, 7, 8, 30, before.len()] {
            for most in [1, 5, before.len()] {
                for others_wait in [false, true] {
                    let sent = sent(&before, chunk, most, others_wait);
                    assert_eq!(sent, after, "{chunk} {most} {others_wait}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_stands_for_itself_is_sent_as_it_is(
            ids in proptest::collection::vec("[a-z0-9:-]{0,40}", 0..8),
            chunk in 1usize..300,
            most in 1usize..300,
            others_wait in any::<bool>(),
        ) {
            let frames: Vec<u8> = ids.iter().flat_map(|id| header(id.as_bytes())).collect();
            let stream = [&b"AMQP\0\0\x09\x01"[..], &frames].concat();
            prop_assert_eq!(sent(&stream, chunk, most, others_wait), stream);
        }
    }
}
