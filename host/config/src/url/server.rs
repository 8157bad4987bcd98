//! The URL of a Redis server: `redis://user:password@host:port/database`, or `rediss://` with TLS.

use super::{UrlFault, decode, endpoint_or, number};
use crate::plan::{Endpoint, Password};

const PORT: u16 = 6379;

/// Such a URL in its parts.
#[derive(Debug)]
pub(crate) struct RedisUrl {
    pub(crate) tls: bool,
    pub(crate) endpoint: Endpoint,
    pub(crate) database: u16,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Password>,
}

/// The server of a URL.
pub(crate) fn redis_server(text: &str) -> Result<RedisUrl, UrlFault> {
    let text = text.trim();
    let (tls, rest) = match (
        text.strip_prefix("redis://"),
        text.strip_prefix("rediss://"),
    ) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => {
            return Err(UrlFault::new(
                "does not begin with redis:// or rediss://",
                "write it as in \"redis://user:password@host:6379/0\"",
            ));
        }
    };
    let (user_info, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (host, database) = cut_database(rest)?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let part = |text: &str| match text {
        "" => Ok(None),
        text => decode(text).map(Some).ok_or_else(|| {
            UrlFault::new(
                "has a `%` in its user or password that is not followed by the hex digits of UTF-8",
                "write a literal `%` as %25",
            )
        }),
    };
    Ok(RedisUrl {
        tls,
        endpoint: endpoint_or(host, PORT).map_err(|fault| UrlFault {
            remedy:
                "write it as in \"redis://user:password@host:6379/0\", an IPv6 address in brackets"
                    .to_owned(),
            ..fault
        })?,
        database,
        username: part(user)?,
        password: part(password)?.map(Into::into),
    })
}

fn cut_database(text: &str) -> Result<(&str, u16), UrlFault> {
    match text.split_once('/') {
        None | Some((_, "")) => Ok((text.trim_end_matches('/'), 0)),
        Some((host, database)) => match number::<u16>(database).filter(|_| !database.is_empty()) {
            Some(database) => Ok((host, database)),
            None => Err(UrlFault::new(
                "has a database that is not a number",
                "write its number behind the port, as in \"redis://host:6379/0\", or leave it out",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_it_is_read() {
        let server = redis_server("redis://us%40er:p%3Aw%2F@[::1]:7000/3").unwrap();
        assert_eq!(
            (server.endpoint.host.as_str(), server.endpoint.port),
            ("::1", 7000)
        );
        assert_eq!(server.database, 3);
        assert_eq!(server.username.as_deref(), Some("us@er"));
        let password = server.password.clone().unwrap();
        assert_eq!(password.expose_secret(), "p:w/");
        assert!(!format!("{server:?}").contains("p:w"));
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        for url in ["redis://h", "redis://h/", "redis://h:6379/0"] {
            let server = redis_server(url).unwrap();
            assert_eq!(
                (server.endpoint.host.as_str(), server.endpoint.port),
                ("h", 6379)
            );
            assert_eq!(
                (server.database, server.username, server.password.is_none()),
                (0, None, true)
            );
            assert!(!server.tls);
        }
        let server = redis_server("redis://:secret@h").unwrap();
        assert_eq!((server.username, server.password.is_some()), (None, true));
        let server = redis_server("rediss://h").unwrap();
        assert_eq!((server.tls, server.endpoint.port), (true, 6379));
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_secrets() {
        for url in [
            "",
            "h:6379",
            "redisss://u:secret@h",
            "redis://",
            "redis://u:secret@h:port",
            "redis://u:secret@h:0",
            "redis://u:secret@h/db",
            "redis://u:secret@h/65536",
            "redis://u:sec%ret@h",
        ] {
            let fault = redis_server(url).unwrap_err();
            assert!(!fault.message.contains("sec"), "{url}: {}", fault.message);
        }
    }
}
