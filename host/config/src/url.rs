//! The URL of a broker, by RabbitMQ's URI specification, with several hosts.
//!
//! `amqp://user:password@host1:5672,host2:5673/vhost?heartbeat=10`, or whole URLs with commas
//! between them. No fault repeats any part of the text in front of the last `@`.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::plan::{AuthMechanism, Endpoint, Password};

mod management;
mod query;
mod server;

use query::Query;

pub(crate) use management::{is_tls, management};
pub(crate) use server::redis_server;

/// A URL in its parts.
#[derive(Debug)]
pub(crate) struct BrokerUrl {
    pub(crate) tls: bool,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) vhost: String,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) frame_max: Option<u32>,
    pub(crate) channel_max: Option<u16>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) mechanism: AuthMechanism,
}

/// The fault of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UrlFault {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl UrlFault {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

/// The text of one URL, cut up and not decoded.
struct Parts<'a> {
    tls: bool,
    user_info: Option<&'a str>,
    hosts: &'a str,
    path: Option<&'a str>,
    query: Option<&'a str>,
}

/// Reads a URL, or several that differ in nothing but their hosts.
pub(crate) fn parse(text: &str) -> Result<BrokerUrl, Vec<UrlFault>> {
    let mut urls = Vec::new();
    for piece in pieces(text) {
        urls.push(cut(piece).map_err(|fault| vec![fault])?);
    }
    let (first, others) = urls.split_first().expect("a text has at least one piece");
    let mut faults = Vec::new();
    if others.iter().any(|other| !other.is_alike(first)) {
        faults.push(UrlFault::new(
            "has several URLs that differ in more than their hosts",
            "give them one scheme, user, password, virtual host and query",
        ));
    }
    let mut keep = |result: Result<(), UrlFault>| faults.extend(result.err());

    let mut endpoints = Vec::new();
    for hosts in urls.iter().map(|url| url.hosts) {
        for host in hosts.split(',') {
            keep(endpoint(host, first.tls).map(|endpoint| endpoints.push(endpoint)));
        }
    }
    let (mut username, mut password) = ("guest".to_owned(), "guest".to_owned());
    keep(user_info(first.user_info).map(|info| {
        if let Some(info) = info {
            (username, password) = info;
        }
    }));
    let mut vhost = String::new();
    keep(virtual_host(first.path).map(|name| vhost = name));
    let query = Query::parse(first.query.unwrap_or(""), &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(BrokerUrl {
        tls: first.tls,
        endpoints,
        username,
        password: password.into(),
        vhost,
        heartbeat: query.heartbeat,
        frame_max: query.frame_max,
        channel_max: query.channel_max,
        connect_timeout: query.connect_timeout,
        mechanism: query.mechanism,
    })
}

/// Splits at the commas that a scheme follows; the others are between hosts.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(',') {
        let after = text[at + 1..].trim_start();
        if after.starts_with("amqp://") || after.starts_with("amqps://") {
            pieces.push(text[start..at].trim());
            start = at + 1;
        }
    }
    pieces.push(text[start..].trim());
    pieces
}

fn cut(text: &str) -> Result<Parts<'_>, UrlFault> {
    let (tls, rest) = match (text.strip_prefix("amqp://"), text.strip_prefix("amqps://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => {
            return Err(UrlFault::new(
                "does not begin with amqp:// or amqps://",
                "write it as in \"amqp://user:password@host:5672/%2f\"",
            ));
        }
    };
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after.contains('@') || after.contains('#') {
        return Err(UrlFault::new(
            "has a `/`, `?`, `#` or `@` that is not part of its syntax",
            "percent-encode them in the user, the password and the virtual host: \
             %2f, %3f, %23, %40",
        ));
    }
    let (user_info, hosts) = match authority.rsplit_once('@') {
        Some((user_info, hosts)) => (Some(user_info), hosts),
        None => (None, authority),
    };
    let (path, query) = match after.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (after, None),
    };
    let path = path.strip_prefix('/');
    Ok(Parts {
        tls,
        user_info,
        hosts,
        path,
        query,
    })
}

impl Parts<'_> {
    /// Whether one connection plan can cover both.
    fn is_alike(&self, other: &Parts<'_>) -> bool {
        self.tls == other.tls
            && self.user_info == other.user_info
            && self.path == other.path
            && self.query == other.query
    }
}

fn endpoint(text: &str, tls: bool) -> Result<Endpoint, UrlFault> {
    endpoint_or(text, if tls { 5671 } else { 5672 })
}

/// A host with a port, or with the default one.
pub(crate) fn endpoint_or(text: &str, default: u16) -> Result<Endpoint, UrlFault> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(bad_host)?;
            address.parse::<Ipv6Addr>().map_err(|_| bad_host())?;
            (
                address,
                after
                    .strip_prefix(':')
                    .or((!after.is_empty()).then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let letter = |c: char| c.is_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(letter) {
        return Err(bad_host());
    }
    let port = match port {
        None => default,
        Some(port) => number::<u16>(port)
            .filter(|port| *port > 0)
            .ok_or_else(bad_port)?,
    };
    Ok(Endpoint {
        host: host.to_owned(),
        port,
    })
}

fn bad_host() -> UrlFault {
    UrlFault::new(
        "has a host that is empty or malformed",
        "name a host or an address, IPv6 in brackets: \"amqp://[::1]:5672\"",
    )
}

fn bad_port() -> UrlFault {
    UrlFault::new(
        "has a port that is not a number from 1 to 65535",
        "write it after the host, as in \"amqp://user:password@host:5672\"",
    )
}

/// User and password; a user without a password has an empty one.
fn user_info(text: Option<&str>) -> Result<Option<(String, String)>, UrlFault> {
    let Some(text) = text else {
        return Ok(None);
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    match (decode(user), decode(password)) {
        (Some(user), Some(password)) => Ok(Some((user, password))),
        _ => Err(bad_escape("user or password")),
    }
}

fn virtual_host(path: Option<&str>) -> Result<String, UrlFault> {
    let name = match path {
        None => return Ok("/".to_owned()),
        Some("") => {
            return Err(UrlFault::new(
                "ends in \"/\", which is the virtual host with an empty name",
                "write \"/%2f\" for the virtual host \"/\", or leave the \"/\" out",
            ));
        }
        Some(path) if path.contains('/') => {
            return Err(UrlFault::new(
                "has a \"/\" in the name of its virtual host",
                "write it as %2f",
            ));
        }
        Some(path) => decode(path).ok_or_else(|| bad_escape("virtual host"))?,
    };
    match name.len() {
        0..=255 => Ok(name),
        length => Err(UrlFault::new(
            format!("names a virtual host of {length} bytes"),
            "name one of at most 255 bytes",
        )),
    }
}

fn bad_escape(what: &str) -> UrlFault {
    UrlFault::new(
        format!("has a `%` in its {what} that is not followed by the hex digits of UTF-8"),
        "write a literal `%` as %25",
    )
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

/// A number in digits alone: the standard parser also takes a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
