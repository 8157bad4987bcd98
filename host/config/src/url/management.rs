//! The URL of a broker's management interface: `http://user:password@host:port` or the same with `https`, with a path where
//! a proxy puts one in front.

use super::{BrokerUrl, UrlFault, endpoint_or, user_info};
use crate::plan::{ManagementPlan, TlsPlan};

/// Where it listens unless it is told otherwise, without TLS and with it: RabbitMQ, "Management Plugin".
const PORT: u16 = 15672;
const TLS_PORT: u16 = 15671;

/// Whether it asks for TLS.
pub(crate) fn is_tls(text: &str) -> bool {
    text.trim().starts_with("https://")
}

/// The management interface of a broker; without a user in it, the user of the broker's own URL logs in. `tls` is that of the
/// connection.
pub(crate) fn management(
    text: &str,
    broker: &BrokerUrl,
    tls: &TlsPlan,
) -> Result<ManagementPlan, UrlFault> {
    let (is_tls, text) = (is_tls(text), text.trim());
    let rest = text.strip_prefix("http://");
    let Some(rest) = rest.or_else(|| text.strip_prefix("https://")) else {
        return Err(UrlFault::new(
            "does not begin with http:// or https://",
            "write it as in \"http://user:password@localhost:15672\"",
        ));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains(['?', '#', '@']) {
        return Err(UrlFault::new(
            "has a `?`, `#` or `@` that is not part of its syntax",
            "percent-encode them in the user and the password: %3f, %23, %40",
        ));
    }
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (username, password) = match user_info(user)? {
        Some((username, password)) => (username, password.into()),
        None => (broker.username.clone(), broker.password.clone()),
    };
    let port = if is_tls { TLS_PORT } else { PORT };
    let endpoint = endpoint_or(host, port).map_err(|fault| UrlFault {
        remedy:
            "write it as in \"http://user:password@localhost:15672\", an IPv6 address in brackets"
                .to_owned(),
        ..fault
    })?;
    Ok(ManagementPlan {
        endpoint,
        path: path.trim_end_matches('/').to_owned(),
        username,
        password,
        is_tls,
        tls: tls.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::parse;

    fn read(text: &str) -> Result<ManagementPlan, UrlFault> {
        let broker =
            parse("amqp://orders:brokers@b/").or_else(|_| parse("amqp://orders:brokers@b"));
        management(text, &broker.unwrap(), &TlsPlan::of_nobody())
    }

    #[test]
    fn every_part_of_it_is_read() {
        let read = read("http://us%40er:p%3Aw@[::1]:7000/rabbit/").unwrap();
        let at = (read.endpoint.host.as_str(), read.endpoint.port);
        assert_eq!((at, read.path.as_str()), (("::1", 7000), "/rabbit"));
        assert_eq!(read.username, "us@er");
        assert_eq!(read.password.expose_secret(), "p:w");
        assert!(!format!("{read:?}").contains("p:w"));
    }

    #[test]
    fn tls_has_a_port_of_its_own() {
        let read = |text| read(text).unwrap();
        let ports = |text| (read(text).is_tls, read(text).endpoint.port);
        assert_eq!(ports("http://h"), (false, 15672));
        assert_eq!(ports("https://h"), (true, 15671));
        assert_eq!(ports("https://u:p@h:443/rabbit"), (true, 443));
    }

    #[test]
    fn the_user_of_the_broker_is_the_default() {
        let read = read("http://h").unwrap();
        let at = (read.endpoint.host.as_str(), read.endpoint.port);
        assert_eq!((at, read.path.as_str()), (("h", 15672), ""));
        assert_eq!(
            (read.username.as_str(), read.password.expose_secret()),
            ("orders", "brokers")
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_secrets() {
        for url in [
            "",
            "amqp://u:secret@h",
            "htps://u:secret@h",
            "http://",
            "https://",
            "http://u:secret@h:port",
            "http://u:secret@h:0",
            "http://u:sec/ret@h",
            "http://u:sec%ret@h",
        ] {
            let fault = read(url).unwrap_err();
            assert!(!fault.message.contains("sec"), "{url}: {}", fault.message);
        }
    }
}
