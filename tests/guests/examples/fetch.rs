//! Fetches the URL in its body, follows redirects, and tells the queue `out` the status and the body that
//! it got in the end, or the error. A header `first-byte-ms` says how long it waits for an answer.

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, number, to};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

const REDIRECTS: usize = 5;
const NANOSECONDS: u64 = 1_000_000;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let patience = number(&delivery, "first-byte-ms").map(i64::unsigned_abs);
    let told = match fetch(body(&delivery), patience) {
        Ok(text) => text,
        Err(error) => format!("failed: {error:?}"),
    };
    Ok(to("", "out", told.as_bytes()).into())
}

fn fetch(mut url: String, patience: Option<u64>) -> Result<String, ErrorCode> {
    for _ in 0..REDIRECTS {
        let response = send(&url, patience)?;
        let location = response.headers().get("location");
        match location.first() {
            Some(location) => url = String::from_utf8_lossy(location).into_owned(),
            None => return Ok(format!("{} {}", response.status(), read(&response)?)),
        }
    }
    Err(ErrorCode::LoopDetected)
}

fn send(url: &str, patience: Option<u64>) -> Result<IncomingResponse, ErrorCode> {
    let invalid = || ErrorCode::HttpRequestUriInvalid;
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" {
        Scheme::Https
    } else {
        Scheme::Http
    };
    request.set_scheme(Some(&scheme)).map_err(|()| invalid())?;
    request
        .set_authority(Some(authority))
        .map_err(|()| invalid())?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| invalid())?;
    let options = RequestOptions::new();
    options
        .set_first_byte_timeout(patience.map(|wait| wait * NANOSECONDS))
        .map_err(|()| ErrorCode::ConfigurationError)?;
    let answer = outgoing_handler::handle(request, Some(options))?;
    answer.subscribe().block();
    // Ready, and taken for the first time.
    let internal = || ErrorCode::InternalError(None);
    answer
        .get()
        .ok_or_else(internal)?
        .map_err(|()| internal())?
}

fn read(response: &IncomingResponse) -> Result<String, ErrorCode> {
    let internal = || ErrorCode::InternalError(None);
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
