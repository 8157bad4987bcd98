//! The broker's management interface: counters, connections, virtual hosts.
//!
//! A client of fifty lines, since all it needs is HTTP/1.0 to this machine. It blocks, and answers
//! within milliseconds.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// `guest:guest`, which a new broker knows.
const CREDENTIALS: &str = "Z3Vlc3Q6Z3Vlc3Q=";
const TIMEOUT: Duration = Duration::from_secs(10);

/// The management interface of one broker.
#[derive(Debug, Clone)]
pub struct Management {
    port: u16,
}

impl Management {
    pub(crate) fn new(port: u16) -> Self {
        Self { port }
    }

    /// What is at `path`, such as `/queues/VHOST/NAME`.
    pub fn get(&self, path: &str) -> Result<Value> {
        let body = self.request("GET", path, None)?;
        serde_json::from_str(&body).with_context(|| format!("GET {path} answered {body}"))
    }

    /// Makes or changes what is at `path`.
    pub fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.request("PUT", path, Some(body)).map(drop)
    }

    /// Calls the action at `path`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.request("POST", path, Some(body))?;
        serde_json::from_str(&answer).with_context(|| format!("POST {path} answered {answer}"))
    }

    /// Removes what is at `path`; a connection is closed by it.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.request("DELETE", path, None).map(drop)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} /api{path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Basic {CREDENTIALS}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.exchange(request.as_bytes()).with_context(|| {
            format!("{method} {path} got no answer from the management interface")
        })?;
        let (head, content) = answer
            .split_once("\r\n\r\n")
            .ok_or_else(|| anyhow!("{method} {path} was answered with no HTTP: {answer}"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("{method} {path} was answered with {status}: {content}");
        }
        Ok(content.to_owned())
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
