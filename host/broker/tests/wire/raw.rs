//! Bad input by hand: each ends with the code that AMQP gives it, and the broker serves on.

use amq_protocol::frame::{AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use hive_broker::{Broker, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{connect, soon};

/// A client that writes what no client library would.
struct Client {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn new(broker: &Broker) -> Self {
        let socket = TcpStream::connect(broker.address()).await.unwrap();
        Self {
            socket,
            read: Vec::new(),
        }
    }

    /// Logs in and opens channel 1.
    async fn open(broker: &Broker) -> Self {
        let mut client = Self::new(broker).await;
        client.write(b"AMQP\0\0\x09\x01").await;
        client.frame().await;
        client.login("\0guest\0guest").await;
        client.frame().await;
        client.tune(8192).await;
        let open = connection::Open {
            virtual_host: "/".into(),
        };
        client.connection(connection::AMQPMethod::Open(open)).await;
        client.frame().await;
        let open = channel::AMQPMethod::Open(channel::Open {});
        client.method(1, AMQPClass::Channel(open)).await;
        client.frame().await;
        client
    }

    async fn login(&mut self, response: &str) {
        let mut capabilities = FieldTable::default();
        capabilities.insert("authentication_failure_close".into(), true.into());
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        let start = connection::StartOk {
            client_properties: properties,
            mechanism: "PLAIN".into(),
            response: response.into(),
            locale: "en_US".into(),
        };
        self.connection(connection::AMQPMethod::StartOk(start))
            .await;
    }

    async fn write(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).await.unwrap();
    }

    async fn connection(&mut self, method: connection::AMQPMethod) {
        self.method(0, AMQPClass::Connection(method)).await;
    }

    async fn method(&mut self, channel: u16, method: AMQPClass) {
        let frame = AMQPFrame::Method(channel, method);
        let written = gen_frame(&frame)(Vec::new().into()).unwrap();
        self.write(&written.write).await;
    }

    async fn tune(&mut self, frame_max: u32) {
        let tune = connection::TuneOk {
            channel_max: 10,
            frame_max,
            heartbeat: 0,
        };
        self.connection(connection::AMQPMethod::TuneOk(tune)).await;
    }

    /// The next frame, or `None` where the broker has closed the socket.
    async fn frame(&mut self) -> Option<AMQPFrame> {
        loop {
            if let Ok((rest, frame)) = parse_frame(&self.read[..]) {
                self.read = rest.to_vec();
                return Some(frame);
            }
            let mut piece = vec![0; 4096];
            let count = soon(self.socket.read(&mut piece)).await.unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.read.extend_from_slice(&piece[..count]);
        }
    }

    /// The code with which the broker closes the connection or the channel; 0 where it closes the socket
    /// without a word.
    async fn code(&mut self) -> u16 {
        use channel::AMQPMethod::Close as ChannelClose;
        use connection::AMQPMethod::Close as ConnectionClose;
        loop {
            match self.frame().await {
                None => return 0,
                Some(AMQPFrame::Method(_, AMQPClass::Connection(ConnectionClose(close)))) => {
                    return close.reply_code;
                }
                Some(AMQPFrame::Method(_, AMQPClass::Channel(ChannelClose(close)))) => {
                    return close.reply_code;
                }
                Some(_) => {}
            }
        }
    }
}

fn publish() -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Publish(basic::Publish {
        exchange: "".into(),
        routing_key: "q".into(),
        mandatory: false,
        immediate: false,
    }))
}

/// A header frame of a message with a body of this size.
fn header(class: u16, size: u64) -> Vec<u8> {
    let payload = [
        &class.to_be_bytes()[..],
        &[0, 0],
        &size.to_be_bytes(),
        &[0, 0],
    ]
    .concat();
    frame(2, &payload)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = length(payload);
    [&[kind, 0, 1][..], &length, payload, &[0xce]].concat()
}

fn length(octets: &[u8]) -> [u8; 4] {
    u32::try_from(octets.len()).unwrap().to_be_bytes()
}

/// `queue.declare` with arguments that are tables within tables.
fn nested() -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..400 {
        table = [&[1, b'n', b'F'][..], &length(&table), &table].concat();
    }
    let head = [0, 50, 0, 10, 0, 0, 1, b'q', 0];
    frame(1, &[&head[..], &length(&table), &table].concat())
}

#[tokio::test]
async fn bad_frames_are_answered_with_their_code_and_the_broker_serves_on() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let oversize = [&[3, 0, 1][..], &200_000_u32.to_be_bytes()].concat();
    for (what, octets, code) in [
        ("a wrong end", b"\x03\0\x01\0\0\0\x01x\xcd".to_vec(), 501),
        ("an unknown type", frame(7, b"x"), 501),
        ("an oversize frame", oversize, 501),
        ("an unknown method", frame(1, &[0, 60, 0, 99]), 502),
        (
            "a method that ends early",
            frame(1, &[0, 60, 0, 40, 0]),
            502,
        ),
        ("a table that is nested too deep", nested(), 502),
        ("a body without a header", frame(3, b"x"), 505),
        ("a header without a method", header(60, 1), 505),
        ("a heartbeat on a channel", frame(8, b""), 505),
        (
            "a channel that is not open",
            b"\x03\0\x09\0\0\0\x01x\xce".to_vec(),
            504,
        ),
    ] {
        let mut client = Client::open(&broker).await;
        client.write(&octets).await;
        assert_eq!(client.code().await, code, "{what}");
    }
    let malformed = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 9];
    for (what, octets, code) in [
        (
            "a method instead of a header",
            frame(1, &[0, 60, 0, 110, 1]),
            505,
        ),
        ("a header of another class", header(50, 1), 505),
        ("a message that is too large", header(60, 1 << 30), 501),
        ("a message above the limit", header(60, 1 << 25), 406),
        (
            "too much of a body",
            [header(60, 1), frame(3, b"xx")].concat(),
            501,
        ),
        ("malformed properties", frame(2, &malformed), 502),
    ] {
        let mut client = Client::open(&broker).await;
        client.method(1, publish()).await;
        client.write(&octets).await;
        assert_eq!(client.code().await, code, "{what}");
    }
    assert!(connect(&broker.url()).await.status().connected());
}

#[tokio::test]
async fn a_stranger_is_sent_away() {
    let broker = Broker::start(Settings::default()).await.unwrap();
    let mut web = Client::new(&broker).await;
    web.write(b"GET / HTTP/1.1\r\n\r\n").await;
    let mut answer = Vec::new();
    soon(web.socket.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"AMQP\0\0\x09\x01");
    let mut guesser = Client::new(&broker).await;
    guesser.write(b"AMQP\0\0\x09\x01").await;
    guesser.frame().await;
    guesser.login("\0guest\0wrong").await;
    assert_eq!(guesser.code().await, 403);
    let mut hasty = Client::new(&broker).await;
    hasty.write(b"AMQP\0\0\x09\x01").await;
    hasty.write(&header(60, 1)).await;
    assert_eq!(hasty.code().await, 0);
    let mut cramped = Client::new(&broker).await;
    cramped.write(b"AMQP\0\0\x09\x01").await;
    cramped.frame().await;
    cramped.login("\0guest\0guest").await;
    cramped.frame().await;
    cramped.tune(4096).await;
    assert_eq!(cramped.code().await, 0);
}
