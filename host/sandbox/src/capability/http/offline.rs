//! Requests that a test answers in place of the network.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::super::surroundings::{HttpOutcome, HttpRequest, Network};

/// The largest body of a request that is kept: a component under test may send without an end.
const LARGEST_BODY: usize = 64 << 20;

/// Reads the request to its end, and gives what the network answers.
pub(super) async fn answer(
    network: &dyn Network,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let asked = HttpRequest {
        method: head.method.to_string(),
        url: head.uri.to_string(),
        headers: headers.collect(),
        body: read(body).await?,
    };
    match network.answer(asked) {
        HttpOutcome::Response {
            status,
            headers,
            body,
        } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let body = WasiBody::new(Whole(Some(body.into())));
            response.body(body).map_err(|_| Error::HttpProtocolError)
        }
        HttpOutcome::Denied => Err(Error::HttpRequestDenied),
        HttpOutcome::Refused => Err(Error::ConnectionRefused),
        HttpOutcome::TimedOut => Err(Error::ConnectionTimeout),
        HttpOutcome::Closed => Err(Error::ConnectionTerminated),
    }
}

async fn read(body: WasiBody) -> Result<Vec<u8>, Error> {
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > LARGEST_BODY {
            return Err(Error::HttpRequestBodySize(None));
        }
    }
    Ok(bytes)
}

/// A body that is there as a whole.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
