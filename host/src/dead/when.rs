//! Moments and ages, as people write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as [`moment`] reads it.
pub use hive_core::moments::of_seconds as shown;

/// A moment: RFC 3339, a date, or seconds since the Unix epoch. All in UTC.
pub fn moment(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let whole = match text.len() {
        // A day begins at midnight.
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    let moment = humantime::parse_rfc3339_weak(whole.trim_end_matches('Z')).ok()?;
    seconds(moment)
}

/// Since the Unix epoch; none before it.
pub(super) fn seconds(moment: SystemTime) -> Option<u64> {
    moment
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_each_of_its_forms() {
        let second = Some(1_700_000_000);
        assert_eq!(moment("1700000000"), second);
        assert_eq!(moment("2023-11-14T22:13:20Z"), second);
        assert_eq!(moment("2023-11-14T22:13:20"), second);
        assert_eq!(moment("2023-11-14"), Some(1_699_920_000));
        assert_eq!(moment("yesterday"), None);
    }
}
