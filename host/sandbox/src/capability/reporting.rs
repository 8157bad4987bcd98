//! How denials are reported: whose they are, and the text of a component as a log line shows it.

use std::fmt;

use hive_store::Noting;
use hive_telemetry::ComponentTelemetry;

/// An instance that reports what it is denied.
pub(crate) trait Reporting {
    /// The name of the component.
    fn component(&self) -> &str;

    fn telemetry(&self) -> &ComponentTelemetry;

    /// The notes of its calls.
    fn noting(&self) -> &Noting;
}

/// A text of a component's as it is put into a log line: quoted, and not at any length.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let end = self.0.floor_char_boundary(LONGEST);
        let cut = if end < self.0.len() { "…" } else { "" };
        write!(f, "{:?}{cut}", &self.0[..end])
    }
}
