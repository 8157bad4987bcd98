//! The frames of a publication, as they are written.

use lapin::protocol::basic::gen_properties;

use super::{BODY, HEADER, METHOD, restored};
use crate::message::outgoing::Outgoing;

/// `basic.publish` and a number of no use, as the payload of its frame begins.
const PUBLISH: [u8; 6] = [0, 60, 0, 40, 0, 0];
/// The class of the content, and a weight of no use.
const CONTENT: [u8; 4] = [0, 60, 0, 0];
/// A message that no queue takes is returned.
const MANDATORY: u8 = 1;
/// The octet that ends a frame.
const END: u8 = 0xce;

/// The frames of the method and of the content header.
pub(crate) fn head(channel: u16, outgoing: &Outgoing) -> Vec<u8> {
    let mut method = PUBLISH.to_vec();
    for text in [&outgoing.exchange, &outgoing.routing_key] {
        let octets = text.as_str().as_bytes();
        // No longer one is made.
        method.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
        method.extend_from_slice(octets);
    }
    method.push(MANDATORY);
    let mut header = CONTENT.to_vec();
    header.extend_from_slice(&(outgoing.body.len() as u64).to_be_bytes());
    let properties = outgoing.all_properties();
    let header = match gen_properties(&properties)(header.into()) {
        Ok(written) => written.into_inner().0,
        Err(error) => unreachable!("memory takes any octets: {error}"),
    };
    let mut frames = Vec::with_capacity(method.len() + header.len() + 16);
    for (kind, payload) in [(METHOD, method), (HEADER, header)] {
        let payload = restored(kind, &payload).unwrap_or(payload);
        put_frame(kind, channel, &payload, &mut frames);
    }
    frames
}

/// One frame.
pub(crate) fn put_frame(kind: u8, channel: u16, payload: &[u8], into: &mut Vec<u8>) {
    debug_assert!([METHOD, HEADER, BODY].contains(&kind));
    into.push(kind);
    into.extend_from_slice(&channel.to_be_bytes());
    into.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    into.extend_from_slice(payload);
    into.push(END);
}
