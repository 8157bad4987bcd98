//! HTTP requests through wasi:http, for which the standard library has no function.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasip2::io::streams::StreamError;

const NANOSECONDS: u64 = 1_000_000;

/// Sends a request for `url`; its answer is waited for this many milliseconds, if that is said.
pub fn send(url: &str, first_byte: Option<u64>) -> Result<FutureIncomingResponse, ErrorCode> {
    let invalid = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| invalid())?;
    let options = RequestOptions::new();
    options
        .set_first_byte_timeout(first_byte.map(|wait| wait * NANOSECONDS))
        .map_err(|()| ErrorCode::ConfigurationError)?;
    outgoing_handler::handle(request, Some(options))
}

/// Waits for an answer, which is taken for the first time.
pub fn answer(sent: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    sent.subscribe().block();
    sent.get().ok_or_else(internal)?.map_err(|()| internal())?
}

/// The whole body of an answer.
pub fn read(response: &IncomingResponse) -> Result<String, ErrorCode> {
    let body = response.consume().map_err(|()| internal())?;
    let stream = body.stream().map_err(|()| internal())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(ErrorCode::HttpResponseIncomplete);
            }
        }
    }
}

fn internal() -> ErrorCode {
    ErrorCode::InternalError(None)
}
