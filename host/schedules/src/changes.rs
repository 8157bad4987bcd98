//! The next change of the clocks in a zone, and what it means for a schedule: a time that is skipped or comes twice.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::{Moment, Times};

/// A change of the clocks that a schedule notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockChange {
    /// When the clocks change.
    pub at: Moment,
    /// A time that the schedule names, as the clocks show it: `02:30:00`.
    pub time: String,
    /// The day on which they change.
    pub day: String,
    /// What becomes of it.
    pub effect: Effect,
}

/// What becomes of a time that a change of the clocks takes away or doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The time does not exist, and the schedule fires as soon as the clocks have changed.
    Moved(Moment),
    /// The time does not exist, and nothing fires in its place.
    LeftOut,
    /// The time comes twice, and the schedule fires the first time.
    Once,
    /// The time comes twice, and the schedule fires both times.
    Twice,
}

impl Times {
    /// The next change of the clocks after `now`, if it takes away or doubles a time of this schedule. A schedule that
    /// fires in every hour notices nothing: hours that pass are what it counts.
    pub fn next_change(&self, now: Moment) -> Option<ClockChange> {
        let zone = self.time_zone();
        let change = zone.following(now.timestamp()).next()?;
        let at = change.timestamp();
        let before = zone.to_offset(at - SignedDuration::from_nanos(1));
        let (old, new) = (before.to_datetime(at), change.offset().to_datetime(at));
        let (begin, end) = (old.min(new), old.max(new));
        let named = self.named_from(begin).filter(|named| *named < end)?;
        if self.is_hourly(begin) {
            return None;
        }
        let moment = Moment::from(at);
        let fires_at = |moment: Moment| {
            self.next_after(moment.before(Duration::from_millis(1))) == Some(moment)
        };
        let effect = match old < new {
            true if fires_at(moment) => Effect::Moved(moment),
            true => Effect::LeftOut,
            false => {
                let later = change.offset().to_timestamp(named).ok()?;
                match fires_at(later.into()) {
                    true => Effect::Twice,
                    false => Effect::Once,
                }
            }
        };
        Some(ClockChange {
            at: moment,
            time: named.strftime("%H:%M:%S").to_string(),
            day: named.strftime("%Y-%m-%d").to_string(),
            effect,
        })
    }

    /// Whether it fires in each hour of an ordinary day.
    fn is_hourly(&self, about: DateTime) -> bool {
        let day = about.date().at(0, 0, 0, 0);
        (0..24).all(|hour| {
            let begin = day.checked_add(SignedDuration::from_hours(hour));
            let end = day.checked_add(SignedDuration::from_hours(hour + 1));
            let (Ok(begin), Ok(end)) = (begin, end) else {
                return true;
            };
            self.named_from(begin).is_some_and(|named| named < end)
        })
    }
}

impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, day, .. } = self;
        match self.effect {
            Effect::Moved(_) => write!(
                f,
                "on {day} the clocks skip {time}; fires as soon as they have changed"
            ),
            Effect::LeftOut => write!(f, "on {day} the clocks skip {time}; does not fire then"),
            Effect::Once => write!(f, "on {day} {time} comes twice; fires the first time only"),
            Effect::Twice => write!(f, "on {day} {time} comes twice; fires both times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(cron: &str, zone: &str, now: &str) -> Option<String> {
        let now = now.parse::<jiff::Timestamp>().expect("a time");
        let times = Times::read(cron, zone).unwrap();
        times
            .next_change(now.into())
            .map(|change| change.to_string())
    }

    const WINTER: &str = "2026-02-01T00:00:00Z";
    const SUMMER: &str = "2026-07-01T00:00:00Z";

    #[test]
    fn a_time_that_the_clocks_skip_is_named() {
        assert_eq!(
            change("30 2 * * *", "Europe/Berlin", WINTER).as_deref(),
            Some("on 2026-03-29 the clocks skip 02:30:00; fires as soon as they have changed")
        );
        assert_eq!(
            change("*/20 2 * * *", "Europe/Berlin", WINTER).as_deref(),
            Some("on 2026-03-29 the clocks skip 02:00:00; does not fire then")
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_named() {
        assert_eq!(
            change("30 2 * * *", "Europe/Berlin", SUMMER).as_deref(),
            Some("on 2026-10-25 02:30:00 comes twice; fires the first time only")
        );
        assert_eq!(
            change("*/20 2 * * *", "Europe/Berlin", SUMMER).as_deref(),
            Some("on 2026-10-25 02:00:00 comes twice; fires both times")
        );
    }

    #[test]
    fn other_times_and_zones_notice_nothing() {
        for now in [WINTER, SUMMER] {
            assert_eq!(change("0 4 * * *", "Europe/Berlin", now), None);
            assert_eq!(change("30 2 * * *", "UTC", now), None);
            assert_eq!(change("30 2 * * *", "Asia/Tokyo", now), None);
            assert_eq!(change("*/5 * * * *", "Europe/Berlin", now), None);
            assert_eq!(change("30 2 * * MON", "Europe/Berlin", now), None);
        }
    }
}
