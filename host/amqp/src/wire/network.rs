//! What brokers are reached over: the network of the machine, or one that a test puts in its place.

use std::fmt;
use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// Reaches brokers in place of the machine's network.
pub trait Network: fmt::Debug + Send + Sync {
    /// A line to whoever listens at a port of a host.
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Line>>;
}

/// A connected line.
pub struct Line {
    /// What is read from it and written to it.
    pub stream: Box<dyn Stream>,
    /// Ends it, from whichever thread.
    pub cut: Box<dyn Fn() + Send + Sync>,
}

/// Octets in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
