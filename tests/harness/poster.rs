//! A client that posts over HTTP/1.1 to this machine, on one connection that stays open: thousands of them cost little.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Clients that come from one address. Each has a port of it, and there are about 28,000.
const OF_AN_ADDRESS: usize = 10_000;

/// The longest answer.
const LONGEST: usize = 64 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Poster {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A request, whole, or without its last byte.
#[derive(Debug)]
pub struct Post(Vec<u8>);

impl Post {
    /// A body of JSON for a path.
    pub fn json(path: &str, body: &str) -> Self {
        let length = body.len();
        Self(
            format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }
}

impl Poster {
    /// Connects. `number` distinguishes it from other clients: every 10,000 of them have another address.
    pub async fn connect(port: u16, number: usize) -> Result<Self> {
        let last = u8::try_from(number / OF_AN_ADDRESS + 1).context("too many clients")?;
        // Each server has clients from addresses of their own: ports of connections that have ended are not free for a minute.
        let [of_the_server, _] = port.to_le_bytes();
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 0, of_the_server, last), 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a request, and gives the status of its answer.
    pub async fn post(&mut self, post: &Post) -> Result<u16> {
        self.stream.write_all(&post.0).await?;
        self.answer().await
    }

    /// Sends all but the last byte of a request: the server has it, and cannot answer it.
    pub async fn begin(&mut self, post: &Post) -> Result<()> {
        let (_, most) = post.0.split_last().context("no request is empty")?;
        Ok(self.stream.write_all(most).await?)
    }

    /// Sends the last byte, and gives the status of the answer.
    pub async fn end(&mut self, post: &Post) -> Result<u16> {
        let (last, _) = post.0.split_last().context("no request is empty")?;
        self.stream.write_all(&[*last]).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<u16> {
        self.received.clear();
        loop {
            if let Some((status, length)) = whole(&self.received)? {
                ensure!(
                    length == self.received.len(),
                    "more than one answer to a request"
                );
                return Ok(status);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the connection ended without an answer");
            }
            ensure!(self.received.len() <= LONGEST, "an endless answer");
        }
    }
}

/// The status and the length of an answer, once all of it is there.
fn whole(received: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim())
    });
    let all = end + 4 + length.unwrap_or("0").parse::<usize>()?;
    let status = status.context("no answer of HTTP")?.parse()?;
    Ok((received.len() >= all).then_some((status, all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is_there() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        for cut in 0..answer.len() {
            assert_eq!(whole(&answer[..cut]).unwrap(), None);
        }
        assert_eq!(whole(answer).unwrap(), Some((202, answer.len())));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(whole(empty).unwrap(), Some((204, empty.len())));
        assert!(whole(b"hello\r\n\r\n").is_err());
    }
}
