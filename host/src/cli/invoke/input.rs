//! What is handed to the component: from a file, from standard input, from the flags.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::Invoke;
use crate::cli::Exit;
use crate::json::read_deliveries;
use crate::message::Envelope;

/// One at least.
pub(super) fn deliveries(arguments: &Invoke) -> Result<Vec<Envelope>, Exit> {
    let Invoke {
        message,
        body,
        said,
        ..
    } = arguments;
    if body.is_some() || said.are_there() {
        let (_, bytes) = read(body.as_deref(), "the body")?;
        let delivery = said.delivery(bytes).map_err(|fault| {
            eprintln!("error: {fault}");
            Exit::Misused
        })?;
        return Ok(vec![delivery]);
    }
    let (name, text) = read(message.as_deref(), "a message as JSON")?;
    let deliveries = read_deliveries(&text).map_err(|faults| {
        for fault in faults {
            eprintln!(
                "error: {name}:{}:{}: {}",
                fault.line, fault.column, fault.fault
            );
        }
        Exit::Misused
    })?;
    if deliveries.is_empty() {
        eprintln!("error: {name}: there is no message in it; the least is {{}}");
        return Err(Exit::Misused);
    }
    Ok(deliveries)
}

/// A file, and what to call it.
fn read(file: Option<&Path>, what: &str) -> Result<(String, Vec<u8>), Exit> {
    let file = file.filter(|file| *file != Path::new("-"));
    let (name, read) = match file {
        Some(file) => (file.display().to_string(), std::fs::read(file)),
        None => {
            let mut input = io::stdin();
            if input.is_terminal() {
                eprintln!("reading {what} from the terminal, up to ctrl-d");
            }
            let mut bytes = Vec::new();
            let read = input.read_to_end(&mut bytes).map(|_| bytes);
            ("standard input".to_owned(), read)
        }
    };
    match read {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => {
            eprintln!("error: {name} cannot be read: {error}");
            Err(Exit::Misused)
        }
    }
}
