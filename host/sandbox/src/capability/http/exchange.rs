//! One request and its response over a connection of their own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, Either, FusedFuture};
use http::{Request, Response, Uri};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

use super::connect::Stream;

/// How long a component wants to wait; never past the deadline of its call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) between_bytes: Option<Duration>,
    pub(super) deadline: Instant,
}

impl Patience {
    /// When a wait that begins now is over.
    pub(super) fn until(&self, wait: Option<Duration>) -> Instant {
        let end = wait.and_then(|wait| Instant::now().checked_add(wait));
        end.map_or(self.deadline, |end| end.min(self.deadline))
    }
}

/// Sends a request, and gives the head of its response with what moves the bytes of both bodies.
pub(super) async fn send(
    stream: Box<dyn Stream>,
    mut request: Request<WasiBody>,
    patience: Patience,
) -> Result<(Response<WasiBody>, impl Future<Output = ()> + Send), Error> {
    *request.uri_mut() = path(request.uri())?;
    let until = patience.until(patience.first_byte);
    let (mut sender, connection) = timeout_at(until, http1::handshake(TokioIo::new(stream)))
        .await
        .map_err(|_| Error::ConnectionTimeout)??;
    // Fused: the connection may end before its response has been read.
    let mut connection = connection.fuse();
    let response = {
        let sending = Box::pin(timeout_at(until, sender.send_request(request)));
        match future::select(sending, &mut connection).await {
            Either::Left((response, _)) => response,
            Either::Right((ended, sending)) => {
                ended?;
                sending.await
            }
        }
    };
    let response = response.map_err(|_| Error::ConnectionReadTimeout)??;
    let response = response.map(|incoming| WasiBody::new(ResponseBody::new(incoming, patience)));
    let moving = async move {
        // A connection must not outlive its call.
        if !connection.is_terminated()
            && let Ok(Err(error)) = timeout_at(patience.deadline, connection).await
        {
            tracing::debug!(%error, "an HTTP connection failed");
        }
    };
    Ok((response, moving))
}

/// The part of a URI for a server; the rest is for proxies.
fn path(uri: &Uri) -> Result<Uri, Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder()
        .path_and_query(path)
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)
}

/// A response's body, given up when the server falls silent.
struct ResponseBody {
    incoming: Incoming,
    patience: Patience,
    silence: Pin<Box<Sleep>>,
}

impl ResponseBody {
    fn new(incoming: Incoming, patience: Patience) -> Self {
        let end = patience.until(patience.between_bytes);
        Self {
            incoming,
            patience,
            silence: Box::pin(sleep_until(end)),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let end = this.patience.until(this.patience.between_bytes);
                this.silence.as_mut().reset(end);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.silence.as_mut().poll(context));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_is_longer_than_the_call() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let patience = Patience {
            connect: None,
            first_byte: None,
            between_bytes: None,
            deadline,
        };
        assert_eq!(patience.until(None), deadline);
        for long in [Duration::from_secs(3600), Duration::MAX] {
            assert_eq!(patience.until(Some(long)), deadline, "{long:?}");
        }
        assert!(patience.until(Some(Duration::from_millis(1))) < deadline);
    }
}
