//! What became of a delivery, in the words of actions: as `dev` and `tail` print it.

use std::time::Duration;

use hive_core::escape;

/// A retry, asked for or after a failure.
pub(super) fn retry(class: &str, error: &str, delay: Duration, where_it_waits: &str) -> String {
    let failed = match class {
        "retry" => String::new(),
        class => format!("failed ({class}), "),
    };
    format!("{failed}retry in {delay:?}{where_it_waits}: {error}")
}

/// A dead letter.
pub(super) fn dead(class: &str, error: &str) -> String {
    match class {
        "rejected" => format!("reject: {error}"),
        class => format!("failed ({class}), dead-lettered: {error}"),
    }
}

/// A delivery with its action and its details, such as the time that it took; further lines of the action below it, since a
/// traceback has many.
pub(super) fn paragraph(name: &str, action: &str, details: &str) -> String {
    let mut lines = action.lines();
    let first = escape::lines(lines.next().unwrap_or_default());
    let rest: String = lines
        .map(|line| format!("\n    {}", escape::lines(line)))
        .collect();
    format!("{name}{first}{details}{rest}")
}
