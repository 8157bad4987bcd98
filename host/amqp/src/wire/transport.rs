//! The bytes under a connection, with TLS or without.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::network::Stream;
use super::tls::{self, SpeaksTls};

/// A connected stream.
pub(crate) enum Transport {
    Plain {
        stream: TcpStream,
        /// Whether anything was read yet.
        answered: bool,
    },
    Tls(Box<TlsStream<TcpStream>>),
    /// Of a network that stands in for the machine's.
    Given(Box<dyn Stream>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "Plain",
            Self::Tls(_) => "Tls",
            Self::Given(_) => "Given",
        })
    }
}

impl Transport {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        match self {
            Self::Plain { stream, answered } => {
                ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
                if !std::mem::replace(answered, true) && tls::is_record(buffer.filled()) {
                    return Poll::Ready(Err(io::Error::other(SpeaksTls)));
                }
            }
            Self::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, &mut buffer))?,
            Self::Given(stream) => ready!(Pin::new(stream).poll_read(cx, &mut buffer))?,
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.writer()).poll_write(cx, bytes);
        self.explained(cx, written)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.writer()).poll_flush(cx);
        self.explained(cx, flushed)
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.writer()).poll_shutdown(cx)
    }

    fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Plain { stream, .. } => stream,
            Self::Tls(stream) => stream.as_mut(),
            Self::Given(stream) => stream,
        }
    }

    /// In TLS 1.3 a broker that refuses the client's certificate says so after the handshake, and closes. A
    /// client that writes meanwhile sees a reset, while the reason is still unread.
    fn explained<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (Poll::Ready(Err(_)), Self::Tls(stream)) = (&written, self) else {
            return written;
        };
        let mut unread = [0; 64];
        let mut unread = ReadBuf::new(&mut unread);
        match Pin::new(stream.as_mut()).poll_read(cx, &mut unread) {
            Poll::Ready(Err(reason)) if hive_config::tls::cause(&reason).is_some() => {
                Poll::Ready(Err(reason))
            }
            Poll::Ready(_) => written,
            // A socket that cannot be written to any more can soon be read to its end; until then the next
            // write fails again and comes here again.
            Poll::Pending => Poll::Pending,
        }
    }
}
