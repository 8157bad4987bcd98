//! How the fields of a log line look in the text format: `name=value`, and no value that is more than one
//! line or that a terminal acts on.

use std::fmt::{self, Debug, Write};

use hive_core::escape;
use hive_telemetry::IN_SENTENCE;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The field that is written first, without its name.
const MESSAGE: &str = "message";

/// Formats fields, each escaped: this is the one place through which every text of the log goes.
pub(super) struct Escaped;

impl<'w> FormatFields<'w> for Escaped {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut fields_of = Fields {
            writer,
            is_first: true,
            written: Ok(()),
        };
        fields.record(&mut fields_of);
        fields_of.finish()
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    is_first: bool,
    written: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if name != MESSAGE {
            let (italic, dimmed, plain) = match self.writer.has_ansi_escapes() {
                true => ("\u{1b}[3m", "\u{1b}[2m", "\u{1b}[0m"),
                false => ("", "", ""),
            };
            write!(self.writer, "{italic}{name}{plain}{dimmed}={plain}")?;
        }
        write!(escape::Line(&mut self.writer), "{value}")
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let name = field.name();
        // Where a line of the crate `log` comes from is at its beginning already.
        let is_told = name.starts_with("log.") || IN_SENTENCE.contains(&name);
        if self.written.is_ok() && !is_told {
            self.written = self.put(name, format_args!("{value:?}"));
        }
    }
}

impl VisitOutput<fmt::Result> for Fields<'_> {
    fn finish(self) -> fmt::Result {
        self.written
    }
}
