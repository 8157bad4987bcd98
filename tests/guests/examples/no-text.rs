//! Answers with an error that is no text.

use hive_guest::{Action, Delivery};

#[hive_guest::consumer]
fn handle(_delivery: Delivery) -> Result<Action, String> {
    #[expect(unsafe_code, reason = "a safe String is always text")]
    // SAFETY: nothing here reads it as text; the host has to see that it is none.
    let error = unsafe { String::from_utf8_unchecked(b"caf\xe9".to_vec()) };
    Err(error)
}
