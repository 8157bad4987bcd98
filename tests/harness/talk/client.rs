//! A client that shows every frame as it comes.

use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Speaker;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A method that came, with its content where it has one.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) channel: u16,
    pub(super) method: AMQPClass,
    pub(super) content: Option<Content>,
}

#[derive(Debug)]
pub(super) struct Content {
    pub(super) properties: basic::AMQPProperties,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Client {
    socket: TcpStream,
    read: Vec<u8>,
    /// Frames that are to be sent with the next that asks for an answer.
    written: Vec<u8>,
}

impl Client {
    /// Logs in. No channel is open.
    pub(super) async fn open(speaker: &Speaker) -> Result<Self> {
        let socket = TcpStream::connect(speaker.address).await?;
        socket.set_nodelay(true)?;
        let mut client = Self {
            socket,
            read: Vec::new(),
            written: b"AMQP\0\0\x09\x01".to_vec(),
        };
        client.said().await?;
        let mut capabilities = FieldTable::default();
        for capability in ["consumer_cancel_notify", "basic.nack", "publisher_confirms"] {
            capabilities.insert(capability.into(), true.into());
        }
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        let start = connection::StartOk {
            client_properties: properties,
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        client.connection(connection::AMQPMethod::StartOk(start))?;
        client.said().await?;
        let tune = connection::TuneOk {
            channel_max: 10,
            frame_max: 131_072,
            heartbeat: 0,
        };
        client.connection(connection::AMQPMethod::TuneOk(tune))?;
        let open = connection::Open {
            virtual_host: speaker.vhost.as_str().into(),
        };
        client.connection(connection::AMQPMethod::Open(open))?;
        let said = client.said().await?;
        let is_open = matches!(
            said.method,
            AMQPClass::Connection(connection::AMQPMethod::OpenOk(_))
        );
        ensure!(is_open, "the broker answered {said:?}");
        Ok(client)
    }

    /// Opens a channel with confirms, which the broker answers with two methods.
    pub(super) fn open_channel(&mut self, channel: u16) -> Result<()> {
        let open = channel::AMQPMethod::Open(channel::Open {});
        self.method(channel, AMQPClass::Channel(open))?;
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        self.method(channel, AMQPClass::Confirm(select))
    }

    fn connection(&mut self, method: connection::AMQPMethod) -> Result<()> {
        self.method(0, AMQPClass::Connection(method))
    }

    /// Writes a method, which goes off as soon as something is waited for.
    pub(super) fn method(&mut self, channel: u16, method: AMQPClass) -> Result<()> {
        self.frame(&AMQPFrame::Method(channel, method))
    }

    pub(super) fn content(
        &mut self,
        channel: u16,
        properties: basic::AMQPProperties,
        body: &[u8],
    ) -> Result<()> {
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: u64::try_from(body.len())?,
            properties,
        };
        self.frame(&AMQPFrame::Header(channel, header))?;
        self.frame(&AMQPFrame::Body(channel, body.to_vec()))
    }

    fn frame(&mut self, frame: &AMQPFrame) -> Result<()> {
        let octets = std::mem::take(&mut self.written);
        let written = gen_frame(frame)(octets.into()).context("it cannot be written")?;
        self.written = written.write;
        Ok(())
    }

    /// The next method from the broker.
    pub(super) async fn said(&mut self) -> Result<Said> {
        let said = timeout(TIMEOUT, self.next());
        said.await.context("the broker says nothing")?
    }

    async fn next(&mut self) -> Result<Said> {
        let (channel, method) = loop {
            match self.receive().await? {
                AMQPFrame::Method(channel, method) => break (channel, method),
                AMQPFrame::Heartbeat => {}
                other => bail!("no method has come, but {other:?}"),
            }
        };
        let content = match method {
            AMQPClass::Basic(
                basic::AMQPMethod::Deliver(_)
                | basic::AMQPMethod::GetOk(_)
                | basic::AMQPMethod::Return(_),
            ) => Some(self.receive_content().await?),
            _ => None,
        };
        Ok(Said {
            channel,
            method,
            content,
        })
    }

    async fn receive_content(&mut self) -> Result<Content> {
        let AMQPFrame::Header(_, header) = self.receive().await? else {
            bail!("no header has come");
        };
        let mut body = Vec::new();
        while u64::try_from(body.len())? < header.body_size {
            let AMQPFrame::Body(_, piece) = self.receive().await? else {
                bail!("no body has come");
            };
            body.extend(piece);
        }
        Ok(Content {
            properties: header.properties,
            body,
        })
    }

    async fn receive(&mut self) -> Result<AMQPFrame> {
        self.socket.write_all(&self.written).await?;
        self.written.clear();
        loop {
            if let Ok((rest, frame)) = parse_frame(&self.read[..]) {
                self.read = rest.to_vec();
                return Ok(frame);
            }
            let count = self.socket.read_buf(&mut self.read).await?;
            ensure!(count > 0, "the broker has closed the socket");
        }
    }
}
