//! Messages from a file, or from standard input.

use std::io::{self, IsTerminal};
use std::path::Path;

use hive_config::files;
use hive_core::json::read_deliveries;
use hive_core::message::Envelope;

use super::Exit;
use super::say::{self, fault};

/// What messages as JSON may have together, in bytes: all of them are kept in memory.
pub(super) const LARGEST_MESSAGES: usize = 1 << 30;

/// A file of `most` bytes at most, and what to call it; standard input where none is named, or `-`. `what` is told to whoever sits
/// at a terminal.
pub(super) fn read(
    file: Option<&Path>,
    what: &str,
    most: usize,
) -> Result<(String, Vec<u8>), Exit> {
    let file = file.filter(|file| *file != Path::new("-"));
    let (name, read) = match file {
        Some(file) => (file.display().to_string(), files::read_at_most(file, most)),
        None => {
            let input = io::stdin();
            if input.is_terminal() {
                say::note(&format!("reading {what} from the terminal, up to ctrl-d"));
            }
            ("standard input".to_owned(), files::all_of(input, most))
        }
    };
    match read {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => {
            fault!("{name} cannot be read: {error}");
            Err(Exit::Misused)
        }
    }
}

/// The deliveries of a text, at least one; each fault is reported with its place in `name`.
pub(super) fn deliveries(name: &str, text: &[u8]) -> Result<Vec<Envelope>, Exit> {
    let deliveries = read_deliveries(text).map_err(|faults| {
        for fault in faults {
            let (line, column) = (fault.line, fault.column);
            fault!("{name}:{line}:{column}: {}", fault.fault);
        }
        Exit::Misused
    })?;
    if deliveries.is_empty() {
        fault!("{name}: there is no message in it; the least is {{}}");
        return Err(Exit::Misused);
    }
    Ok(deliveries)
}
