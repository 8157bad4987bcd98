//! The times at which a schedule fires: a cron text in a time zone.

use std::fmt;
use std::sync::Arc;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::Moment;

/// A schedule's times. Two are the same if they are written the same.
#[derive(Clone)]
pub struct Times {
    cron: Arc<Cron>,
    zone: TimeZone,
    written: Arc<str>,
    zone_name: Arc<str>,
}

/// Why there are no such times.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadTimes {
    /// The text is no cron text; this is why.
    #[error("{0}")]
    Cron(String),
    /// It is one, for a time that never comes.
    #[error("names a time that never comes")]
    Never,
    /// There is no such time zone.
    #[error("names no time zone")]
    Zone,
}

impl Times {
    /// Reads a cron text of five fields, or of six with seconds in front, and the name of a time zone.
    ///
    /// # Errors
    ///
    /// Both faults, if there are two.
    pub fn read(cron: &str, zone: &str) -> Result<Self, Vec<BadTimes>> {
        let mut faults = Vec::new();
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let parsed = match parser.parse(cron) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                faults.push(BadTimes::Cron(reason(error)));
                None
            }
        };
        let found = TimeZone::get(zone).ok();
        if found.is_none() {
            faults.push(BadTimes::Zone);
        }
        let (Some(parsed), Some(found), true) = (parsed, found, faults.is_empty()) else {
            return Err(faults);
        };
        let times = Self {
            cron: Arc::new(parsed),
            zone: found,
            written: cron.into(),
            zone_name: zone.into(),
        };
        // Any day will do: what comes at all comes again within forty years, a leap day on a Monday included.
        match times.next_after(Moment::from_millis(0)) {
            Some(_) => Ok(times),
            None => Err(vec![BadTimes::Never]),
        }
    }

    /// The cron text.
    pub fn cron(&self) -> &str {
        &self.written
    }

    /// The name of the time zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first time after `moment`. Nothing after the year 4999.
    pub fn next_after(&self, moment: Moment) -> Option<Moment> {
        let found = self.cron.find_next_occurrence(&self.zoned(moment), false);
        Some(found.ok()?.timestamp().into())
    }

    /// As a clock in the time zone shows it, with its offset: `2026-11-29T03:00:00+01:00`.
    pub fn local(&self, moment: Moment) -> String {
        let zoned = self.zoned(moment);
        zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    pub(crate) fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first time from `civil` on that the text names, whether the clocks show it or not.
    pub(crate) fn named_from(&self, civil: DateTime) -> Option<DateTime> {
        self.cron.find_next_occurrence(&civil, true).ok()
    }

    fn zoned(&self, moment: Moment) -> Zoned {
        moment.timestamp().to_zoned(self.zone.clone())
    }
}

impl PartialEq for Times {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written && self.zone_name == other.zone_name
    }
}

impl Eq for Times {}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}", self.written, self.zone_name)
    }
}

/// The library's reason, as part of a sentence.
fn reason(error: CronError) -> String {
    let text = match error {
        CronError::EmptyPattern => return "is empty".to_owned(),
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text,
        other => other.to_string(),
    };
    format!("is no cron text: {}", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    pub(crate) fn times(cron: &str, zone: &str) -> Times {
        Times::read(cron, zone).unwrap_or_else(|faults| panic!("{cron} in {zone}: {faults:?}"))
    }

    fn at(text: &str) -> Moment {
        text.parse::<jiff::Timestamp>().expect("a time").into()
    }

    /// The first firings after a moment, each with its offset.
    fn firings(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let times = times(cron, zone);
        let mut all = Vec::new();
        let mut moment = at(from);
        while all.len() < count {
            moment = times.next_after(moment).expect("it fires again");
            all.push(times.local(moment));
        }
        all
    }

    #[test]
    fn seconds_may_be_there_and_need_not() {
        assert_eq!(
            firings("30 3 * * *", "UTC", "2026-01-01T03:30:00Z", 1),
            ["2026-01-02T03:30:00+00:00"]
        );
        assert_eq!(
            firings("*/20 30 3 * * *", "UTC", "2026-01-01T03:30:00Z", 2),
            ["2026-01-01T03:30:20+00:00", "2026-01-01T03:30:40+00:00"]
        );
    }

    #[test]
    fn a_part_of_a_second_is_no_second() {
        let times = times("* * * * * *", "UTC");
        let whole = at("2026-01-01T00:00:00Z");
        let late = whole.after(Duration::from_millis(1));
        assert_eq!(times.next_after(late), Some(at("2026-01-01T00:00:01Z")));
        let early = whole.before(Duration::from_millis(1));
        assert_eq!(times.next_after(early), Some(whole));
    }

    #[test]
    fn a_day_has_its_time_in_summer_and_in_winter() {
        assert_eq!(
            firings("0 4 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 2),
            ["2026-03-28T04:00:00+01:00", "2026-03-29T04:00:00+02:00"]
        );
        assert_eq!(
            firings("0 4 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 2),
            ["2026-10-24T04:00:00+02:00", "2026-10-25T04:00:00+01:00"]
        );
    }

    #[test]
    fn a_time_that_does_not_exist_fires_at_the_first_one_that_does() {
        assert_eq!(
            firings("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            [
                "2026-03-28T02:30:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-30T02:30:00+02:00",
            ]
        );
    }

    #[test]
    fn a_time_that_comes_twice_fires_the_first_time() {
        assert_eq!(
            firings("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
        );
    }

    #[test]
    fn each_hour_is_each_hour_that_passes() {
        assert_eq!(
            firings("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 3),
            [
                "2026-03-29T01:00:00+01:00",
                "2026-03-29T03:00:00+02:00",
                "2026-03-29T04:00:00+02:00",
            ]
        );
        assert_eq!(
            firings("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3),
            [
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T03:00:00+01:00",
            ]
        );
    }

    #[test]
    fn half_an_hour_of_daylight_saving_is_known_too() {
        assert_eq!(
            firings(
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                2
            ),
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
        );
    }

    #[test]
    fn what_is_no_time_is_said() {
        let fault = |cron, zone| Times::read(cron, zone).expect_err("it is faulty");
        assert_eq!(fault("0 3 * * *", "Europe/Berlim"), [BadTimes::Zone]);
        assert_eq!(fault("0 0 30 2 *", "UTC"), [BadTimes::Never]);
        let both = fault("0 25 * * *", "x");
        assert!(
            matches!(&both[..], [BadTimes::Cron(_), BadTimes::Zone]),
            "{both:?}"
        );
        for cron in [
            "",
            "* * * *",
            "0 0 0 0 0 0 0 0",
            "a b c d e",
            "0 0 1 1 * 2030 *",
        ] {
            let faults = fault(cron, "UTC");
            assert!(
                matches!(&faults[..], [BadTimes::Cron(_)]),
                "{cron}: {faults:?}"
            );
        }
    }

    #[test]
    fn a_leap_day_is_found() {
        assert_eq!(
            firings("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1),
            ["2028-02-29T00:00:00+00:00"]
        );
    }
}
