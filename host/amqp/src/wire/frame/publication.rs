//! The frames of a publication, as they are written.

use lapin::protocol::basic::gen_properties;

use super::{AROUND, BODY, END, HEADER, METHOD, restored};
use crate::message::outgoing::Outgoing;

/// `basic.publish` and a number of no use, as the payload of its frame begins.
const PUBLISH: [u8; 6] = [0, 60, 0, 40, 0, 0];
/// The class of the content, and a weight of no use.
const CONTENT: [u8; 4] = [0, 60, 0, 0];
/// A message that no queue takes is returned.
const MANDATORY: u8 = 1;

/// The frames of the method and of the content header.
pub fn head(channel: u16, outgoing: &Outgoing) -> Vec<u8> {
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
    let mut frames = Vec::with_capacity(method.len() + header.len() + 2 * AROUND);
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

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
    use amq_protocol::protocol::{AMQPClass, basic};
    use lapin::BasicProperties;
    use lapin::types::{AMQPValue, FieldTable, ShortString};

    use super::*;
    use crate::publish::published;

    /// The same as lapin writes it.
    fn of_lapin(channel: u16, outgoing: &Outgoing) -> Vec<u8> {
        let method = basic::AMQPMethod::Publish(basic::Publish {
            exchange: outgoing.exchange.clone(),
            routing_key: outgoing.routing_key.clone(),
            mandatory: true,
            immediate: false,
        });
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: outgoing.body.len() as u64,
            properties: outgoing.all_properties(),
        };
        let mut written = Vec::new();
        for frame in [
            AMQPFrame::Method(channel, AMQPClass::Basic(method)),
            AMQPFrame::Header(channel, header),
        ] {
            let context = gen_frame(&frame)(written.into()).expect("memory takes everything");
            written = context.into_inner().0;
        }
        written
    }

    #[test]
    fn it_is_what_lapin_would_write() {
        let with_headers = |mut outgoing: Outgoing| {
            let mut headers = FieldTable::default();
            headers.insert("tenant".into(), AMQPValue::LongString("a".into()));
            headers.insert("count".into(), AMQPValue::LongLongInt(-1));
            outgoing.headers = headers;
            outgoing
        };
        let everything = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("gzip".into())
            .with_delivery_mode(2)
            .with_priority(9)
            .with_correlation_id("c".into())
            .with_reply_to("replies".into())
            .with_expiration("60000".into())
            .with_message_id("m".into())
            .with_timestamp(1_700_000_000)
            .with_type("order".into())
            .with_user_id("guest".into())
            .with_app_id("shop".into());
        let longest = "k".repeat(255);
        for (channel, outgoing) in [
            (1, published("orders", Vec::new())),
            (0x1234, with_headers(published(&longest, vec![0; 70_000]))),
            (
                65535,
                Outgoing {
                    exchange: ShortString::from("shop"),
                    properties: everything,
                    ..with_headers(published("", b"{}".to_vec()))
                },
            ),
        ] {
            assert_eq!(head(channel, &outgoing), of_lapin(channel, &outgoing));
        }
    }

    #[test]
    fn a_text_that_stands_for_bytes_is_written_as_those() {
        let text = published("hive-bytes:ff61", Vec::new());
        let written = head(1, &text);
        assert_eq!(written[14..18], [2, 0xff, b'a', MANDATORY]);
        assert_eq!(written[3..7], 11_u32.to_be_bytes());
    }
}
