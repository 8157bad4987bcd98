//! A client that writes and reads AMQP frames by hand, for messages that RabbitMQ delivers but no client
//! library can write or read: ids, names and routing keys that are not text.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const TIMEOUT: Duration = Duration::from_secs(20);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;

/// The fields in front of the properties in a content header: class, weight, size of the body.
const BEFORE_PROPERTIES: usize = 12;

/// The bits of the property flags, of 16 (AMQP 0-9-1, section 4.2.6.1).
pub mod property {
    /// content-type, short text
    pub const CONTENT_TYPE: u8 = 15;
    /// The header table.
    pub(super) const HEADERS: u8 = 13;
    /// An octet.
    pub const DELIVERY_MODE: u8 = 12;
    /// An octet.
    pub const PRIORITY: u8 = 11;
    /// Short text, as are those below but the timestamp.
    pub const CORRELATION_ID: u8 = 10;
    /// See [`CORRELATION_ID`].
    pub const REPLY_TO: u8 = 9;
    /// See [`CORRELATION_ID`].
    pub const MESSAGE_ID: u8 = 7;
    /// Eight octets.
    pub const TIMESTAMP: u8 = 6;
    /// See [`CORRELATION_ID`].
    pub const TYPE: u8 = 5;
    /// See [`CORRELATION_ID`].
    pub const APP_ID: u8 = 3;
}

use property::{DELIVERY_MODE, HEADERS, PRIORITY, TIMESTAMP};

/// A message as the bytes that stand on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawMessage {
    /// The routing key that it came with.
    pub routing_key: Vec<u8>,
    /// The properties by their bits, bar the headers; of a short text without its length.
    pub properties: BTreeMap<u8, Vec<u8>>,
    /// The headers by their names: the type of each and its value.
    pub headers: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The body.
    pub body: Vec<u8>,
}

impl RawMessage {
    /// The message with one more property.
    #[must_use]
    pub fn with(mut self, property: u8, octets: &[u8]) -> Self {
        self.properties.insert(property, octets.to_vec());
        self
    }

    /// The same with one header more, of a type and a value as they stand on the wire.
    #[must_use]
    pub fn header(mut self, name: &[u8], value: &[u8]) -> Self {
        self.headers.insert(name.to_vec(), value.to_vec());
        self
    }

    fn content_header(&self) -> Result<Vec<u8>> {
        let mut flags = 0_u16;
        let mut values = Vec::new();
        for bit in (0..16).rev() {
            let value = match (bit, self.properties.get(&bit)) {
                (HEADERS, _) if !self.headers.is_empty() => long(&self.table())?,
                (DELIVERY_MODE | PRIORITY | TIMESTAMP, Some(octets)) => octets.clone(),
                (_, Some(octets)) => short(octets),
                (_, None) => continue,
            };
            flags |= 1 << bit;
            values.extend(value);
        }
        let size = u64::try_from(self.body.len())?.to_be_bytes();
        Ok([&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), &values].concat())
    }

    fn table(&self) -> Vec<u8> {
        let entries = self.headers.iter();
        entries
            .flat_map(|(name, value)| [short(name), value.clone()].concat())
            .collect()
    }

    /// Reads what [`Self::content_header`] writes.
    fn read_header(&mut self, payload: &[u8]) -> Result<()> {
        let mut rest = Rest(payload);
        rest.take(BEFORE_PROPERTIES)?;
        let flags = u16::from_be_bytes(rest.take(2)?.try_into()?);
        for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
            let octets = match bit {
                HEADERS => {
                    let mut table = Rest(rest.long()?);
                    while !table.0.is_empty() {
                        let name = table.short()?.to_vec();
                        let value = table.value()?.to_vec();
                        self.headers.insert(name, value);
                    }
                    continue;
                }
                DELIVERY_MODE | PRIORITY => rest.take(1)?,
                TIMESTAMP => rest.take(8)?,
                _ => rest.short()?,
            };
            self.properties.insert(bit, octets.to_vec());
        }
        Ok(())
    }
}

/// The rest of a payload.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn short(&mut self) -> Result<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(length.into())
    }

    fn long(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into()?);
        self.take(usize::try_from(length)?)
    }

    /// A value of a table, its type included.
    fn value(&mut self) -> Result<&'a [u8]> {
        let from = self.0;
        let length = match self.take(1)?[0] {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'd' | b'T' => 8,
            b'S' | b'x' | b'F' | b'A' => {
                self.long()?;
                0
            }
            other => bail!("no such type: {}", char::from(other)),
        };
        self.take(length)?;
        Ok(&from[..from.len() - self.0.len()])
    }
}

/// Publishes messages to an exchange, each with its routing key.
pub(crate) fn publish_all(
    port: u16,
    vhost: &str,
    exchange: &str,
    messages: &[RawMessage],
) -> Result<()> {
    publish_on(port, vhost, messages.len(), |stream| {
        for message in messages {
            let header = message.content_header()?;
            send_message(
                stream,
                (exchange.as_bytes(), &message.routing_key),
                &header,
                &message.body,
            )?;
        }
        Ok(())
    })
}

/// A connection of its own for `count` publications, which closes once the broker has confirmed them: a channel that
/// closes before takes along what a quorum queue has not got yet.
fn publish_on(
    port: u16,
    vhost: &str,
    count: usize,
    publish: impl FnOnce(&mut TcpStream) -> Result<()>,
) -> Result<()> {
    let mut stream = open(port, vhost)?;
    // confirm.select, and its answer.
    send(&mut stream, METHOD, 1, &[&method(85, 10), &[0]])?;
    let (_, answer) = receive(&mut stream)?;
    ensure!(answer.starts_with(&method(85, 11)), "it is {answer:?}");
    publish(&mut stream)?;
    confirmed(&mut stream, count)?;
    close(&mut stream)
}

/// Waits until the broker has taken so many publications of the channel.
fn confirmed(stream: &mut TcpStream, count: usize) -> Result<()> {
    let mut open: BTreeSet<u64> = (1..).take(count).collect();
    while !open.is_empty() {
        let (_, answer) = receive(stream)?;
        ensure!(answer.starts_with(&method(60, 80)), "it is {answer:?}");
        let mut rest = Rest(&answer[4..]);
        let tag = u64::from_be_bytes(rest.take(8)?.try_into()?);
        let is_multiple = rest.take(1)?[0] & 1 == 1;
        open.retain(|one| *one != tag && !(is_multiple && *one < tag));
    }
    Ok(())
}

/// Publishes one message to a queue. `table` is the content of the header table, without its length.
pub(crate) fn publish(
    port: u16,
    vhost: &str,
    queue: &str,
    table: &[u8],
    body: &[u8],
) -> Result<()> {
    let size = u64::try_from(body.len())?.to_be_bytes();
    let flags = (1_u16 << HEADERS).to_be_bytes();
    let header = [&[0, 60, 0, 0][..], &size, &flags, &long(table)?].concat();
    publish_on(port, vhost, 1, |stream| {
        send_message(stream, (b"", queue.as_bytes()), &header, body)
    })
}

/// Takes everything that waits in a queue now.
pub(crate) fn drain(port: u16, vhost: &str, queue: &str) -> Result<Vec<RawMessage>> {
    let mut stream = open(port, vhost)?;
    let mut taken = Vec::new();
    while let Some(message) = take(&mut stream, queue)? {
        taken.push(message);
    }
    close(&mut stream)?;
    Ok(taken)
}

fn take(stream: &mut TcpStream, queue: &str) -> Result<Option<RawMessage>> {
    // A number of no use, the queue, without an acknowledgement.
    let arguments = [&[0, 0][..], &short(queue.as_bytes()), &[1]].concat();
    send(stream, METHOD, 1, &[&method(60, 70), &arguments])?;
    let (_, answer) = receive(stream)?;
    if answer.starts_with(&method(60, 72)) {
        return Ok(None);
    }
    ensure!(answer.starts_with(&method(60, 71)), "it is {answer:?}");
    let mut rest = Rest(&answer[4..]);
    // The delivery tag, whether it was handed out before, the exchange.
    rest.take(9)?;
    rest.short()?;
    let mut message = RawMessage {
        routing_key: rest.short()?.to_vec(),
        ..RawMessage::default()
    };
    let (kind, header) = receive(stream)?;
    ensure!(kind == HEADER, "it has no content header");
    message.read_header(&header)?;
    let size = u64::from_be_bytes(header[4..BEFORE_PROPERTIES].try_into()?);
    while u64::try_from(message.body.len())? < size {
        message.body.extend(receive(stream)?.1);
    }
    Ok(Some(message))
}

fn send_message(
    stream: &mut TcpStream,
    (exchange, routing_key): (&[u8], &[u8]),
    header: &[u8],
    body: &[u8],
) -> Result<()> {
    let address = [&[0, 0][..], &short(exchange), &short(routing_key), &[0]].concat();
    send(stream, METHOD, 1, &[&method(60, 40), &address])?;
    send(stream, HEADER, 1, &[header])?;
    if body.is_empty() {
        return Ok(());
    }
    send(stream, BODY, 1, &[body])
}

/// The handshake (AMQP 0-9-1, section 2.2.4), and a channel.
fn open(port: u16, vhost: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    expect(&mut stream, 10, 10)?;
    let login = [
        &[0; 4][..],
        &short(b"PLAIN"),
        &long(b"\0guest\0guest")?,
        &short(b"en_US"),
    ]
    .concat();
    send(&mut stream, METHOD, 0, &[&method(10, 11), &login])?;
    expect(&mut stream, 10, 30)?;
    let limits = [
        &2047_u16.to_be_bytes()[..],
        &131_072_u32.to_be_bytes(),
        &[0, 0],
    ]
    .concat();
    send(&mut stream, METHOD, 0, &[&method(10, 31), &limits])?;
    let vhost = short(vhost.as_bytes());
    send(&mut stream, METHOD, 0, &[&method(10, 40), &vhost, &[0, 0]])?;
    expect(&mut stream, 10, 41)?;
    send(&mut stream, METHOD, 1, &[&method(20, 10), &[0][..]])?;
    expect(&mut stream, 20, 11)?;
    Ok(stream)
}

fn close(stream: &mut TcpStream) -> Result<()> {
    let goodbye = [&200_u16.to_be_bytes()[..], &short(b""), &[0; 4]].concat();
    send(stream, METHOD, 1, &[&method(20, 40), &goodbye])?;
    expect(stream, 20, 41)
}

fn method(class: u16, method: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (class.to_be_bytes(), method.to_be_bytes());
    [a, b, c, d]
}

fn short(octets: &[u8]) -> Vec<u8> {
    let length = u8::try_from(octets.len()).expect("a short string is short");
    [&[length][..], octets].concat()
}

fn long(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok([&u32::try_from(bytes.len())?.to_be_bytes()[..], bytes].concat())
}

fn send(stream: &mut TcpStream, kind: u8, channel: u16, parts: &[&[u8]]) -> Result<()> {
    let payload = parts.concat();
    let [high, low] = channel.to_be_bytes();
    let frame = [&[kind, high, low][..], &long(&payload)?, &[FRAME_END]].concat();
    Ok(stream.write_all(&frame)?)
}

/// Reads the next frame that is not a heartbeat: its type and its payload.
fn receive(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        let [kind, _, _, length @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize + 1];
        stream.read_exact(&mut payload)?;
        payload.pop();
        if kind != HEARTBEAT {
            return Ok((kind, payload));
        }
    }
}

/// Reads one frame, which is to be this method.
fn expect(stream: &mut TcpStream, class: u16, id: u16) -> Result<()> {
    let (_, payload) = receive(stream)?;
    ensure!(
        payload.starts_with(&method(class, id)),
        "the broker answered {:?} instead of method {class}.{id}",
        String::from_utf8_lossy(&payload)
    );
    Ok(())
}
