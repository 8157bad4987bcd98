//! `[components.NAME.allow]`: what a component may reach outside itself. Nothing, unless it is named.

use super::DirGrant;
use hive_core::glob::Glob;
use std::fmt;
use std::net::IpAddr;

/// One entry of `allow.http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Whom.
    pub host: HttpHost,
    /// None is the port of the scheme: 443 for https, 80 for http.
    pub port: Option<u16>,
}

/// The host of an [`HttpGrant`]. Names are in lower case and have no dot at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpHost {
    /// This address. One of IPv4 that is written as IPv6 is here as IPv4.
    Address(IpAddr),
    /// Exactly this name.
    Name(String),
    /// Every name below this one, and not the name itself: `*.` and the name in the file.
    Below(String),
}

/// One entry of `allow.publish` or `allow.request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishGrant {
    /// Names of exchanges.
    pub exchange: Glob,
    /// Routing keys.
    pub routing_key: Glob,
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HttpHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            HttpHost::Address(address) => write!(f, "{address}")?,
            HttpHost::Name(name) => f.write_str(name)?,
            HttpHost::Below(name) => write!(f, "*.{name}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for DirGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.write { "read and write" } else { "read" };
        write!(f, "{} as {} ({mode})", self.host.display(), self.guest)
    }
}

impl fmt::Display for PublishGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.exchange, self.routing_key)
    }
}
