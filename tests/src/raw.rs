//! A publisher that writes AMQP's frames by hand, for headers that no client library would write and
//! that RabbitMQ hands out all the same.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

const TIMEOUT: Duration = Duration::from_secs(20);

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xce;

/// The bit of the property flags that says that there are headers (AMQP 0-9-1, section 4.2.6.1).
const HAS_HEADERS: u16 = 1 << 13;

/// Publishes one message to a queue. `table` is what stands in the header table, without its length.
pub(crate) fn publish(
    port: u16,
    vhost: &str,
    queue: &str,
    table: &[u8],
    body: &[u8],
) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    open(&mut stream, vhost)?;
    send(&mut stream, METHOD, 1, &[&method(20, 10), &[0][..]])?;
    expect(&mut stream, 20, 11)?;
    let address = [&[0, 0, 0][..], &short(queue), &[0]].concat();
    send(&mut stream, METHOD, 1, &[&method(60, 40), &address])?;
    let size = u64::try_from(body.len())?.to_be_bytes();
    let properties = [&HAS_HEADERS.to_be_bytes()[..], &long(table)?].concat();
    send(
        &mut stream,
        HEADER,
        1,
        &[&[0, 60, 0, 0], &size, &properties],
    )?;
    send(&mut stream, BODY, 1, &[body])?;
    // The answer to this comes behind the publication, so it has been taken by then.
    let goodbye = [&200_u16.to_be_bytes()[..], &short(""), &[0; 4]].concat();
    send(&mut stream, METHOD, 1, &[&method(20, 40), &goodbye])?;
    expect(&mut stream, 20, 41)
}

/// The handshake (AMQP 0-9-1, section 2.2.4).
fn open(stream: &mut TcpStream, vhost: &str) -> Result<()> {
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    expect(stream, 10, 10)?;
    let login = [
        &[0; 4][..],
        &short("PLAIN"),
        &long(b"\0guest\0guest")?,
        &short("en_US"),
    ]
    .concat();
    send(stream, METHOD, 0, &[&method(10, 11), &login])?;
    expect(stream, 10, 30)?;
    let limits = [
        &2047_u16.to_be_bytes()[..],
        &131_072_u32.to_be_bytes(),
        &[0, 0],
    ]
    .concat();
    send(stream, METHOD, 0, &[&method(10, 31), &limits])?;
    send(
        stream,
        METHOD,
        0,
        &[&method(10, 40), &short(vhost), &[0, 0]],
    )?;
    expect(stream, 10, 41)
}

fn method(class: u16, method: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (class.to_be_bytes(), method.to_be_bytes());
    [a, b, c, d]
}

fn short(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short string is short");
    [&[length][..], text.as_bytes()].concat()
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

/// Reads one frame, which is to be this method.
fn expect(stream: &mut TcpStream, class: u16, id: u16) -> Result<()> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let [_, _, _, length @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes(length) as usize + 1];
    stream.read_exact(&mut payload)?;
    ensure!(
        payload.starts_with(&method(class, id)),
        "the broker answered {:?} instead of method {class}.{id}",
        String::from_utf8_lossy(&payload)
    );
    Ok(())
}
