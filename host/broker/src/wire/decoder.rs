//! Cuts the octets of a client into frames and reads the methods in them.

use amq_protocol::protocol::{AMQPClass, parse_class};
use bytes::{Buf, Bytes, BytesMut};

use super::table;
use crate::refusal::Refusal;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;

/// Type, channel and length.
const HEAD: usize = 7;
/// The size of a frame without its payload.
pub(super) const OVERHEAD: usize = HEAD + 1;

/// The largest frame before the limits are agreed upon.
const FIRST_FRAME_MAX: u32 = 8192;

/// A frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Method(u16, Box<AMQPClass>),
    Header {
        channel: u16,
        class: u16,
        body_size: u64,
        /// Flags and values, as the client wrote them.
        properties: Bytes,
    },
    Body(u16, Bytes),
    Heartbeat(u16),
}

/// Holds the bytes of a client that have not been parsed yet.
#[derive(Debug)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    frame_max: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            frame_max: FIRST_FRAME_MAX,
        }
    }
}

impl Decoder {
    /// Where arriving octets are put.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The limit that the client and the broker agreed upon; 0 means no limit.
    pub(crate) fn set_frame_max(&mut self, frame_max: u32) {
        self.frame_max = frame_max;
    }

    /// The eight octets that a client opens with, once they are there.
    pub(crate) fn protocol_header(&mut self) -> Option<[u8; 8]> {
        let header = self.buffer.first_chunk::<8>().copied()?;
        self.buffer.advance(header.len());
        Some(header)
    }

    /// The next frame, or `None` until more octets have come.
    pub(crate) fn frame(&mut self) -> Result<Option<Frame>, Refusal> {
        let Some(&[kind, high, low, length @ ..]) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let channel = u16::from_be_bytes([high, low]);
        let length = u32::from_be_bytes(length);
        // RabbitMQ allows the eight octets of the frame's own on top.
        if self.frame_max != 0 && length > self.frame_max {
            let most = self.frame_max - OVERHEAD as u32;
            return Err(Refusal::frame_error(format!(
                "type {kind}, first 16 octets = <<>>: {{frame_too_large,{length},{most}}}"
            )));
        }
        let length = length as usize;
        if self.buffer.len() < HEAD + length + 1 {
            return Ok(None);
        }
        let end = self.buffer[HEAD + length];
        if end != FRAME_END {
            return Err(Refusal::frame_error(format!(
                "type {kind}, {}: {{invalid_frame_end_marker,{end}}}",
                snippet(&self.buffer[HEAD..HEAD + length])
            )));
        }
        self.buffer.advance(HEAD);
        let payload = self.buffer.split_to(length).freeze();
        self.buffer.advance(1);
        read(kind, channel, payload).map(Some)
    }
}

fn read(kind: u8, channel: u16, payload: Bytes) -> Result<Frame, Refusal> {
    match kind {
        METHOD => read_method(&payload).map(|method| Frame::Method(channel, Box::new(method))),
        HEADER => read_header(channel, &payload),
        BODY => Ok(Frame::Body(channel, payload)),
        HEARTBEAT => Ok(Frame::Heartbeat(channel)),
        _ => Err(Refusal::frame_error(format!(
            "type {kind}, {}: unknown_frame",
            snippet(&payload)
        ))),
    }
}

/// The start of a payload, as RabbitMQ shows it.
fn snippet(payload: &[u8]) -> String {
    let octets: Vec<String> = payload.iter().take(16).map(u8::to_string).collect();
    let which = if payload.len() > 16 {
        "first 16"
    } else {
        "all"
    };
    format!("{which} octets = <<{}>>", octets.join(","))
}

fn read_method(payload: &[u8]) -> Result<AMQPClass, Refusal> {
    let malformed =
        || Refusal::syntax_error(format!("a method cannot be read: {}", snippet(payload)));
    check_table(payload).ok_or_else(malformed)?;
    match parse_class(payload) {
        Ok(([], method)) => Ok(method),
        _ => Err(malformed()),
    }
}

/// An argument in front of the table of a method.
enum Part {
    Short,
    ShortText,
    Octet,
}

/// Refuses a method whose table is nested too deep: the parser goes down a level of the stack for each.
fn check_table(payload: &[u8]) -> Option<()> {
    use Part::{Octet, Short, ShortText};
    let &[a, b, c, d] = payload.first_chunk::<4>()?;
    let mut rest = &payload[4..];
    let before: &[Part] = match (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])) {
        // connection.start-ok, which begins with it
        (10, 11) => &[],
        // exchange.declare, exchange.bind, exchange.unbind
        (40, 10) => &[Short, ShortText, ShortText, Octet],
        (40, 30 | 40) => &[Short, ShortText, ShortText, ShortText, Octet],
        // queue.declare, queue.bind, queue.unbind
        (50, 10) => &[Short, ShortText, Octet],
        (50, 20) => &[Short, ShortText, ShortText, ShortText, Octet],
        (50, 50) => &[Short, ShortText, ShortText, ShortText],
        // basic.consume
        (60, 20) => &[Short, ShortText, ShortText, Octet],
        // connection.start, which only a broker sends, and which is parsed all the same
        (10, 10) => &[Octet, Octet],
        _ => return Some(()),
    };
    for part in before {
        let length = match part {
            Octet => 1,
            Short => 2,
            ShortText => 1 + usize::from(*rest.first()?),
        };
        rest = rest.get(length..)?;
    }
    table::entries(table::prefixed(rest)?).map(|_| ())
}

fn read_header(channel: u16, payload: &Bytes) -> Result<Frame, Refusal> {
    let Some(&[a, b, _, _, size @ ..]) = payload.first_chunk::<12>() else {
        return Err(Refusal::frame_error(format!(
            "type {HEADER}, {}: unknown_frame",
            snippet(payload)
        )));
    };
    Ok(Frame::Header {
        channel,
        class: u16::from_be_bytes([a, b]),
        body_size: u64::from_be_bytes(size),
        properties: payload.slice(12..),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(bytes: &[u8]) -> Vec<Result<Frame, Refusal>> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for octet in bytes {
            decoder.buffer().extend_from_slice(&[*octet]);
            loop {
                match decoder.frame() {
                    Ok(Some(frame)) => found.push(Ok(frame)),
                    Ok(None) => break,
                    Err(refusal) => {
                        found.push(Err(refusal));
                        return found;
                    }
                }
            }
        }
        found
    }

    fn code(bytes: &[u8]) -> Option<u16> {
        frames(bytes).pop()?.err().map(|refusal| refusal.code)
    }

    #[test]
    fn frames_are_read_however_they_come() {
        let stream = b"\x08\0\0\0\0\0\0\xce\x03\0\x01\0\0\0\x02hi\xce";
        let expected = [
            Ok(Frame::Heartbeat(0)),
            Ok(Frame::Body(1, Bytes::from_static(b"hi"))),
        ];
        assert_eq!(frames(stream), expected);
    }

    #[test]
    fn what_is_no_frame_is_refused_with_the_code_for_it() {
        assert_eq!(code(b"\x03\0\x01\0\0\0\x02hi\xcd"), Some(501));
        assert_eq!(code(b"\x07\0\x01\0\0\0\x02hi\xce"), Some(501));
        assert_eq!(code(b"\x03\0\x01\0\x01\0\0"), Some(501));
        assert_eq!(code(b"\x01\0\x01\0\0\0\x04\0\x3c\0\x63\xce"), Some(502));
        assert_eq!(code(b"\x01\0\x01\0\0\0\x02\0\x3c\xce"), Some(502));
        assert_eq!(code(b"\x02\0\x01\0\0\0\x02\0\x3c\xce"), Some(501));
    }

    proptest! {
        #[test]
        fn no_octets_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            frames(&bytes);
        }
    }
}
