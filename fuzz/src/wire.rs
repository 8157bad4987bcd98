//! Turns any bytes into what a broker may send: frames whose lengths are right, while names, values and
//! the depth of tables are anybody's.
//!
//! A mutation of such a frame's bytes would mostly break a length and be refused at once; a mutation of
//! the bytes that choose its parts makes another frame.

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};

/// The frame types.
pub(crate) const METHOD: u8 = 1;
/// See [`METHOD`].
pub(crate) const HEADER: u8 = 2;
/// See [`METHOD`].
pub(crate) const BODY: u8 = 3;
/// See [`METHOD`].
pub(crate) const HEARTBEAT: u8 = 8;
/// Ends a frame.
pub(crate) const FRAME_END: u8 = 0xce;

/// The class of messages.
const BASIC: u16 = 60;

/// Names that the host or the broker acts on.
const NAMES: [&str; 27] = [
    "x-hive-attempt",
    "x-hive-retry-queue",
    "x-hive-exchange",
    "x-hive-routing-key",
    "x-hive-publish-id",
    "x-hive-reason",
    "x-hive-error",
    "x-hive-attempts",
    "x-hive-time",
    "x-hive-queue",
    "x-hive-consumer",
    "x-hive-original-",
    "x-hive-original-expiration",
    "x-hive-original-user-id",
    "x-hive-original-x-death",
    "x-hive-original-CC",
    "x-hive-original-x-hive-attempt",
    "x-death",
    "x-first-death-reason",
    "x-last-death-queue",
    "CC",
    "BCC",
    "x-delivery-count",
    "x-stream-offset",
    "expiration",
    "version",
    "x-hive-retry-reason",
];

/// Texts with a meaning for the host or the broker.
const TEXTS: [&str; 10] = [
    "orders",
    "orders.dead",
    "guest",
    "60000",
    " 7 ",
    "18446744073709551616",
    "4294967296",
    "3.10.8",
    "hive-bytes:ff",
    "hive-bytes:686976652d62797465733a6666",
];

/// The types of values that RabbitMQ reads, and `L` and `U`, which other brokers write.
const TYPES: &[u8; 19] = b"tbBsuIilLUfdDSxTVAF";

/// The bytes that choose. Past their end all are 0.
#[derive(Debug)]
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    /// The next one.
    pub(crate) fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = usize::from(self.octet()) << 8 | usize::from(self.octet());
        number % bound
    }

    pub(crate) fn is_left(&self) -> bool {
        !self.0.is_empty()
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        let mut octets = taken.to_vec();
        octets.resize(count, 0);
        octets
    }

    fn one_of<'b>(&mut self, texts: &[&'b str]) -> &'b str {
        texts[usize::from(self.octet()) % texts.len()]
    }

    /// Mostly short, now and then of the largest length of a short string, and of any bytes.
    fn text(&mut self) -> Vec<u8> {
        match self.octet() % 8 {
            0 => Vec::new(),
            1 => self.one_of(&TEXTS).into(),
            2 => self.one_of(&NAMES).into(),
            3 => self.octet().to_string().into_bytes(),
            4 => vec![b'x'; 255],
            5 => "ä".repeat(127).into_bytes(),
            _ => {
                let length = usize::from(self.octet() % 12);
                self.octets(length)
            }
        }
    }

    /// Now and then so much that a few of them fill a frame.
    fn long_text(&mut self) -> Vec<u8> {
        let mut text = self.text();
        if self.octet() >= 224 {
            text = text.repeat(8);
        }
        text
    }

    fn name(&mut self) -> Vec<u8> {
        match self.octet() % 2 {
            0 => self.one_of(&NAMES).into(),
            _ => self.text(),
        }
    }
}

/// A frame with this payload.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(long(payload));
    frame.push(FRAME_END);
    frame
}

/// A frame as lapin writes it.
pub(crate) fn written(frame: &AMQPFrame) -> Vec<u8> {
    let context = WriteContext::from(Vec::new());
    let written = gen_frame(frame)(context).expect("memory takes everything");
    written.into_inner().0
}

/// Some frame that a broker may send.
pub(crate) fn any_frame(choices: &mut Choices<'_>) -> Vec<u8> {
    let channel = u16::from(choices.octet());
    match choices.octet() % 8 {
        0 => {
            let length = choices.below(300);
            frame(BODY, channel, &choices.octets(length))
        }
        1 => frame(HEARTBEAT, 0, &[]),
        2 | 3 => frame(METHOD, channel, &method(choices)),
        _ => frame(HEADER, channel, &content_header(choices)),
    }
}

/// The methods that carry text, and the one that negotiates the size of a frame.
fn method(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.octet() % 8 {
        0 => start(choices),
        1 => [ids(10, 50), choices.octets(2), short(choices), vec![0; 4]].concat(),
        2 => [ids(20, 40), choices.octets(2), short(choices), vec![0; 4]].concat(),
        3 => [ids(10, 60), short(choices)].concat(),
        4 => [ids(50, 11), short(choices), choices.octets(8)].concat(),
        5 => {
            let texts = [short(choices), short(choices), short(choices)].concat();
            [ids(BASIC, 50), choices.octets(2), texts].concat()
        }
        6 => {
            let tag = short(choices);
            // The delivery tag, and whether it was handed out before.
            let numbers = [choices.octets(8), vec![choices.octet() % 2]].concat();
            let texts = [short(choices), short(choices)].concat();
            [ids(BASIC, 60), tag, numbers, texts].concat()
        }
        // connection.tune, with what it says of channels and heartbeats.
        _ => {
            let frame_max = [0, 1, 4096, 5000, 131_072, u32::MAX][choices.below(6)].to_be_bytes();
            [ids(10, 30), vec![0, 0], frame_max.to_vec(), vec![0, 60]].concat()
        }
    }
}

/// A broker that introduces itself. What it says of itself is text, and names its version somehow.
fn start(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut properties = b"\x07productS\x00\x00\x00\x06Rabbit".to_vec();
    properties.extend(b"\x07version");
    let version = TYPES[usize::from(choices.octet()) % TYPES.len()];
    put_value(version, choices, 1, &mut properties);
    let mechanisms = long(b"PLAIN");
    [
        ids(10, 10),
        vec![0, 9],
        long(&properties),
        mechanisms,
        long(b"en_US"),
    ]
    .concat()
}

/// The payload of a header frame.
pub(crate) fn content_header(choices: &mut Choices<'_>) -> Vec<u8> {
    // The two lowest bits say that more flags follow, which no broker does.
    let flags = u16::from_be_bytes([choices.octet(), choices.octet()]) & !3;
    let mut payload = ids(BASIC, 0);
    payload.extend([0; 8]);
    payload.extend(flags.to_be_bytes());
    for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
        match bit {
            13 => put_table(choices, 0, &mut payload),
            // delivery-mode, priority
            12 | 11 => payload.push(choices.octet()),
            // timestamp
            6 => payload.extend(choices.octets(8)),
            _ => payload.extend(short(choices)),
        }
    }
    payload
}

fn ids(class: u16, method: u16) -> Vec<u8> {
    [class.to_be_bytes(), method.to_be_bytes()].concat()
}

fn short(choices: &mut Choices<'_>) -> Vec<u8> {
    short_of(choices.text())
}

fn short_of(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(255);
    text.insert(0, text.len() as u8);
    text
}

fn long(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

fn put_table(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let mut entries = Vec::new();
    for _ in 0..choices.octet() % 8 {
        entries.extend(short_of(choices.name()));
        put_any_value(choices, depth, &mut entries);
    }
    out.extend(long(&entries));
}

fn put_any_value(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let kind = TYPES[usize::from(choices.octet()) % TYPES.len()];
    put_value(kind, choices, depth, out);
}

fn put_value(kind: u8, choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    out.push(kind);
    match kind {
        b'V' => {}
        b't' | b'b' | b'B' => out.extend(choices.octets(1)),
        b's' | b'u' | b'U' => out.extend(choices.octets(2)),
        b'I' | b'i' | b'f' => out.extend(choices.octets(4)),
        b'D' => out.extend(choices.octets(5)),
        b'S' | b'x' => out.extend(long(&choices.long_text())),
        b'F' => put_table(choices, depth + 1, out),
        b'A' => put_array(choices, depth, out),
        // l, L, d, T
        _ => out.extend(choices.octets(8)),
    }
}

fn put_array(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let mut values = Vec::new();
    let count = choices.octet();
    if count >= 224 && depth < 2 {
        // One in the other, a few hundred times.
        for _ in 0..=choices.octet() {
            values = [b"A".as_slice(), &long(&values)].concat();
        }
    } else {
        for _ in 0..count % 4 {
            put_any_value(choices, depth + 1, &mut values);
        }
    }
    out.extend(long(&values));
}
