//! Times of the machine's clock as text (RFC 3339, in UTC), whatever that clock says.
//!
//! A machine whose clock was never set reports a time before 1970, for which there is no text, and the library
//! panics. Printing a time must not end the program.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999; later times have no text.
const LAST: Duration = Duration::from_secs(253_402_300_799);

thread_local! {
    /// How far the time of day on this thread is ahead of the machine's clock.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time of day: the machine's, except on a thread whose clock a test turns ([`TurnedClock`]).
pub fn now() -> SystemTime {
    let now = SystemTime::now();
    now.checked_add(AHEAD.get()).unwrap_or(now)
}

/// Turns the time of day of its thread, and turns it back when it is dropped.
#[derive(Debug, Default)]
pub struct TurnedClock {
    /// It stays on its thread.
    _thread: PhantomData<*const ()>,
}

impl TurnedClock {
    /// Turns the clock forward.
    pub fn turn(&self, by: Duration) {
        AHEAD.set(AHEAD.get().saturating_add(by));
    }
}

impl Drop for TurnedClock {
    fn drop(&mut self) {
        AHEAD.set(Duration::ZERO);
    }
}

/// To the second: "2026-11-21T07:31:36Z".
pub fn to_the_second(moment: SystemTime) -> String {
    humantime::format_rfc3339_seconds(tellable(moment)).to_string()
}

/// To the millisecond: "2026-11-21T07:31:36.120Z".
pub fn to_the_millisecond(moment: SystemTime) -> String {
    humantime::format_rfc3339_millis(tellable(moment)).to_string()
}

/// The day, in UTC: "2026-11-21".
pub fn day(moment: SystemTime) -> String {
    let mut text = to_the_second(moment);
    text.truncate("2026-11-21".len());
    text
}

/// Seconds since the Unix epoch as a moment, or as the number where that has no text.
pub fn of_seconds(seconds: u64) -> String {
    match Duration::from_secs(seconds) {
        since if since <= LAST => to_the_second(UNIX_EPOCH + since),
        _ => seconds.to_string(),
    }
}

/// The nearest moment that there is a text for.
fn tellable(moment: SystemTime) -> SystemTime {
    moment.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_moment_is_without_a_text() {
        let day = Duration::from_secs(24 * 60 * 60);
        let before = UNIX_EPOCH - day;
        assert_eq!(to_the_second(before), "1970-01-01T00:00:00Z");
        assert_eq!(to_the_millisecond(before), "1970-01-01T00:00:00.000Z");
        let late = UNIX_EPOCH + LAST + day;
        assert_eq!(to_the_second(late), "9999-12-31T23:59:59Z");
        let now = UNIX_EPOCH + Duration::from_millis(1_795_243_796_120);
        assert_eq!(to_the_millisecond(now), "2026-11-21T06:49:56.120Z");
    }

    #[test]
    fn every_second_has_a_text() {
        assert_eq!(of_seconds(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(of_seconds(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn a_clock_is_turned_on_its_thread_alone_and_turned_back() {
        let hour = Duration::from_secs(3600);
        let clock = TurnedClock::default();
        clock.turn(hour);
        clock.turn(hour);
        assert!(now() >= SystemTime::now() + hour + hour - Duration::from_secs(60));
        let elsewhere = std::thread::spawn(now).join().unwrap();
        assert!(elsewhere < now() - hour);
        drop(clock);
        assert!(now() < SystemTime::now() + hour);
    }

    #[test]
    fn a_day_is_told_in_utc() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_243_796);
        assert_eq!(day(now), "2026-11-21");
        // A clock that was never set must not cost a delivery.
        let never_set = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(day(never_set), "1970-01-01");
    }
}
