//! The broker's management interface: counters, connections, virtual hosts. The control port of `hive-host broker` answers
//! some of its requests.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::{self, HttpAnswer};

/// `guest:guest`, which a new broker knows.
const CREDENTIALS: &str = "Z3Vlc3Q6Z3Vlc3Q=";

/// The management interface of one broker, or of a cluster, any of whose nodes may be away.
#[derive(Debug, Clone)]
pub struct Management {
    ports: Vec<u16>,
}

impl Management {
    pub(crate) fn new(ports: Vec<u16>) -> Self {
        Self { ports }
    }

    /// Where it listens; of a cluster, its first node.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Gets `path`, such as `/queues/VHOST/NAME`.
    pub fn get(&self, path: &str) -> Result<Value> {
        let body = self.request("GET", path, None)?;
        serde_json::from_str(&body).with_context(|| format!("GET {path} answered {body}"))
    }

    /// Creates or changes `path`.
    pub fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.request("PUT", path, Some(body)).map(drop)
    }

    /// Calls the action at `path`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.request("POST", path, Some(body))?;
        serde_json::from_str(&answer).with_context(|| format!("POST {path} answered {answer}"))
    }

    /// Deletes `path`; deleting a connection closes it.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.request("DELETE", path, None).map(drop)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String> {
        let headers =
            format!("authorization: Basic {CREDENTIALS}\r\ncontent-type: application/json\r\n");
        let body = body.map(Value::to_string).unwrap_or_default();
        let path = format!("/api{path}");
        let ask = |port: &u16| -> Result<String> {
            let answer = http::request(*port, method, &path, &headers, &body)?;
            let HttpAnswer { status, body, .. } = answer;
            ensure!(
                (200..300).contains(&status),
                "{method} {path} was answered with {status}: {body}"
            );
            Ok(body)
        };
        let (last, before) = self.ports.split_last().context("a broker has a port")?;
        let answered = before.iter().find_map(|port| ask(port).ok());
        answered.map_or_else(|| ask(last), Ok)
    }
}
