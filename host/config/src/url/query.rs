//! The query of a broker's URL.

use std::time::Duration;

use hive_core::nearest;

use super::{AuthMechanism, UrlFault, number};
use crate::redact;

const KEYS: &[&str] = &[
    "heartbeat",
    "frame_max",
    "channel_max",
    "connection_timeout",
    "auth_mechanism",
];

/// The smallest frame that AMQP lets a peer ask for.
const SMALLEST_FRAME: u32 = 4096;

#[derive(Default)]
pub(super) struct Query {
    pub(super) heartbeat: Option<Duration>,
    pub(super) frame_max: Option<u32>,
    pub(super) channel_max: Option<u16>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) mechanism: AuthMechanism,
}

impl Query {
    /// Reads `key=value&…`; an unknown key is a fault, since it would silently do nothing.
    pub(super) fn parse(text: &str, faults: &mut Vec<UrlFault>) -> Self {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match query.set(key, value) {
                Some(()) => {}
                None if KEYS.contains(&key) => faults.push(bad_value(key, value)),
                None => faults.push(unknown(key)),
            }
        }
        query
    }

    /// `None` if the key is unknown or its value wrong.
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "heartbeat" => self.heartbeat = Some(Duration::from_secs(number::<u16>(value)?.into())),
            "frame_max" => self.frame_max = Some(frame_max(value)?),
            "channel_max" => self.channel_max = Some(number(value)?),
            "connection_timeout" => self.connect_timeout = Some(milliseconds(value)?),
            "auth_mechanism" => self.mechanism = mechanism(value)?,
            _ => return None,
        }
        Some(())
    }
}

fn frame_max(value: &str) -> Option<u32> {
    number(value).filter(|bytes| *bytes == 0 || *bytes >= SMALLEST_FRAME)
}

fn milliseconds(value: &str) -> Option<Duration> {
    let milliseconds = number::<u32>(value).filter(|milliseconds| *milliseconds > 0)?;
    Some(Duration::from_millis(milliseconds.into()))
}

fn mechanism(value: &str) -> Option<AuthMechanism> {
    match value.to_ascii_lowercase().as_str() {
        "plain" => Some(AuthMechanism::Plain),
        "external" => Some(AuthMechanism::External),
        _ => None,
    }
}

fn bad_value(key: &str, value: &str) -> UrlFault {
    let remedy = match key {
        "heartbeat" => "write whole seconds from 0 to 65535",
        "frame_max" => "write bytes, at least 4096, or 0 for no limit",
        "channel_max" => "write a number from 0 to 65535",
        "connection_timeout" => "write milliseconds, from 1 to 4294967295",
        _ => "write plain or external",
    };
    let value = redact::quote(value);
    UrlFault::new(format!("has a wrong `{key}` in its query: {value}"), remedy)
}

fn unknown(key: &str) -> UrlFault {
    let remedy = nearest::advice(key, KEYS.iter().copied(), "the keys of the query are");
    let message = format!("has an unknown key in its query: {}", redact::quote(key));
    UrlFault::new(message, remedy)
}
