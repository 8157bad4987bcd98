//! Exits with the status that the body says; behind `code `, through the function that can tell it.

use std::process;

use hive_guest::{Action, Delivery};
use hive_test_guests::body;
use wasip2::cli::exit::exit_with_code;

#[hive_guest::consumer]
fn handle(delivery: Delivery) -> Result<Action, String> {
    let body = body(&delivery);
    let status = |text: &str| text.parse::<u8>().map_err(|error| error.to_string());
    match body.strip_prefix("code ") {
        Some(text) => exit_with_code(status(text)?),
        None => process::exit(status(&body)?.into()),
    }
    Ok(Action::ack())
}
