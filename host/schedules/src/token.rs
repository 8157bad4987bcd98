//! The token of a schedule: a message in the schedule's own queue, which says up to when the schedule was dealt with.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Moment, Times};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Of this copy; its host knows it again by it.
    pub id: String,
    /// Everything up to here was dealt with, in milliseconds since 1970 in UTC.
    #[serde(rename = "last")]
    last_millis: i64,
    /// Whether the schedule has fired, ever. If not, `last` is when a host began with it.
    #[serde(default)]
    pub fired: bool,
    /// The cron text that held then.
    pub cron: String,
    /// The time zone that held then.
    pub timezone: String,
}

/// A message that is no token.
#[derive(Debug, Error)]
#[error("it is no token of a schedule: {0}")]
pub struct NotAToken(#[from] serde_json::Error);

impl Token {
    /// What a host begins with where there is no other token.
    pub fn beginning(id: String, times: &Times, now: Moment) -> Self {
        Self::of(id, now, false, times)
    }

    /// What follows once everything up to `planned` is dealt with.
    #[must_use]
    pub fn after(id: String, planned: Moment, times: &Times) -> Self {
        Self::of(id, planned, true, times)
    }

    /// The same for another holder. Where the times are written otherwise now, nothing before `now` was missed: those
    /// times are not the ones that were promised.
    #[must_use]
    pub fn taken_over(&self, id: String, times: &Times, now: Moment) -> Self {
        let last = match self.is_of(times) {
            true => self.last(),
            false => self.last().max(now),
        };
        Self::of(id, last, self.fired, times)
    }

    fn of(id: String, last: Moment, fired: bool, times: &Times) -> Self {
        Self {
            id,
            last_millis: last.millis(),
            fired,
            cron: times.cron().to_owned(),
            timezone: times.zone().to_owned(),
        }
    }

    /// Everything up to here was dealt with.
    pub fn last(&self) -> Moment {
        Moment::from_millis(self.last_millis)
    }

    /// Whether these times are the ones that it was written for.
    pub fn is_of(&self, times: &Times) -> bool {
        self.cron == times.cron() && self.timezone == times.zone()
    }

    /// Which of two counts: the greater one. One of a schedule that has fired is worth more than any beginning; of
    /// firings the latest counts, and of beginnings the earliest, so that nothing in between is lost.
    pub fn worth(&self, other: &Self) -> Ordering {
        let by_time = match self.fired {
            true => self.last().cmp(&other.last()),
            false => other.last().cmp(&self.last()),
        };
        self.fired.cmp(&other.fired).then(by_time)
    }

    /// As the body of a message.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the body of a message.
    ///
    /// # Errors
    ///
    /// It is no token.
    pub fn read(body: &[u8]) -> Result<Self, NotAToken> {
        Ok(serde_json::from_slice(body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        Times::read("0 3 * * *", "Europe/Berlin").unwrap()
    }

    fn token(last: i64, fired: bool) -> Token {
        let mut token = Token::beginning("a".to_owned(), &times(), Moment::from_millis(last));
        token.fired = fired;
        token
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = token(1_795_921_200_000, true);
        assert_eq!(Token::read(&token.body()).unwrap(), token);
        let text = String::from_utf8(token.body()).unwrap();
        assert_eq!(
            text,
            r#"{"id":"a","last":1795921200000,"fired":true,"cron":"0 3 * * *","timezone":"Europe/Berlin"}"#
        );
        for not in [
            "",
            "{}",
            "null",
            r#"{"id":"a","last":"x","cron":"","timezone":""}"#,
        ] {
            assert!(Token::read(not.as_bytes()).is_err(), "{not}");
        }
    }

    #[test]
    fn a_firing_is_worth_more_than_any_beginning() {
        assert_eq!(token(1, true).worth(&token(9, false)), Ordering::Greater);
        assert_eq!(token(9, false).worth(&token(1, true)), Ordering::Less);
    }

    #[test]
    fn the_latest_firing_and_the_earliest_beginning_count() {
        assert_eq!(token(9, true).worth(&token(1, true)), Ordering::Greater);
        assert_eq!(token(9, false).worth(&token(1, false)), Ordering::Less);
        assert_eq!(token(9, false).worth(&token(9, false)), Ordering::Equal);
    }

    #[test]
    fn of_a_text_that_has_changed_nothing_was_missed() {
        let (old, now) = (token(1_000, true), Moment::from_millis(9_000));
        let same = old.taken_over("b".to_owned(), &times(), now);
        assert_eq!((same.last().millis(), same.fired), (1_000, true));
        let others = [("0 4 * * *", "Europe/Berlin"), ("0 3 * * *", "UTC")];
        for (cron, zone) in others {
            let times = Times::read(cron, zone).unwrap();
            let changed = old.taken_over("b".to_owned(), &times, now);
            assert_eq!(changed.last(), now);
            assert!(changed.is_of(&times));
            // What was fired by a clock that was ahead is not fired again.
            let back = old.taken_over("b".to_owned(), &times, Moment::from_millis(10));
            assert_eq!(back.last(), old.last());
        }
    }
}
