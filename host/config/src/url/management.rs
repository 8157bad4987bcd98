//! The URL of a broker's management interface: `http://user:password@host:port`, with a path where a proxy puts one in
//! front.

use super::{BrokerUrl, UrlFault, endpoint_or, user_info};
use crate::plan::ManagementPlan;

const PORT: u16 = 15672;

/// The management interface of a broker; without a user in it, the user of the broker's own URL logs in.
pub(crate) fn management(text: &str, broker: &BrokerUrl) -> Result<ManagementPlan, UrlFault> {
    let Some(rest) = text.trim().strip_prefix("http://") else {
        return Err(UrlFault::new(
            "does not begin with http://",
            "write it as in \"http://user:password@localhost:15672\"; for TLS, put a proxy of this machine in between",
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
    let endpoint = endpoint_or(host, PORT).map_err(|fault| UrlFault {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::parse;

    fn read(text: &str) -> Result<ManagementPlan, UrlFault> {
        let broker =
            parse("amqp://orders:brokers@b/").or_else(|_| parse("amqp://orders:brokers@b"));
        management(text, &broker.unwrap())
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
            "https://u:secret@h",
            "http://",
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
