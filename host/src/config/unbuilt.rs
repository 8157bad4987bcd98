//! What the file's design has and this version has not: refused by name, so that nobody relies on
//! a key that does nothing. What gets built loses its line here.

/// One key that is not built yet.
pub(crate) struct Unbuilt {
    /// The full key, with `*` for a name.
    key: &'static str,
    /// What to do meanwhile.
    pub(crate) meanwhile: &'static str,
}

const UNBUILT: &[Unbuilt] = &[row(
    "consumers.*.ordered_by",
    "`concurrency = 1` handles deliveries in order",
)];

const fn row(key: &'static str, meanwhile: &'static str) -> Unbuilt {
    Unbuilt { key, meanwhile }
}

/// The row for the key `pattern`, if there is one.
pub(crate) fn unbuilt(pattern: &str) -> Option<&'static Unbuilt> {
    UNBUILT.iter().find(|row| row.key == pattern)
}
