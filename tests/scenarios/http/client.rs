//! A client that writes what it likes, and a host that takes requests.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use hive_tests::{Broker, HiveToml, HostProcess, Vhost, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// One connection to the host.
#[derive(Debug)]
pub(crate) struct Client(TcpStream);

impl Answer {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (written, value) = line.split_once(": ")?;
            written.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The code of the error.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        Ok(Self(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?))
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> Result<()> {
        Ok(self.0.write_all(octets).await?)
    }

    /// Sends a request with these header lines, and reads its answer.
    pub(crate) async fn send(&mut self, line: &str, headers: &str, body: &str) -> Result<Answer> {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: t\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        // A host that refuses a body closes before all of it is written, and what it answered can still be read.
        let written = self.write(request.as_bytes()).await;
        match self.answer().await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }

    pub(crate) async fn answer(&mut self) -> Result<Answer> {
        timeout(PATIENCE, self.read())
            .await
            .context("no answer in time")?
    }

    /// Whether the host has closed the connection, without a word.
    pub(crate) async fn is_closed(&mut self) -> Result<bool> {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await?;
        Ok(read.is_err() || rest.is_empty())
    }

    async fn read(&mut self) -> Result<Answer> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut some = [0; 4096];
            let count = self.0.read(&mut some).await?;
            if count == 0 {
                bail!("the connection ended without an answer");
            }
            read.extend_from_slice(&some[..count]);
        };
        let head = String::from_utf8(read[..end].to_vec())?;
        let status = head.split(' ').nth(1).unwrap_or_default().parse();
        let mut answer = Answer {
            status: status.map_err(|_| anyhow!("no answer of HTTP: {head}"))?,
            head,
            body: String::new(),
        };
        let length = answer.header("content-length").unwrap_or("0").parse()?;
        let mut body = read[end..].to_vec();
        while body.len() < length {
            let mut some = [0; 4096];
            match self.0.read(&mut some).await? {
                0 => bail!("the answer is cut off"),
                count => body.extend_from_slice(&some[..count]),
            }
        }
        answer.body = String::from_utf8(body)?;
        Ok(answer)
    }
}

/// One route, `POST /t`, to the queue `tracks`, with these keys.
pub(crate) fn tracks(keys: &str) -> HiveToml {
    with_limits("", keys)
}

/// The same with keys of `[http]`.
pub(crate) fn with_limits(limits: &str, keys: &str) -> HiveToml {
    to_queue("", limits, keys)
}

/// The same with keys of the queue.
pub(crate) fn to_queue(queue: &str, limits: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("tracks", queue)
        .section("http", &format!("listen = \"127.0.0.1:0\"\n{limits}"))
        .section(
            "http.routes.\"POST /t\"",
            &format!("exchange = \"\"\nrouting_key = \"tracks\"\n{keys}"),
        )
}

/// The port at which the host takes requests.
pub(crate) async fn port(host: &HostProcess) -> Result<u16> {
    let listening = host.wait_for_event("http.listening", &[]).await?;
    let address = listening.field("address").context("it has an address")?;
    let port = address.rsplit(':').next().unwrap_or_default();
    Ok(port.parse()?)
}

/// A host that takes requests on a vhost of the shared broker, and publishes them.
pub(crate) async fn serving(label: &str, toml: &HiveToml) -> Result<(Vhost, HostProcess, u16)> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let host = HostProcess::run(&vhost, toml).await?;
    let port = ready(&host).await?;
    Ok((vhost, host, port))
}

/// Waits until the host can publish, and gives the port at which it takes requests.
pub(crate) async fn ready(host: &HostProcess) -> Result<u16> {
    let port = port(host).await?;
    let look = async || Ok(host.readiness().await?.0);
    eventually("the host is ready", look, |status| *status == 200).await?;
    Ok(port)
}

pub(crate) const JSON: &str = "content-type: application/json\r\n";

/// One POST on a connection of its own.
pub(crate) async fn post(port: u16, headers: &str, body: &str) -> Result<Answer> {
    request(port, "POST /t", headers, body).await
}

/// One request on a connection of its own.
pub(crate) async fn request(port: u16, line: &str, headers: &str, body: &str) -> Result<Answer> {
    Client::connect(port).await?.send(line, headers, body).await
}
