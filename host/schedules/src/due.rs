//! What a schedule has to fire now: what is on time, and what was missed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Moment, Times};

/// Late by this much is on time: another host may have to notice first that the one before has gone.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// Firings that are made up for at most; of more, the newest.
pub const MOST_MISSED: usize = 1_000;

/// How far back the search for planned times looks first; twice as far each time after.
const FIRST_REACH: Duration = Duration::from_secs(3_600);

/// What becomes of firings that no host was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// One firing stands for all of them: that of the newest time.
    Once,
    /// They are left out.
    Skip,
    /// Each is fired, up to [`MOST_MISSED`].
    All,
}

/// What is to be done at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The planned times to fire, oldest first.
    pub fire: Vec<Moment>,
    /// How many planned times are left out; [`MOST_MISSED`] at most are counted beyond those that are fired.
    pub left_out: usize,
    /// The newest planned time that is over. Whatever is fired, nothing up to here is due again.
    pub newest: Option<Moment>,
}

/// What is due at `now`, if everything up to `last` was dealt with. Nothing where the clock is behind that.
pub fn due(times: &Times, missed: Missed, last: Moment, now: Moment) -> Due {
    // At most looks nothing is due, and the search back costs more.
    let is_due = times.next_after(last).is_some_and(|next| next <= now);
    let mut planned = match is_due {
        true => newest_planned(times, last, now),
        false => Vec::new(),
    };
    let newest = planned.last().copied();
    let is_on_time = |planned: &Moment| now.since(*planned) <= ON_TIME;
    let was_missed = planned.first().is_some_and(|oldest| !is_on_time(oldest));
    let kept = match (was_missed, missed) {
        (false, _) => planned.len(),
        (true, Missed::All) => planned.len().min(MOST_MISSED),
        (true, Missed::Once) => 1,
        (true, Missed::Skip) => usize::from(newest.as_ref().is_some_and(is_on_time)),
    };
    let left_out = planned.len() - kept;
    Due {
        fire: planned.split_off(left_out),
        left_out,
        newest,
    }
}

/// The planned times after `last` and up to `now`, oldest first; of more than twice [`MOST_MISSED`], the newest.
///
/// The search looks forwards alone: backwards it did not get past a night with a change of the clocks (croner 4.0.3).
fn newest_planned(times: &Times, last: Moment, now: Moment) -> Vec<Moment> {
    let most = 2 * MOST_MISSED;
    let mut reach = FIRST_REACH;
    loop {
        // A year of seconds would be 31 million times, of which the newest are enough.
        let from = now.before(reach).max(last);
        let mut planned = VecDeque::new();
        let mut moment = from;
        while let Some(next) = times.next_after(moment).filter(|next| *next <= now) {
            if planned.len() == most {
                planned.pop_front();
            }
            planned.push_back(next);
            moment = next;
        }
        if planned.len() == most || from == last {
            return planned.into();
        }
        reach *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        text.parse::<jiff::Timestamp>().expect("a time").into()
    }

    fn hourly(missed: Missed, last: &str, now: &str) -> (Vec<String>, usize) {
        let times = Times::read("0 * * * *", "UTC").unwrap();
        let due = due(&times, missed, at(last), at(now));
        let fire = due
            .fire
            .iter()
            .map(|planned| times.local(*planned)[11..16].to_owned());
        (fire.collect(), due.left_out)
    }

    #[test]
    fn what_is_on_time_is_fired_whatever_the_rule() {
        for missed in [Missed::Once, Missed::Skip, Missed::All] {
            let due = |now| hourly(missed, "2026-01-01T02:00:00Z", now);
            assert_eq!(due("2026-01-01T02:59:59.999Z"), (vec![], 0));
            assert_eq!(due("2026-01-01T03:00:00Z").0, ["03:00"]);
            assert_eq!(due("2026-01-01T03:01:00Z").0, ["03:00"]);
        }
    }

    #[test]
    fn a_late_minute_loses_no_second() {
        let times = Times::read("* * * * * *", "UTC").unwrap();
        let last = at("2026-01-01T00:00:00Z");
        for missed in [Missed::Once, Missed::Skip, Missed::All] {
            let all = due(&times, missed, last, last.after(ON_TIME));
            assert_eq!((all.fire.len(), all.left_out), (60, 0));
            assert_eq!(all.fire[0], at("2026-01-01T00:00:01Z"));
        }
    }

    #[test]
    fn once_is_the_newest_of_those_that_were_missed() {
        let due = |now| hourly(Missed::Once, "2026-01-01T02:00:00Z", now);
        assert_eq!(due("2026-01-01T03:30:00Z"), (vec!["03:00".to_owned()], 0));
        assert_eq!(due("2026-01-01T06:30:00Z"), (vec!["06:00".to_owned()], 3));
        // The one that is on time stands for the others too.
        assert_eq!(due("2026-01-01T06:00:01Z"), (vec!["06:00".to_owned()], 3));
    }

    #[test]
    fn skip_leaves_out_what_was_missed_and_not_what_is_on_time() {
        let due = |now| hourly(Missed::Skip, "2026-01-01T02:00:00Z", now);
        assert_eq!(due("2026-01-01T03:01:01Z"), (vec![], 1));
        assert_eq!(due("2026-01-01T06:30:00Z"), (vec![], 4));
        assert_eq!(due("2026-01-01T06:00:01Z"), (vec!["06:00".to_owned()], 3));
    }

    #[test]
    fn all_are_fired_in_their_order() {
        let (fire, left_out) = hourly(Missed::All, "2026-01-01T02:00:00Z", "2026-01-01T06:30:00Z");
        assert_eq!(fire, ["03:00", "04:00", "05:00", "06:00"]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn all_has_a_bound_and_the_newest_are_kept() {
        let times = Times::read("* * * * * *", "UTC").unwrap();
        let last = at("2026-01-01T00:00:00Z");
        let at_least = |seconds| {
            due(
                &times,
                Missed::All,
                last,
                last.after(Duration::from_secs(seconds)),
            )
        };
        let some = at_least(1_200);
        assert_eq!((some.fire.len(), some.left_out), (MOST_MISSED, 200));
        assert_eq!(some.fire.last(), Some(&at("2026-01-01T00:20:00Z")));
        // A year of seconds costs no more than some of them.
        let year = at_least(365 * 86_400);
        assert_eq!((year.fire.len(), year.left_out), (MOST_MISSED, MOST_MISSED));
        assert_eq!(year.newest, Some(at("2027-01-01T00:00:00Z")));
    }

    #[test]
    fn a_clock_that_went_back_fires_nothing_again() {
        for missed in [Missed::Once, Missed::Skip, Missed::All] {
            let back = hourly(missed, "2026-01-01T06:00:00Z", "2026-01-01T04:59:59Z");
            assert_eq!(back, (vec![], 0));
            let again = hourly(missed, "2026-01-01T06:00:00Z", "2026-01-01T06:00:00Z");
            assert_eq!(again, (vec![], 0));
            let further = hourly(missed, "2026-01-01T06:00:00Z", "2026-01-01T07:00:00Z");
            assert_eq!(further.0, ["07:00"]);
        }
    }

    #[test]
    fn a_night_with_a_change_of_the_clocks_has_each_time_once() {
        let times = Times::read("30 2 * * *", "Europe/Berlin").unwrap();
        let fired = |last, now| due(&times, Missed::All, at(last), at(now)).fire;
        // 02:30 comes twice: at 00:30 and at 01:30 UTC.
        let first = fired("2026-10-24T00:30:00Z", "2026-10-25T00:30:10Z");
        assert_eq!(first, [at("2026-10-25T00:30:00Z")]);
        assert_eq!(fired("2026-10-25T00:30:00Z", "2026-10-25T01:30:10Z"), []);
        // 02:30 does not exist: 03:00 is 01:00 UTC.
        let gap = fired("2026-03-28T01:30:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(gap, [at("2026-03-29T01:00:00Z")]);
    }
}
