//! Durations and sizes as strings: `"1m30s"`, `"64MiB"`.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A duration: whole numbers, each with its unit, largest first: `"250ms"`, `"1m30s"`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let factor = factor(DURATIONS, unit).filter(|factor| *factor < smallest)?;
        let part = number.parse::<u64>().ok()?.checked_mul(factor)?;
        total = total.checked_add(part)?;
        smallest = factor;
        rest = after;
    }
    (smallest < u64::MAX).then(|| Duration::from_millis(total))
}

/// A size in bytes: a whole number with its unit: `"64MiB"`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text, |c| c.is_ascii_digit());
    let factor = factor(SIZES, unit.trim_start_matches(' '))?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A rate: a whole number above 0 for each second, minute or hour: `"100/s"`.
pub(crate) fn rate(text: &str) -> Option<(u32, Duration)> {
    let (number, per) = text.split_once('/')?;
    let per = match per {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let limit = number.parse().ok().filter(|limit| is_plain && *limit > 0)?;
    Some((limit, Duration::from_secs(per)))
}

/// A rate in the words that [`rate`] reads.
pub(crate) fn show_rate(limit: u32, per: Duration) -> String {
    let per = match per.as_secs() {
        1 => "s",
        60 => "m",
        _ => "h",
    };
    format!("{limit}/{per}")
}

/// A duration in the words that [`duration`] reads.
pub fn show(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in DURATIONS {
        if left >= *factor {
            text.push_str(&format!("{}{unit}", left / factor));
            left %= factor;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn factor(units: &[(&str, u64)], word: &str) -> Option<u64> {
    units
        .iter()
        .find(|(unit, _)| *unit == word)
        .map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let cases = [
            ("250ms", 250),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
        ];
        for (text, milliseconds) in cases {
            let read = duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(show(read), text);
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        let wrong = [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "10 s",
            "10S",
            "1s1m",
            "1s1s",
            "10s ",
            "10sec",
            "99999999999999999999s",
            "9999999999999999999d",
            "١s",
        ];
        for text in wrong {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_a_number_for_a_unit_of_time() {
        for (text, limit, seconds) in [("100/s", 100, 1), ("10/m", 10, 60), ("1/h", 1, 3_600)] {
            let per = Duration::from_secs(seconds);
            assert_eq!(rate(text), Some((limit, per)), "{text}");
            assert_eq!(show_rate(limit, per), text);
        }
        let wrong = [
            "",
            "100",
            "/s",
            "0/s",
            "1/d",
            "1/ s",
            "1.5/s",
            "-1/s",
            "+1/s",
            "1/5s",
            "9999999999/s",
        ];
        for text in wrong {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_a_number_with_a_unit() {
        let cases = [
            ("64MiB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("1kB", Some(1_000)),
            ("2GiB", Some(2 << 30)),
            ("3GB", Some(3_000_000_000)),
            ("4MB", Some(4_000_000)),
            ("5KiB", Some(5_120)),
            ("512B", Some(512)),
            ("64", None),
            ("64M", None),
            ("1.5GiB", None),
            ("MiB", None),
            ("", None),
            ("99999999999GiB", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
