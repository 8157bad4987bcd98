//! HTTP to this machine: as much of a client as the broker's management interface and the host's
//! admin server need. It blocks, and both answer within milliseconds.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The lines of its head.
    pub head: String,
    /// The content.
    pub body: String,
}

impl HttpAnswer {
    /// The value of a header, whose name is in lower case; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Sends `body` to `path`; `headers` are whole lines, each with its end.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<HttpAnswer> {
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(port, request.as_bytes())
        .with_context(|| format!("{method} {path} got no answer"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| anyhow!("{method} {path} was answered with no HTTP: {answer}"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok(HttpAnswer {
        status: status
            .parse()
            .with_context(|| format!("{method} {path} was answered with status {status:?}"))?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn exchange(port: u16, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
