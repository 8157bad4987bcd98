//! The content of an object: a line for each track, gzipped.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The same lines are the same bytes: the header has no time in it.
pub(crate) fn gzipped<'a>(lines: impl IntoIterator<Item = &'a String>) -> Result<Vec<u8>, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = lines
        .into_iter()
        .try_for_each(|line| writeln!(encoder, "{line}"));
    written
        .and_then(|()| encoder.finish())
        .map_err(|error| error.to_string())
}
