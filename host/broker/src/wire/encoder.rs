//! Writes frames to a client.

use amq_protocol::frame::{AMQPFrame, gen_frame};
use amq_protocol::protocol::AMQPClass;

use super::decoder::OVERHEAD;
use super::properties::Properties;

/// The class `basic`, the only one with content.
const BASIC: u16 = 60;

/// Appends a method.
pub(crate) fn method(out: &mut Vec<u8>, channel: u16, method: AMQPClass) {
    frame(out, &AMQPFrame::Method(channel, method));
}

pub(crate) fn heartbeat(out: &mut Vec<u8>) {
    frame(out, &AMQPFrame::Heartbeat);
}

fn frame(out: &mut Vec<u8>, frame: &AMQPFrame) {
    // Writing to memory fails only where a length does not fit its field, and all of ours do.
    if let Ok(written) = gen_frame(frame)(Vec::new().into()) {
        out.extend_from_slice(&written.write);
    }
}

/// Appends the header and the body of a message, in frames of at most `frame_max`; 0 means no limit.
pub(crate) fn content(
    out: &mut Vec<u8>,
    channel: u16,
    properties: &Properties,
    body: &[u8],
    frame_max: u32,
) {
    let properties = properties.raw();
    let size = body.len() as u64;
    let head = [&BASIC.to_be_bytes()[..], &[0, 0], &size.to_be_bytes()].concat();
    raw(out, 2, channel, &[&head, properties]);
    let most = match frame_max as usize {
        0 => usize::MAX,
        most => most - OVERHEAD,
    };
    for piece in body.chunks(most) {
        raw(out, 3, channel, &[piece]);
    }
}

fn raw(out: &mut Vec<u8>, kind: u8, channel: u16, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(length as u32).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(0xce);
}
