//! Moments and ages, as people write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// A moment as [`moment`] reads it.
pub fn shown(seconds: u64) -> String {
    // Times after the year 9999 have no text.
    const LAST: u64 = 253_402_300_799;
    match seconds {
        0..=LAST => {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            humantime::format_rfc3339_seconds(moment).to_string()
        }
        _ => seconds.to_string(),
    }
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

    #[test]
    fn every_second_has_a_text() {
        assert_eq!(shown(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(shown(u64::MAX), u64::MAX.to_string());
    }
}
