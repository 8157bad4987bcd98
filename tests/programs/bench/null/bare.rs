//! The least that a client can do: reads frames off a socket by hand and answers them, without a library. What it does
//! in a second is what this machine has to give.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::frames::{BODY, Frame, METHOD, PROTOCOL, ack, content, long_text, method, short_text};
use crate::work::{OUT, Work};

/// How long an ack may wait for others to go with it, as in the host.
const SOON: Duration = Duration::from_millis(5);
const ROOM: usize = 256 << 10;
const CHANNEL: u16 = 1;

/// A consumer without a library.
#[derive(Debug, Args)]
pub(crate) struct Bare {
    port: u16,
    queue: String,
    prefetch: u16,
    work: Work,
}

impl Bare {
    pub(crate) fn run(self) -> Result<()> {
        let mut client = Client {
            stream: TcpStream::connect(("127.0.0.1", self.port))?,
            chunk: vec![0; ROOM],
            input: Vec::new(),
            output: Vec::new(),
        };
        client.stream.set_nodelay(true)?;
        client.open(&self)?;
        client.stream.set_read_timeout(Some(SOON))?;
        client.consume(&self)
    }
}

struct Client {
    stream: TcpStream,
    chunk: Vec<u8>,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    fn open(&mut self, bare: &Bare) -> Result<()> {
        self.output.extend_from_slice(PROTOCOL);
        self.ask((10, 10))?;
        let login = long_text(b"\0guest\0guest");
        let start_ok: [&[u8]; 4] = [
            &[0; 4],
            &short_text(b"PLAIN"),
            &login,
            &short_text(b"en_US"),
        ];
        method(&mut self.output, 0, (10, 11), &start_ok);
        self.ask((10, 30))?;
        let tune_ok: [&[u8]; 3] = [
            &2047_u16.to_be_bytes(),
            &super::frames::FRAME_MAX.to_be_bytes(),
            &[0, 0],
        ];
        method(&mut self.output, 0, (10, 31), &tune_ok);
        method(&mut self.output, 0, (10, 40), &[&short_text(b"/"), &[0, 0]]);
        self.ask((10, 41))?;
        method(&mut self.output, CHANNEL, (20, 10), &[&[0]]);
        self.ask((20, 11))?;
        let qos: [&[u8]; 3] = [&[0; 4], &bare.prefetch.to_be_bytes(), &[0]];
        method(&mut self.output, CHANNEL, (60, 10), &qos);
        self.ask((60, 11))?;
        method(&mut self.output, CHANNEL, (85, 10), &[&[0]]);
        self.ask((85, 11))?;
        let queue = short_text(bare.queue.as_bytes());
        let consume: [&[u8]; 4] = [&[0, 0], &queue, &[0, 0], &[0; 4]];
        method(&mut self.output, CHANNEL, (60, 20), &consume);
        self.ask((60, 21))
    }

    /// Writes what there is and waits for this answer.
    fn ask(&mut self, answer: (u16, u16)) -> Result<()> {
        self.write()?;
        loop {
            if let Some((frame, length)) = Frame::first(&self.input) {
                let is_answer = frame.kind == METHOD && frame.method()?.0 == answer;
                self.input.drain(..length);
                if is_answer {
                    return Ok(());
                }
                continue;
            }
            if self.read()? == Some(0) {
                bail!("the broker has closed the connection");
            }
        }
    }

    fn consume(&mut self, bare: &Bare) -> Result<()> {
        let together = u64::from(bare.prefetch / 4).max(1);
        let (mut last, mut acked) = (0, 0);
        loop {
            let input = std::mem::take(&mut self.input);
            let mut rest = &input[..];
            while let Some((frame, length)) = Frame::first(rest) {
                rest = &rest[length..];
                match frame.kind {
                    METHOD => match frame.method()? {
                        ((60, 60), mut arguments) => {
                            let _tag = arguments.text()?;
                            last = arguments.long_long()?;
                        }
                        // One publication for each delivery, in the same order: the numbers are the same.
                        ((60, 80), mut arguments) => {
                            let (tag, multiple) =
                                (arguments.long_long()?, arguments.octet()? & 1 == 1);
                            ack(&mut self.output, CHANNEL, tag, multiple);
                        }
                        _ => {}
                    },
                    BODY if bare.work == Work::Publish => self.publish(frame.payload)?,
                    _ => {}
                }
            }
            let unread = rest.to_vec();
            self.input = unread;
            if bare.work == Work::Ack && last - acked >= together {
                ack(&mut self.output, CHANNEL, last, true);
                acked = last;
            }
            self.write()?;
            match self.read()? {
                Some(0) => return Ok(()),
                Some(_) => {}
                None if bare.work == Work::Ack && last > acked => {
                    ack(&mut self.output, CHANNEL, last, true);
                    acked = last;
                }
                None => {}
            }
        }
    }

    fn publish(&mut self, body: &[u8]) -> Result<()> {
        let mut order: Value = serde_json::from_slice(body)?;
        order["seen"] = Value::Bool(true);
        let key = short_text(OUT.as_bytes());
        // To the default exchange, mandatory; delivery mode 2.
        method(
            &mut self.output,
            CHANNEL,
            (60, 40),
            &[&[0, 0], &[0], &key, &[1]],
        );
        content(
            &mut self.output,
            CHANNEL,
            &[0x10, 0, 2],
            &serde_json::to_vec(&order)?,
        );
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    /// `None` if nothing came within a while.
    fn read(&mut self) -> Result<Option<usize>> {
        match self.stream.read(&mut self.chunk) {
            Ok(count) => {
                self.input.extend_from_slice(&self.chunk[..count]);
                Ok(Some(count))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("the broker is gone"),
        }
    }
}
