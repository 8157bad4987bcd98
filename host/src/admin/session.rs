//! Sessions of browsers: a cookie in place of a token, which a script of the page cannot read and another site cannot
//! send along.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::audit::By;
use crate::random;

/// The name of the cookie.
const COOKIE: &str = "hive_session";

/// A working day, and some more.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// More sessions than a host has operators. The one that ends first makes room.
const MOST: usize = 1_000;

/// The sessions of one host. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(Arc<ArcSwap<BTreeMap<Sum, Session>>>);

/// The checksum of what the cookie says: looking one up takes equally long for all that are unknown.
type Sum = [u8; 32];

#[derive(Debug, Clone)]
struct Session {
    by: By,
    until: Instant,
}

impl Sessions {
    /// Begins a session. Returns the value of `Set-Cookie`.
    pub(super) fn begin(&self, by: By, is_secure: bool) -> String {
        self.begin_at(Instant::now(), by, is_secure)
    }

    fn begin_at(&self, now: Instant, by: By, is_secure: bool) -> String {
        let id = format!("{}{}", random::id(), random::id());
        let session = Session {
            by,
            until: now + LONGEST,
        };
        let sum: Sum = Sha256::digest(&id).into();
        self.0.rcu(|sessions| {
            let mut sessions = BTreeMap::clone(sessions);
            sessions.retain(|_, session| session.until > now);
            if sessions.len() >= MOST {
                let first = sessions.iter().min_by_key(|(_, session)| session.until);
                if let Some(sum) = first.map(|(sum, _)| *sum) {
                    sessions.remove(&sum);
                }
            }
            sessions.insert(sum, session.clone());
            sessions
        });
        cookie(&id, LONGEST, is_secure)
    }

    /// Who the client is, if it has a session.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<By> {
        self.of_at(Instant::now(), headers)
    }

    fn of_at(&self, now: Instant, headers: &HeaderMap) -> Option<By> {
        let sum = sent(headers)?;
        let sessions = self.0.load();
        let session = sessions.get(&sum)?;
        (session.until > now).then(|| session.by.clone())
    }

    /// Ends the session of the client. Returns the value of `Set-Cookie` that has the browser forget it.
    pub(super) fn end(&self, headers: &HeaderMap, is_secure: bool) -> String {
        if let Some(sum) = sent(headers) {
            self.0.rcu(|sessions| {
                let mut sessions = BTreeMap::clone(sessions);
                sessions.remove(&sum);
                sessions
            });
        }
        cookie("", Duration::ZERO, is_secure)
    }
}

fn cookie(id: &str, lasts: Duration, is_secure: bool) -> String {
    let secure = match is_secure {
        true => "; Secure",
        false => "",
    };
    let seconds = lasts.as_secs();
    format!("{COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn sent(headers: &HeaderMap) -> Option<Sum> {
    let lines = headers.get_all(header::COOKIE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut ids = pairs.filter(|(name, _)| *name == COOKIE);
    ids.next().map(|(_, id)| Sha256::digest(id).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(set: &str) -> HeaderMap {
        let (pair, _) = set.split_once(';').expect("it has attributes");
        let line = format!("theme=dark; {pair}");
        HeaderMap::from_iter([(header::COOKIE, line.parse().expect("it is text"))])
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_it_ends() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let set = sessions.begin_at(now, By::Viewer, false);
        assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
        assert!(!set.contains("Secure"), "{set}");
        assert!(
            sessions
                .begin_at(now, By::Viewer, true)
                .ends_with("; Secure")
        );
        let headers = headers(&set);
        assert_eq!(sessions.of_at(now, &headers), Some(By::Viewer));
        assert_eq!(sessions.of_at(now + LONGEST, &headers), None);
        let gone = sessions.end(&headers, false);
        assert!(
            gone.starts_with("hive_session=; ") && gone.contains("Max-Age=0"),
            "{gone}"
        );
        assert_eq!(sessions.of_at(now, &headers), None);
    }

    #[test]
    fn the_session_that_ends_first_makes_room() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let nth = |number: usize| {
            let millis = u64::try_from(number).expect("it is small");
            sessions.begin_at(start + Duration::from_millis(millis), By::Admin, false)
        };
        let all: Vec<_> = (0..=MOST).map(nth).collect();
        assert_eq!(sessions.of_at(start, &headers(&all[0])), None);
        assert_eq!(sessions.of_at(start, &headers(&all[1])), Some(By::Admin));
        assert_eq!(sessions.of_at(start, &headers(&all[MOST])), Some(By::Admin));
    }
}
