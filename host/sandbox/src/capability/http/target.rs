//! Whom a request is for, and whether `allow.http` names them: as they are called, and by the address
//! that the name leads to. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hive_config::plan::{HttpGrant, HttpHost};
use http::Uri;
use http::uri::Scheme;

use super::address::not_public;

/// The other side of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// A name in lower case, without a dot at its end.
    Name(String),
}

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No entry is for this host and port.
    NotNamed,
    /// The name resolves to an internal address that has no entry of its own.
    LeadsInside(IpAddr, &'static str),
}

impl Target {
    /// `None` for a URI without a host, or with more than a host and a port.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let tls = *uri.scheme()? == Scheme::HTTPS;
        let host = authority.host();
        // Not `Authority::port`, which is `None` if the number is too large.
        let port = match authority.as_str().strip_prefix(host)? {
            "" => default_port(tls),
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match inner.unwrap_or(host).parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) if inner.is_some() => return None,
            Err(_) => {
                let name = host.strip_suffix('.').unwrap_or(host);
                Host::Name(name.to_ascii_lowercase())
            }
        };
        Some(Self { host, port, tls })
    }

    /// Whether an entry is for this target.
    pub(super) fn is_named(&self, grants: &[HttpGrant]) -> Result<(), Refusal> {
        let is_named = grants.iter().any(|grant| {
            self.goes_through(grant)
                && match (&grant.host, &self.host) {
                    (HttpHost::Address(granted), Host::Address(asked)) => granted == asked,
                    (HttpHost::Name(granted), Host::Name(asked)) => granted == asked,
                    (HttpHost::Below(parent), Host::Name(asked)) => is_below(asked, parent),
                    _ => false,
                }
        });
        is_named.then_some(()).ok_or(Refusal::NotNamed)
    }

    /// Those of the addresses that its name has to which the request may go; it has been named.
    pub(super) fn admitted(
        &self,
        grants: &[HttpGrant],
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let mut refusal = None;
        let mut admitted = Vec::new();
        for address in addresses {
            match self.refusal(grants, address) {
                None => admitted.push(SocketAddr::new(address, self.port)),
                Some(kind) => refusal = Some(Refusal::LeadsInside(address, kind)),
            }
        }
        match refusal {
            Some(refusal) if admitted.is_empty() => Err(refusal),
            _ => Ok(admitted),
        }
    }

    fn refusal(&self, grants: &[HttpGrant], address: IpAddr) -> Option<&'static str> {
        let kind = not_public(address)?;
        let canonical = address.to_canonical();
        let is_itself = matches!(&self.host, Host::Address(asked) if *asked == canonical);
        let is_local = matches!(&self.host, Host::Name(name) if is_local(name));
        let is_named_too = grants
            .iter()
            .any(|grant| self.goes_through(grant) && grant.host == HttpHost::Address(canonical));
        let admitted = is_itself || is_named_too || (is_local && canonical.is_loopback());
        (!admitted).then_some(kind)
    }

    fn goes_through(&self, grant: &HttpGrant) -> bool {
        self.port == grant.port.unwrap_or(default_port(self.tls))
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn is_below(name: &str, parent: &str) -> bool {
    let labels = name.strip_suffix(parent).and_then(|n| n.strip_suffix('.'));
    labels.is_some_and(|labels| !labels.is_empty())
}

/// A name that means this machine wherever it is used (RFC 6761, section 6.3).
fn is_local(name: &str) -> bool {
    name == "localhost" || is_below(name, "localhost")
}

impl fmt::Display for Target {
    /// Written like an entry of `allow.http`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Address(address) => write!(f, "{address}")?,
            Host::Name(name) => f.write_str(name)?,
        }
        write!(f, ":{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(uri: &str) -> Target {
        Target::of(&uri.parse().unwrap()).unwrap_or_else(|| panic!("{uri} names nobody"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn entry(host: HttpHost, port: impl Into<Option<u16>>) -> HttpGrant {
        let port = port.into();
        HttpGrant { host, port }
    }

    fn name(name: &str, port: impl Into<Option<u16>>) -> HttpGrant {
        entry(HttpHost::Name(name.to_owned()), port)
    }

    fn below(name: &str, port: impl Into<Option<u16>>) -> HttpGrant {
        entry(HttpHost::Below(name.to_owned()), port)
    }

    fn literal(text: &str, port: impl Into<Option<u16>>) -> HttpGrant {
        entry(HttpHost::Address(address(text)), port)
    }

    #[test]
    fn a_request_goes_only_where_an_entry_says() {
        let cases = [
            (
                "https://api.example.com/x",
                name("api.example.com", 443),
                true,
            ),
            (
                "https://api.example.com/x",
                name("api.example.com", None),
                true,
            ),
            (
                "http://api.example.com/x",
                name("api.example.com", None),
                true,
            ),
            (
                "http://api.example.com/x",
                name("api.example.com", 443),
                false,
            ),
            (
                "http://api.example.com:443/x",
                name("api.example.com", 443),
                true,
            ),
            (
                "http://api.example.com:443/x",
                name("api.example.com", None),
                false,
            ),
            (
                "https://API.Example.com./x",
                name("api.example.com", 443),
                true,
            ),
            (
                "https://api.example.com.evil.net/",
                name("api.example.com", 443),
                false,
            ),
            (
                "https://evil-api.example.com/",
                name("api.example.com", 443),
                false,
            ),
            ("https://a.b.example.com/", below("example.com", None), true),
            ("https://example.com/", below("example.com", None), false),
            ("https://badexample.com/", below("example.com", None), false),
            ("https://.example.com/", below("example.com", None), false),
            ("http://10.0.0.1:8080/", literal("10.0.0.1", 8080), true),
            ("http://10.0.0.1:8081/", literal("10.0.0.1", 8080), false),
            (
                "http://[::ffff:10.0.0.1]:8080/",
                literal("10.0.0.1", 8080),
                true,
            ),
            ("http://[::1]:8080/", literal("::1", 8080), true),
            ("http://127.0.0.1:8080/", name("localhost", 8080), false),
        ];
        for (uri, grant, expected) in cases {
            let named = target(uri).is_named(std::slice::from_ref(&grant));
            assert_eq!(named.is_ok(), expected, "{uri} with {grant}");
        }
        assert!(target("https://api.example.com/").is_named(&[]).is_err());
    }

    #[test]
    fn what_is_no_plain_host_and_port_names_nobody() {
        for uri in [
            "http://user@localhost:8080/",
            "http://localhost:8080@evil.net/",
            "http://localhost:99999/",
            "/path",
        ] {
            let parsed: Result<Uri, _> = uri.parse();
            assert_eq!(parsed.ok().and_then(|uri| Target::of(&uri)), None, "{uri}");
        }
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_unless_the_address_is_named() {
        let public = name("api.example.com", 80);
        let target = target("http://api.example.com/");
        let inside = address("10.0.0.5");
        let refused = target.admitted(std::slice::from_ref(&public), [inside]);
        assert_eq!(
            refused,
            Err(Refusal::LeadsInside(inside, "a private address"))
        );
        let both = [public.clone(), literal("10.0.0.5", 80)];
        assert!(target.admitted(&both, [inside]).is_ok());
        let other_port = [public, literal("10.0.0.5", 81)];
        assert!(target.admitted(&other_port, [inside]).is_err());
    }

    #[test]
    fn of_several_addresses_only_those_outside_are_used() {
        let grants = [name("api.example.com", 80)];
        let addresses = ["127.0.0.1", "1.1.1.1", "::1"].map(address);
        let admitted = target("http://api.example.com/").admitted(&grants, addresses);
        assert_eq!(admitted, Ok(vec![SocketAddr::new(address("1.1.1.1"), 80)]));
    }

    #[test]
    fn localhost_is_this_machine_and_nothing_else_inside() {
        let grants = [name("localhost", 80)];
        let target = target("http://localhost/");
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let admitted = target.admitted(&grants, [address(loopback)]);
            assert!(admitted.is_ok(), "{loopback}");
        }
        for other in ["10.0.0.1", "169.254.169.254", "0.0.0.0"] {
            assert!(
                target.admitted(&grants, [address(other)]).is_err(),
                "{other}"
            );
        }
    }

    proptest! {
        /// Whatever the DNS answers, no name but localhost leads to an address that is not public.
        #[test]
        fn no_answer_leads_inside(bits: u32, wide: u128, mapped: bool) {
            let grants = [name("api.example.com", 443), below("example.org", 443)];
            let v4 = std::net::Ipv4Addr::from_bits(bits);
            let first = if mapped { v4.to_ipv6_mapped().into() } else { v4.into() };
            let answers = [first, std::net::Ipv6Addr::from_bits(wide).into()];
            for uri in ["https://api.example.com/", "https://x.example.org/"] {
                for admitted in target(uri).admitted(&grants, answers).unwrap_or_default() {
                    prop_assert_eq!(not_public(admitted.ip()), None);
                }
            }
        }
    }
}
