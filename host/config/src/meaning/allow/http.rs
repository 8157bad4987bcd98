//! One entry of `allow.http`: a host, and a port where it is not the scheme's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::plan::{HttpGrant, HttpHost};

/// The longest name in the DNS, and the longest part of one (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The fault of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Reads as a sentence after the key.
    pub(super) is: &'static str,
    pub(super) remedy: &'static str,
}

const NO_HOST: Fault = Fault {
    is: "is not a host",
    remedy: "write a name or an address and, where it is not 443 for https or 80 for http, a port, as in \
             \"api.example.com\", \"localhost:8080\" or \"[::1]:8080\"",
};
const NO_PORT: Fault = Fault {
    is: "has a port that is not a number from 1 to 65535",
    remedy: "write the port as a number behind the host, or leave it out for 443 with https and 80 with http",
};

/// Reads one entry.
pub(super) fn grant(text: &str) -> Result<HttpGrant, Fault> {
    if text.contains('/') {
        return Err(Fault {
            is: "is more than a host and a port",
            remedy: "write the host and the port alone, without scheme and path, as in \"api.example.com:443\"",
        });
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (address, port) = inner.split_once(']').ok_or(NO_HOST)?;
        let address: Ipv6Addr = address.parse().map_err(|_| NO_HOST)?;
        return Ok(HttpGrant {
            host: HttpHost::Address(IpAddr::V6(address).to_canonical()),
            port: match port {
                "" => None,
                port => Some(number(port.strip_prefix(':').ok_or(NO_HOST)?)?),
            },
        });
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault {
            is: "is an IPv6 address without brackets",
            remedy: "write it in brackets, as in \"[::1]:8080\"",
        });
    }
    let (name, port) = match text.split_once(':') {
        None => (text, None),
        Some((name, port)) => (name, Some(number(port)?)),
    };
    Ok(HttpGrant {
        host: host(name)?,
        port,
    })
}

fn number(text: &str) -> Result<u16, Fault> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if is_digits => Ok(port),
        _ => Err(NO_PORT),
    }
}

fn host(text: &str) -> Result<HttpHost, Fault> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(HttpHost::Address(address.into()));
    }
    if let Some(parent) = text.strip_prefix("*.") {
        return Ok(HttpHost::Below(name(parent)?));
    }
    if text.contains('*') {
        return Err(Fault {
            is: "has a `*` where none can be",
            remedy: "write `*.` before a name for every name below it, as in \"*.example.com\", or each host by its name",
        });
    }
    name(text).map(HttpHost::Name)
}

fn name(text: &str) -> Result<String, Fault> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if !name.is_ascii() {
        return Err(Fault {
            is: "has letters that a name in the DNS has not",
            remedy: "write the name as the DNS has it, with xn-- (`idn2` converts it)",
        });
    }
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // Resolvers take names such as 127.1 and 0x7f000001 for addresses.
    let ends_in_a_number = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_digit())
            || label.starts_with("0x")
            || label.starts_with("0X")
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    if name.len() > LONGEST_NAME || !name.split('.').all(is_label) || ends_in_a_number(last) {
        return Err(NO_HOST);
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_host_and_perhaps_a_port() {
        let cases = [
            ("api.example.com:443", "api.example.com:443"),
            ("API.Example.com.", "api.example.com"),
            ("localhost:8080", "localhost:8080"),
            ("*.example.com:443", "*.example.com:443"),
            ("10.0.0.5", "10.0.0.5"),
            ("[::1]:8080", "[::1]:8080"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ];
        for (text, shown) in cases {
            assert_eq!(grant(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn anything_else_is_told() {
        let cases = [
            ("", "not a host"),
            (":443", "not a host"),
            ("a..b", "not a host"),
            ("a b", "not a host"),
            ("user@host", "not a host"),
            ("127.1", "not a host"),
            ("2130706433", "not a host"),
            ("example.0x7f", "not a host"),
            ("*.1", "not a host"),
            ("[::1", "not a host"),
            ("[::1]8080", "not a host"),
            ("[10.0.0.1]", "not a host"),
            ("::1", "without brackets"),
            ("https://api.example.com", "more than a host"),
            ("api.example.com/v1", "more than a host"),
            ("*", "`*`"),
            ("api.*.com", "`*`"),
            ("api.example.com:", "not a number"),
            ("api.example.com:0", "not a number"),
            ("api.example.com:+80", "not a number"),
            ("api.example.com:65536", "not a number"),
            ("a:b:c", "not a number"),
            ("bücher.example", "xn--"),
        ];
        for (text, told) in cases {
            let Fault { is, remedy } = grant(text).unwrap_err();
            assert!(is.contains(told) || remedy.contains(told), "{text}: {is}");
        }
    }
}
