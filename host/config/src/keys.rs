//! Every key of hive.toml, declared once: name, type, range, default, meaning, and what a reload does about a change.
//!
//! The reader walks the file along these tables, so a key that is not here is refused, and one that
//! is here has been checked for its type and its range before anything asks what it means. The structs of the plan,
//! the JSON Schema, what a reload reports and the tables of docs/configuration.md come from them too: see `table.rs`.

#[macro_use]
mod parts;
#[macro_use]
mod table;
mod name;
mod value;

pub(crate) mod allow;
pub(crate) mod component;
pub(crate) mod connection;
pub(crate) mod consumer;
pub(crate) mod consuming;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod root;
pub(crate) mod schedule;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod tls;
pub(crate) mod topology;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;

pub(crate) use allow::{AllowMeant, DirMeant};
pub(crate) use component::ComponentMeant;
pub(crate) use connection::{ConnectionMeant, ReconnectMeant};
pub(crate) use consumer::ConsumerMeant;
pub(crate) use consuming::{
    BatchMeant, ConcurrencyByKeys, DedupMeant, RateByKeys, RateKeys, RetryKeys, RouteKeys,
    RoutePublishKeys, RouteRetryKeys, ScaleKeys, SchemaKeys, StreamMeant,
};
pub(crate) use host::HostMeant;
pub(crate) use http::{HttpMeant, HttpRouteMeant};
pub(crate) use name::{Name, Required};
pub(crate) use root::{INCLUDED, ROOT, RootKeys};
pub(crate) use schedule::{ScheduleMeant, SchedulePublishMeant};
pub(crate) use store::StoreKeys;
pub(crate) use telemetry::TelemetryMeant;
pub(crate) use tls::{ServerTlsKeys, TlsKeys};
pub(crate) use topology::{ExchangeMeant, QueueMeant};
pub(crate) use value::{Literal, Readable, Shaped, Word, words};

/// One key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether its table requires it.
    pub(crate) required: bool,
    /// The meaning of the key, in Markdown: links are relative to docs/.
    pub(crate) meaning: &'static str,
    /// What applies where it is not set.
    pub(crate) unset: Unset,
    /// Its type in words, where the shape does not say enough.
    pub(crate) written: Option<&'static str>,
    /// Whether a reload says only that it changed.
    hidden: bool,
    /// Whether a change waits for a restart of the host.
    pub(crate) at_restart: bool,
    /// Whether a change bears on nothing that runs.
    pub(crate) idle: bool,
}

/// What applies where a key is not set.
#[derive(Clone, Copy)]
pub(crate) enum Unset {
    /// There is no default worth telling.
    Nothing,
    /// The default is this value, as in TOML.
    Is(&'static str),
    /// A default in words, in Markdown.
    Means(&'static str),
}

/// The shape of a value.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Boolean,
    /// From the first to the second.
    Integer(i64, i64),
    /// Any string.
    Text,
    /// A name at the broker: 1 to 255 bytes.
    Name,
    /// As [`Shape::Text`], never shown, or `file:PATH` to read it from there.
    Secret,
    /// A string of a form that `meaning/` checks; the regular expression is for the schema.
    Form(&'static str),
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A number above 0 and up to 1.
    Ratio,
    /// From the first to the second, in milliseconds.
    Duration(u64, u64),
    /// At least this many bytes.
    Size(u64),
    /// As [`Shape::Duration`], or this word.
    DurationOr(&'static str, u64, u64),
    List(&'static Shape),
    /// One string, or an array of strings.
    TextOrTexts,
    Table(&'static [Key]),
    /// A table, or a string that means a table with this key only.
    Short(&'static str, &'static [Key]),
    /// Tables under names of the user's choice.
    Named(&'static [Key]),
    /// An AMQP field table.
    Arguments,
    /// Strings under names of the user's choice.
    Texts,
    /// A place in a stream: a number from 0, or any string.
    Offset,
    /// A string as it stands: variables in it are not filled in.
    Verbatim,
    /// Any value, as JSON.
    Json,
    /// Values of one shape under names of the user's choice.
    Each(&'static Shape),
    /// Whatever it is, it belongs in the file that includes this one.
    MainFile,
}

/// The least memory for bodies; less would hardly take one.
pub(crate) const LEAST_MEMORY: u64 = 1024 * 1024;

/// The longest duration where nothing else sets a limit: a year, so that adding it to a clock
/// cannot overflow.
pub(crate) const LONGEST: u64 = 365 * 24 * 3_600_000;
/// The broker holds a time to live in 32 bits.
const LONGEST_TTL: u64 = u32::MAX as u64;

/// Each gets its share of the address space, which has room for about this many.
const MOST_INSTANCES: i64 = 10_000;

pub(crate) const fn key(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        meaning,
        unset: Unset::Nothing,
        written: None,
        hidden: false,
        at_restart: false,
        idle: false,
    }
}

impl Key {
    pub(crate) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// Whether its value is never shown.
    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden || matches!(self.shape, Shape::Secret)
    }
}
