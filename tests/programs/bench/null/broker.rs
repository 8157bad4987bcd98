//! A broker that stores nothing: what a client can do where the broker costs it nothing.
//!
//! It accepts what clients ask for, streams deliveries that are encoded beforehand as fast as the socket takes them
//! within the prefetch, counts acks, and confirms what is published at once. It knows when the last delivery was
//! acknowledged, so nobody has to look. In a process of its own, so that processor times are apart.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::frames::{
    BODY, Encoded, FRAME_MAX, Frame, HEADER, METHOD, PROTOCOL, ack, long_text, method, short_text,
};
use crate::myself;
use crate::say;
use crate::work::{QUEUE, message};

/// How much is read at once.
const ROOM: usize = 256 << 10;
/// How much is written at once.
const PIECE: usize = 128 << 10;

/// The bit of queue.declare that asks for no answer, behind passive, durable, exclusive and auto-delete.
const NO_WAIT_OF_QUEUE: u8 = 1 << 4;

/// How long a client is waited for.
const LONGEST: Duration = Duration::from_secs(300);

/// Streams so many deliveries to whoever consumes, and reports how long they took.
#[derive(Debug, Clone, Args)]
pub(crate) struct NullBroker {
    /// How many deliveries
    messages: u64,
    /// The size of a body in bytes
    size: usize,
    /// How many a second; as fast as possible without
    pace: Option<f64>,
}

/// What a run took.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// From the first delivery to the last ack.
    pub(crate) seconds: f64,
    /// From each delivery to its ack, in microseconds, sorted; only where there is a pace.
    pub(crate) micros: Vec<u32>,
}

/// The broker as a process. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    lines: Receiver<std::io::Result<String>>,
    pub(crate) url: String,
}

impl Started {
    pub(crate) fn launch(messages: u64, size: usize, pace: Option<f64>) -> Result<Self> {
        let mut command = Command::new(myself()?);
        command.args(["null-broker", &messages.to_string(), &size.to_string()]);
        command.args(pace.map(|pace| pace.to_string()));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = hive_tests::start(&mut command)?;
        let stdout = child.stdout.take().context("it has an output")?;
        let (tell, lines) = mpsc::channel();
        // Ends with the output of the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let mut started = Self {
            child,
            lines,
            url: String::new(),
        };
        let port = started.next()?;
        started.url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
        Ok(started)
    }

    /// Waits for what the process says next.
    fn next(&mut self) -> Result<String> {
        match self.lines.recv_timeout(LONGEST) {
            Ok(line) => Ok(line?),
            Err(RecvTimeoutError::Timeout) => bail!("the client was not done within {LONGEST:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the null broker has ended"),
        }
    }

    /// Waits until the first delivery is written.
    pub(crate) fn wait_for_begin(&mut self) -> Result<()> {
        let line = self.next()?;
        ensure!(line == "begun", "the null broker said {line}");
        Ok(())
    }

    /// Waits until the last delivery is acknowledged.
    pub(crate) fn wait_for_end(&mut self) -> Result<Outcome> {
        let told: Value = serde_json::from_str(&self.next()?)?;
        let seconds = told["seconds"].as_f64();
        let micros = told["micros"].as_array().into_iter().flatten();
        let micros = micros.filter_map(Value::as_u64).map(u32::try_from);
        Ok(Outcome {
            seconds: seconds.context("the null broker tells the time")?,
            micros: micros.collect::<Result<_, _>>()?,
        })
    }
}

impl Started {
    /// The processor time that it has taken so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        hive_tests::processor_time(self.child.id()).context("the null broker has ended")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl NullBroker {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&listener.local_addr()?.port().to_string());
        let body = message(0, self.size).body;
        let run = Arc::new(Run {
            order: self,
            body,
            state: Mutex::default(),
        });
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = Connection::new(stream, Arc::clone(&run));
            connections.spawn(connection.serve());
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Run {
    order: NullBroker,
    body: Vec<u8>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: Option<Instant>,
    settled: u64,
    micros: Vec<u32>,
    is_over: bool,
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins(&self) {
        let mut state = self.state();
        if state.begun.is_none() {
            state.begun = Some(Instant::now());
            say("begun");
        }
    }

    /// So many more are acknowledged, after these times.
    fn settled(&self, count: u64, micros: impl Iterator<Item = u32>) -> Result<()> {
        let mut state = self.state();
        state.settled += count;
        state.micros.extend(micros);
        if state.settled >= self.order.messages && !state.is_over {
            state.is_over = true;
            let begun = state.begun.context("nothing was delivered")?;
            let mut micros = std::mem::take(&mut state.micros);
            micros.sort_unstable();
            let seconds = begun.elapsed().as_secs_f64();
            say(&json!({ "seconds": seconds, "micros": micros }).to_string());
        }
        Ok(())
    }
}

/// A channel that consumes.
#[derive(Debug)]
struct Consuming {
    channel: u16,
    encoded: Encoded,
    prefetch: u64,
    delivered: u64,
    /// When each that is not acknowledged was written; `None` for one that is, behind one that is not.
    unsettled: VecDeque<Option<Instant>>,
    /// When the next one is due.
    next_at: Instant,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    run: Arc<Run>,
    input: Vec<u8>,
    output: Vec<u8>,
    prefetch: u64,
    consuming: Option<Consuming>,
    /// How many publications of each channel are not confirmed yet, and how many there were.
    published: Vec<(u16, u64, bool)>,
    is_closed: bool,
}

impl Connection {
    fn new(stream: TcpStream, run: Arc<Run>) -> Self {
        Self {
            stream,
            run,
            input: Vec::new(),
            output: Vec::new(),
            prefetch: u64::MAX,
            consuming: None,
            published: Vec::new(),
            is_closed: false,
        }
    }

    async fn serve(mut self) -> Result<()> {
        let mut protocol = [0; PROTOCOL.len()];
        self.stream.read_exact(&mut protocol).await?;
        ensure!(protocol == *PROTOCOL, "another protocol");
        start(&mut self.output);
        loop {
            self.deliver();
            while !self.output.is_empty() {
                self.stream.write_all(&self.output).await?;
                self.output.clear();
                self.deliver();
            }
            if self.is_closed {
                return Ok(());
            }
            let due = self.consuming.as_ref().filter(|consuming| {
                self.run.order.pace.is_some() && consuming.has_room(&self.run.order)
            });
            let due = due.map(|consuming| consuming.next_at);
            let is_due = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            self.input.reserve(ROOM);
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.hear()?;
                }
                () = is_due => {}
            }
        }
    }

    /// Writes what the prefetch has room for.
    fn deliver(&mut self) {
        let Some(consuming) = &mut self.consuming else {
            return;
        };
        while consuming.has_room(&self.run.order) && self.output.len() < PIECE {
            let now = Instant::now();
            if let Some(pace) = self.run.order.pace {
                if now < consuming.next_at {
                    return;
                }
                consuming.next_at += Duration::from_secs_f64(1.0 / pace);
            }
            self.run.begins();
            consuming.delivered += 1;
            consuming
                .encoded
                .write(&mut self.output, consuming.delivered);
            consuming.unsettled.push_back(Some(now));
        }
    }

    fn hear(&mut self) -> Result<()> {
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((frame, length)) = Frame::first(rest) {
            rest = &rest[length..];
            match frame.kind {
                METHOD => self.method(&frame)?,
                HEADER => self.content(&frame)?,
                // A body may have none, and heartbeats need no answer.
                BODY => {}
                _ => {}
            }
        }
        for (channel, count, is_new) in &mut self.published {
            if std::mem::take(is_new) {
                ack(&mut self.output, *channel, *count, true);
            }
        }
        let unread = rest.to_vec();
        self.input = unread;
        Ok(())
    }

    /// The header of a publication: its body is on its way, and stored as well as any.
    fn content(&mut self, frame: &Frame<'_>) -> Result<()> {
        let mut channels = self.published.iter_mut();
        let of_channel = channels.find(|(channel, ..)| *channel == frame.channel);
        let (_, count, is_new) = of_channel.context("a publication without confirms")?;
        *count += 1;
        *is_new = true;
        Ok(())
    }

    fn method(&mut self, frame: &Frame<'_>) -> Result<()> {
        let (number, mut arguments) = frame.method()?;
        let channel = frame.channel;
        let out = &mut self.output;
        match number {
            // connection.start-ok: tune.
            (10, 11) => {
                let tune: [&[u8]; 3] = [&2047_u16.to_be_bytes(), &FRAME_MAX.to_be_bytes(), &[0, 0]];
                method(out, channel, (10, 30), &tune);
            }
            // connection.tune-ok.
            (10, 31) => {}
            (10, 40) => method(out, channel, (10, 41), &[&[0]]),
            (10, 50) => {
                method(out, channel, (10, 51), &[]);
                self.is_closed = true;
            }
            (20, 10) => method(out, channel, (20, 11), &[&[0; 4]]),
            (20, 40) => {
                self.published.retain(|(of, ..)| *of != channel);
                self.consuming = self.consuming.take().filter(|of| of.channel != channel);
                method(out, channel, (20, 41), &[]);
            }
            // exchange.declare, queue.bind.
            (40, 10) => method(out, channel, (40, 11), &[]),
            (50, 20) => method(out, channel, (50, 21), &[]),
            (50, 10) => {
                let _ticket = arguments.short()?;
                let name = match arguments.text()? {
                    b"" => b"amq.gen-null",
                    name => name,
                };
                // With no-wait, as a host asks, an answer would end the connection.
                if arguments.octet()? & NO_WAIT_OF_QUEUE == 0 {
                    // No message, no consumer.
                    method(out, channel, (50, 11), &[&short_text(name), &[0; 8]]);
                }
            }
            (60, 10) => {
                let _size = arguments.long()?;
                self.prefetch = match arguments.short()? {
                    0 => u64::MAX,
                    count => count.into(),
                };
                method(out, channel, (60, 11), &[]);
            }
            (85, 10) => {
                self.published.push((channel, 0, false));
                method(out, channel, (85, 11), &[]);
            }
            (60, 20) => {
                let _ticket = arguments.short()?;
                let queue = arguments.text()?;
                let tag = arguments.text()?;
                let tag = if tag.is_empty() { &b"null"[..] } else { tag };
                method(out, channel, (60, 21), &[&short_text(tag)]);
                if queue == QUEUE.as_bytes() {
                    self.consuming = Some(Consuming {
                        channel,
                        encoded: Encoded::delivery(channel, tag, QUEUE, &self.run.body),
                        prefetch: self.prefetch,
                        delivered: 0,
                        unsettled: VecDeque::new(),
                        next_at: Instant::now(),
                    });
                }
            }
            (60, 30) => {
                let tag = arguments.text()?;
                method(out, channel, (60, 31), &[&short_text(tag)]);
                self.consuming = None;
            }
            // basic.publish: its header follows.
            (60, 40) => {}
            (60, 80) => {
                let (tag, multiple) = (arguments.long_long()?, arguments.octet()? & 1 == 1);
                if let Some(consuming) = &mut self.consuming {
                    let (count, micros) = consuming.settle(tag, multiple)?;
                    let measured = self.run.order.pace.is_some();
                    let micros = micros.into_iter().filter(|_| measured);
                    self.run.settled(count, micros)?;
                }
            }
            (class, method) => bail!("the null broker does not know method {method} of {class}"),
        }
        Ok(())
    }
}

impl Consuming {
    fn has_room(&self, order: &NullBroker) -> bool {
        let unsettled = self.unsettled.len() as u64;
        self.delivered < order.messages && unsettled < self.prefetch
    }

    /// How many are acknowledged by this, and how long each took.
    fn settle(&mut self, tag: u64, multiple: bool) -> Result<(u64, Vec<u32>)> {
        let first = self.delivered - self.unsettled.len() as u64 + 1;
        let index = tag.checked_sub(first).context("the tag was settled")?;
        let index = usize::try_from(index)?;
        ensure!(index < self.unsettled.len(), "the tag was not delivered");
        let now = Instant::now();
        let from = if multiple { 0 } else { index };
        let mut micros = Vec::new();
        for at in self.unsettled.range_mut(from..=index) {
            if let Some(at) = at.take() {
                let time = now.saturating_duration_since(at).as_micros();
                micros.push(u32::try_from(time).unwrap_or(u32::MAX));
            }
        }
        while let Some(None) = self.unsettled.front() {
            self.unsettled.pop_front();
        }
        Ok((micros.len() as u64, micros))
    }
}

/// connection.start, as RabbitMQ introduces itself.
fn start(out: &mut Vec<u8>) {
    let text = |name: &str, value: &str| {
        [
            &short_text(name.as_bytes())[..],
            b"S",
            &long_text(value.as_bytes()),
        ]
        .concat()
    };
    let capability = |name: &str| [&short_text(name.as_bytes())[..], b"t\x01"].concat();
    let capabilities = [
        "publisher_confirms",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
    ]
    .map(capability)
    .concat();
    let properties = [
        text("product", "RabbitMQ"),
        text("version", "4.3.6"),
        [
            &short_text(b"capabilities")[..],
            b"F",
            &long_text(&capabilities),
        ]
        .concat(),
    ]
    .concat();
    let arguments: [&[u8]; 4] = [
        &[0, 9],
        &long_text(&properties),
        &long_text(b"PLAIN AMQPLAIN"),
        &long_text(b"en_US"),
    ];
    method(out, 0, (10, 10), &arguments);
}
