//! Log events, for commands that show them themselves.

use std::collections::BTreeMap;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};

use super::say::fault;

/// The fields of an event by name; what it says is its `message`.
pub(super) type Fields = BTreeMap<&'static str, String>;

/// Splits an event into its fields.
pub(super) fn fields(event: &Event<'_>) -> Fields {
    let mut read = Read::default();
    event.record(&mut read);
    read.0
}

/// Has `subscriber` told of all that is logged from here on. `what` then cannot be shown where somebody is
/// told already.
pub(super) fn follow(subscriber: impl Subscriber + Send + Sync, what: &str) {
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        fault!("{what} cannot be shown: there is a log already");
    }
}

#[derive(Default)]
struct Read(Fields);

impl Visit for Read {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
