//! What the file's design has and this version has not: refused by name, so that nobody relies on
//! a key that does nothing. What gets built loses its line here.

use super::written::Value;

/// One key that is not built yet.
pub(crate) struct Unbuilt {
    /// The full key, with `*` for a name.
    key: &'static str,
    /// The value that asks for nothing, and so is accepted.
    harmless: Harmless,
    /// What to do meanwhile.
    pub(crate) meanwhile: &'static str,
}

/// A value that asks for nothing.
enum Harmless {
    None,
    /// Any text but this one.
    AllBut(&'static str),
}

const UNBUILT: &[Unbuilt] = &[
    row(
        "consumers.*.ordered_by",
        Harmless::None,
        "`concurrency = 1` handles deliveries in order",
    ),
    row(
        "consumers.*.dedup",
        Harmless::None,
        "the component itself has to know repeated messages",
    ),
    row(
        "consumers.*.scale",
        Harmless::None,
        "`concurrency` sets a fixed number",
    ),
    row(
        "consumers.*.batch",
        Harmless::None,
        "the component gets one delivery at a time",
    ),
    row(
        "store.kind",
        Harmless::AllBut("redis"),
        "`kind = \"embedded\"` keeps everything in a file of this host alone",
    ),
    row(
        "store.url",
        Harmless::None,
        "`path` names the file of the embedded store",
    ),
];

const fn row(key: &'static str, harmless: Harmless, meanwhile: &'static str) -> Unbuilt {
    Unbuilt {
        key,
        harmless,
        meanwhile,
    }
}

/// The row for the key `pattern`, if there is one and `value` asks for something.
pub(crate) fn unbuilt(pattern: &str, value: &Value) -> Option<&'static Unbuilt> {
    UNBUILT
        .iter()
        .find(|row| row.key == pattern)
        .filter(|row| !row.harmless.is(value))
}

impl Harmless {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            // Its type is wrong, which has been told already.
            (Self::AllBut(_), Value::Faulty) => true,
            (Self::AllBut(unbuilt), Value::Text(value)) => value != unbuilt,
            _ => false,
        }
    }
}
