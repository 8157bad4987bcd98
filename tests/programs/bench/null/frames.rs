//! AMQP 0-9-1 as octets, as much of it as a broker that stores nothing needs, and a client that does nothing else.
//! Numbers of classes and methods are those of the specification (AMQP 0-9-1, section 1.2 of its reference).

use anyhow::{Context, Result};

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
const END: u8 = 0xce;
/// Type, channel and size.
pub(crate) const HEAD: usize = 7;
/// The largest frame that is offered and accepted.
pub(crate) const FRAME_MAX: u32 = 131_072;

/// What opens a connection.
pub(crate) const PROTOCOL: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// One frame of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'b> {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: &'b [u8],
}

impl<'b> Frame<'b> {
    /// The frame at the beginning, and how many octets it takes; `None` if not all of it is here.
    pub(crate) fn first(bytes: &'b [u8]) -> Option<(Self, usize)> {
        let &[kind, high, low, a, b, c, d] = bytes.first_chunk::<HEAD>()?;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let payload = bytes.get(HEAD..HEAD + size)?;
        bytes.get(HEAD + size)?;
        let frame = Self {
            kind,
            channel: u16::from_be_bytes([high, low]),
            payload,
        };
        Some((frame, HEAD + size + 1))
    }

    /// Class and method, and the arguments.
    pub(crate) fn method(&self) -> Result<((u16, u16), Arguments<'b>)> {
        let (head, arguments) = self.payload.split_first_chunk::<4>().context("no method")?;
        let [a, b, c, d] = *head;
        let method = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Ok((method, Arguments(arguments)))
    }
}

/// The arguments of a method, read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'b>(&'b [u8]);

impl<'b> Arguments<'b> {
    pub(crate) fn octet(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().context("an octet is missing")?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn short(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.chunk()?))
    }

    pub(crate) fn long(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.chunk()?))
    }

    pub(crate) fn long_long(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.chunk()?))
    }

    /// A short string.
    pub(crate) fn text(&mut self) -> Result<&'b [u8]> {
        let length = usize::from(self.octet()?);
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .context("a text is cut off")?;
        self.0 = rest;
        Ok(text)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (chunk, rest) = self
            .0
            .split_first_chunk::<N>()
            .context("a number is cut off")?;
        self.0 = rest;
        Ok(*chunk)
    }
}

/// Writes one frame, whose payload has these parts.
pub(crate) fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, parts: &[&[u8]]) {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(END);
}

/// Writes a method.
pub(crate) fn method(out: &mut Vec<u8>, channel: u16, number: (u16, u16), arguments: &[&[u8]]) {
    let (class, method) = (number.0.to_be_bytes(), number.1.to_be_bytes());
    let parts: Vec<&[u8]> = [&class[..], &method[..]]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    frame(out, METHOD, channel, &parts);
}

/// Writes `basic.ack`.
pub(crate) fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    method(
        out,
        channel,
        (60, 80),
        &[&tag.to_be_bytes(), &[u8::from(multiple)]],
    );
}

/// A short string.
pub(crate) fn short_text(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [&[length][..], text].concat()
}

/// A long string, or a table.
pub(crate) fn long_text(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[..], text].concat()
}

/// Writes the header and the body of a content of the class basic. `properties` are its flags and what they announce.
pub(crate) fn content(out: &mut Vec<u8>, channel: u16, properties: &[u8], body: &[u8]) {
    let length = (body.len() as u64).to_be_bytes();
    frame(out, HEADER, channel, &[&[0, 60, 0, 0], &length, properties]);
    for piece in body.chunks(FRAME_MAX as usize - HEAD - 1) {
        frame(out, BODY, channel, &[piece]);
    }
}

/// A delivery that is encoded once, and written with another tag each time.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    tag_at: usize,
}

impl Encoded {
    pub(crate) fn delivery(channel: u16, consumer_tag: &[u8], queue: &str, body: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let tag = short_text(consumer_tag);
        let routing_key = short_text(queue.as_bytes());
        // Not redelivered, from the default exchange.
        let arguments: [&[u8]; 5] = [&tag, &[0; 8], &[0], &[0], &routing_key];
        method(&mut bytes, channel, (60, 60), &arguments);
        let tag_at = HEAD + 4 + tag.len();
        // Content type, an empty table of headers, delivery mode 2.
        let content_type = short_text(b"application/json");
        let properties = [&[0xb0, 0][..], &content_type, &[0, 0, 0, 0], &[2]].concat();
        content(&mut bytes, channel, &properties, body);
        Self { bytes, tag_at }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, tag: u64) {
        let from = out.len() + self.tag_at;
        out.extend_from_slice(&self.bytes);
        out[from..from + 8].copy_from_slice(&tag.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_written_with_its_tag() -> Result<()> {
        let encoded = Encoded::delivery(3, b"tag", "bench", &[b'x'; 200_000]);
        let mut out = Vec::new();
        encoded.write(&mut out, 1);
        encoded.write(&mut out, 77);
        let mut rest = &out[..];
        let mut tags = Vec::new();
        let mut body = 0;
        while let Some((frame, length)) = Frame::first(rest) {
            rest = &rest[length..];
            assert_eq!(frame.channel, 3);
            match frame.kind {
                METHOD => {
                    let (number, mut arguments) = frame.method()?;
                    assert_eq!((number, arguments.text()?), ((60, 60), &b"tag"[..]));
                    tags.push(arguments.long_long()?);
                }
                BODY => body += frame.payload.len(),
                _ => assert_eq!(frame.payload[4..12], 200_000_u64.to_be_bytes()),
            }
        }
        assert!(rest.is_empty());
        assert_eq!((tags, body), (vec![1, 77], 400_000));
        Ok(())
    }
}
