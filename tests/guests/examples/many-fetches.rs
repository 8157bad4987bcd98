//! Sends a hundred requests for the URL in its body and reads none of the answers, and tells the queue `out`
//! what came of the last.

use hive_guest::{Action, Delivery};
use hive_test_guests::{body, to, web};

const REQUESTS: usize = 100;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let url = body(&delivery);
    let sent: Result<Vec<_>, _> = (0..REQUESTS).map(|_| web::send(&url, None)).collect();
    let sent = sent.map_err(|error| format!("{error:?}"))?;
    let told = match sent.last().map(web::answer) {
        Some(Err(error)) => format!("failed: {error:?}"),
        _ => "answered".to_owned(),
    };
    Ok(to("", "out", told.as_bytes()).into())
}
