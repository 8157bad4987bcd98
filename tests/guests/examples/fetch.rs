//! Fetches the URL in its body, follows redirects, and tells the queue `out` the status and the body that
//! it got in the end, or the error. A header `first-byte-ms` says how long it waits for an answer.

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, number, to, web};
use wasip2::http::types::ErrorCode;

const REDIRECTS: usize = 5;

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
        let response = web::answer(&web::send(&url, patience)?)?;
        let location = response.headers().get("location");
        match location.first() {
            Some(location) => url = String::from_utf8_lossy(location).into_owned(),
            None => return Ok(format!("{} {}", response.status(), web::read(&response)?)),
        }
    }
    Err(ErrorCode::LoopDetected)
}
