//! The screen between the broker and lapin, for any stream of bytes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};
use hive_amqp::fuzzing::{self, BEGINNING, BrokerSlot, Mended, Screen};
use lapin::types::{AMQPValue, FieldTable};

use crate::wire::{BODY, Choices, FRAME_END, HEADER, HEARTBEAT, METHOD, any_frame, written};

/// As deep as tables may be nested before they are changed.
const DEEPEST: usize = 64;

/// The smallest frame that AMQP lets anybody agree on.
const LEAST_FRAME_MAX: u32 = 4096;

/// How a stream is read.
struct Reading {
    /// How many bytes arrive at once, at most.
    piece: usize,
    /// How many bytes are taken at once.
    room: usize,
    frame_max: Option<u32>,
}

/// The prefix of the headers that hold the bytes of a long text.
const HOLDER: &[u8] = b"hive-bytes-held:";

/// Screens a stream and compares what comes out with what went in.
pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let kind = choices.octet() % 4;
    let reading = Reading {
        piece: choices.below(700) + 1,
        room: choices.below(700) + 1,
        frame_max: [None, Some(0), Some(LEAST_FRAME_MAX), Some(8192)][choices.below(4)],
    };
    let stream = match kind {
        0 => choices.0.to_vec(),
        1 => damaged(&mut choices),
        _ => frames(&mut choices),
    };
    let screened = reading.screen(&stream);
    let at_once = Reading {
        piece: usize::MAX,
        ..reading
    };
    assert_eq!(
        screened,
        at_once.screen(&stream),
        "it depends on how the bytes came"
    );
    let is_sound = kind > 1;
    let mut rest = (&stream[..], &screened[..]);
    let mut to_hold = BTreeMap::new();
    while let Some((frame, after)) = split_frame(rest.0) {
        let (mended, mended_after) = split_frame(rest.1).expect("a frame stays a frame");
        let whole = length_of_all(frame, &mut to_hold);
        check_frame(frame, mended, whole, is_sound, reading.frame_max);
        rest = (after, mended_after);
    }
    assert!(
        !is_sound || rest.0.is_empty(),
        "the stream ends in mid-frame"
    );
}

fn check_frame(frame: &[u8], mended: &[u8], whole: usize, is_sound: bool, frame_max: Option<u32>) {
    assert_eq!(mended[..3], frame[..3], "it is another frame");
    let is_shorter = mended.len() < frame.len();
    // A long text that is not UTF-8 is replaced by its hash, which may be shorter. A text from outside that
    // already looks like such a hash must not be taken for one.
    let has = |frame: &[u8]| frame.windows(BEGINNING.len()).any(|at| at == BEGINNING);
    let has_a_hash = has(mended) || has(frame);
    if !has_a_hash && (frame[0] != HEADER || whole <= LEAST_FRAME_MAX as usize) {
        assert!(!is_shorter, "it was not too large");
    }
    if matches!(frame[0], BODY | HEARTBEAT) {
        assert_eq!(mended, frame, "a body has changed");
    }
    let before = parse_frame(frame);
    let after = parse_frame(mended);
    if is_sound {
        assert!(after.is_ok(), "lapin refuses it: {mended:?}");
        if frame[0] == HEADER && frame_max == Some(LEAST_FRAME_MAX) {
            assert!(mended.len() <= LEAST_FRAME_MAX as usize, "it is too large");
        }
    }
    if let Ok((_, before)) = before {
        assert!(after.is_ok(), "lapin would have taken it: {mended:?}");
        // Of two headers of one name lapin keeps one, and how deep the other goes is not seen here.
        let is_all = written(&before).len() == frame.len();
        let stands_for_others = has(frame);
        // The header frame behind a method frame holds the long texts of that one too.
        let holds = mended.windows(HOLDER.len()).any(|at| at == HOLDER);
        if is_all && depth(&before) <= DEEPEST && !is_shorter && !stands_for_others && !holds {
            assert_eq!(mended, frame, "nothing was wrong with it");
        }
    }
    if frame[0] == HEADER {
        check_way_out(&frame[7..frame.len() - 1]);
    }
}

/// How long a frame is before anything is left out of it: texts in it may have become longer. `to_hold` has, for each
/// channel, what the content header behind a method is to hold.
fn length_of_all(frame: &[u8], to_hold: &mut BTreeMap<[u8; 2], Vec<Vec<u8>>>) -> usize {
    let channel = [frame[1], frame[2]];
    let held = match frame[0] {
        METHOD => Vec::new(),
        HEADER => to_hold.remove(&channel).unwrap_or_default(),
        _ => return frame.len(),
    };
    let mut payload = frame[7..frame.len() - 1].to_vec();
    let screened = fuzzing::screen(frame[0], &mut payload, held, &OnceLock::new());
    if !screened.to_hold.is_empty() {
        to_hold.insert(channel, screened.to_hold);
    }
    screened.anew.map_or(frame.len(), |anew| anew.len() + 8)
}

/// A frame that loses nothing on the way in goes out unchanged.
fn check_way_out(payload: &[u8]) {
    let mut seen = payload.to_vec();
    let screened = fuzzing::screen(HEADER, &mut seen, Vec::new(), &OnceLock::new());
    if screened.mended == Mended::Something {
        return;
    }
    let seen = screened.anew.unwrap_or(seen);
    let sent = fuzzing::restored(HEADER, &seen).unwrap_or(seen);
    // Headers that only held something leave a table behind that holds nothing.
    let had_headers = payload.get(12).is_some_and(|flags| flags & 0x20 != 0);
    assert!(
        sent == payload || !had_headers,
        "{payload:?} became {sent:?}"
    );
}

impl Reading {
    fn screen(&self, stream: &[u8]) -> Vec<u8> {
        let mut screen = Screen::new(BrokerSlot::default(), self.frame_max);
        let mut out = Vec::new();
        let mut buffer = vec![0; self.room];
        let mut rest = stream;
        while !rest.is_empty() {
            let place = screen.room();
            let (piece, after) = rest.split_at(self.piece.min(rest.len()).min(place.len()));
            place[..piece.len()].copy_from_slice(piece);
            screen.filled(piece.len());
            rest = after;
            loop {
                match screen.take(&mut buffer) {
                    0 => break,
                    count => out.extend_from_slice(&buffer[..count]),
                }
            }
        }
        loop {
            match screen.take_rest(&mut buffer) {
                0 => return out,
                count => out.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// The first frame, if all of it is there.
fn split_frame(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[kind, _, _, a, b, c, d, ..] = stream else {
        return None;
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize + 8;
    if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) || length > stream.len() {
        return None;
    }
    let (frame, after) = stream.split_at(length);
    (frame.last() == Some(&FRAME_END)).then_some((frame, after))
}

fn frames(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut stream = any_frame(choices);
    while choices.is_left() {
        stream.extend(any_frame(choices));
    }
    stream
}

/// Frames with some of their bytes changed.
fn damaged(choices: &mut Choices<'_>) -> Vec<u8> {
    let changes: Vec<_> = (0..choices.octet() % 8)
        .map(|_| (choices.below(1 << 16), choices.octet()))
        .collect();
    let mut stream = frames(choices);
    for (place, octet) in changes {
        let place = place % stream.len();
        stream[place] = octet;
    }
    stream
}

/// How deep the tables of a frame are nested.
fn depth(frame: &AMQPFrame) -> usize {
    use connection::AMQPMethod::Start;
    match frame {
        AMQPFrame::Header(_, header) => header.properties.headers().as_ref().map_or(0, of_table),
        AMQPFrame::Method(_, AMQPClass::Connection(Start(start))) => {
            of_table(&start.server_properties)
        }
        _ => 0,
    }
}

fn of_table(table: &FieldTable) -> usize {
    table.inner().values().map(of_value).max().unwrap_or(0)
}

fn of_value(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::FieldTable(table) => 1 + of_table(table),
        AMQPValue::FieldArray(values) => {
            1 + values.as_slice().iter().map(of_value).max().unwrap_or(0)
        }
        _ => 0,
    }
}
