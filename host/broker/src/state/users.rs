//! Users, their passwords, and what each may do in which vhost.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use sha2::{Digest as _, Sha256};

/// The octets before the hash in a `password_hash`.
const SALT: usize = 4;

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    by_name: BTreeMap<String, User>,
    /// The user of a client that logs in with EXTERNAL and names no user.
    pub(crate) external: String,
}

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) password: Password,
    /// By vhost. `None` is a user that may do everything everywhere.
    pub(crate) permissions: Option<BTreeMap<String, Permission>>,
    /// Whether it may come from this machine alone.
    pub(crate) loopback_only: bool,
}

/// A password, as it is or as RabbitMQ keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    Plain(String),
    /// Salt, then SHA-256 of salt and password.
    Hash(Vec<u8>),
    /// No password will do.
    None,
}

impl Password {
    /// Reads a `password_hash` of a definitions file.
    pub(crate) fn from_hash(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::None);
        }
        let bytes = STANDARD.decode(text).ok()?;
        (bytes.len() == SALT + 32).then_some(Self::Hash(bytes))
    }

    fn is(&self, given: &[u8]) -> bool {
        match self {
            Self::Plain(password) => password.as_bytes() == given,
            Self::Hash(kept) => hash_of(&kept[..SALT], given) == *kept,
            Self::None => false,
        }
    }
}

/// The hash that RabbitMQ stores of a password.
fn hash_of(salt: &[u8], password: &[u8]) -> Vec<u8> {
    let hash = Sha256::new().chain_update(salt).chain_update(password);
    [salt, &hash.finalize()].concat()
}

/// The permissions of a user in one vhost: patterns of names.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    pub(crate) configure: Regex,
    pub(crate) write: Regex,
    pub(crate) read: Regex,
}

/// The kind of operation on an exchange or a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Configure,
    Write,
    Read,
}

impl Access {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl Default for Users {
    fn default() -> Self {
        let guest = User {
            password: Password::Plain("guest".to_owned()),
            permissions: None,
            loopback_only: true,
        };
        Self {
            by_name: BTreeMap::from([("guest".to_owned(), guest)]),
            external: "guest".to_owned(),
        }
    }
}

impl Users {
    pub(crate) fn set(&mut self, name: &str, user: User) {
        self.by_name.insert(name.to_owned(), user);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut User> {
        self.by_name.get_mut(name)
    }

    /// Whom a login is, or `None` where it is refused.
    pub(crate) fn login(
        &self,
        mechanism: &str,
        response: &[u8],
        from_loopback: bool,
    ) -> Option<String> {
        let name = match mechanism {
            "PLAIN" => {
                let mut parts = response.split(|octet| *octet == 0);
                let (_, name, password) = (parts.next()?, parts.next()?, parts.next()?);
                let name = std::str::from_utf8(name).ok()?;
                if !self.by_name.get(name)?.password.is(password) {
                    return None;
                }
                name
            }
            "EXTERNAL" if response.is_empty() => &self.external,
            "EXTERNAL" => std::str::from_utf8(response).ok()?,
            _ => return None,
        };
        let user = self.by_name.get(name)?;
        (from_loopback || !user.loopback_only).then(|| name.to_owned())
    }

    pub(crate) fn may_enter(&self, name: &str, vhost: &str) -> bool {
        self.by_name.get(name).is_some_and(|user| {
            user.permissions
                .as_ref()
                .is_none_or(|permissions| permissions.contains_key(vhost))
        })
    }

    pub(crate) fn may(&self, name: &str, vhost: &str, access: Access, resource: &str) -> bool {
        let Some(user) = self.by_name.get(name) else {
            return false;
        };
        let Some(permissions) = &user.permissions else {
            return true;
        };
        permissions.get(vhost).is_some_and(|permission| {
            let pattern = match access {
                Access::Configure => &permission.configure,
                Access::Write => &permission.write,
                Access::Read => &permission.read,
            };
            // An empty pattern is RabbitMQ's word for nothing at all.
            !pattern.as_str().is_empty() && pattern.is_match(resource)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let mut users = Users::default();
        let permission = Permission {
            configure: Regex::new("").unwrap(),
            write: Regex::new("^orders$").unwrap(),
            read: Regex::new(".*").unwrap(),
        };
        let user = User {
            password: Password::Hash(hash_of(b"salt", b"secret")),
            permissions: Some(BTreeMap::from([("/".to_owned(), permission)])),
            loopback_only: false,
        };
        users.set("ada", user);
        users
    }

    #[test]
    fn a_login_needs_the_password_and_guest_this_machine() {
        let users = users();
        let plain = |text: &str, loopback| users.login("PLAIN", text.as_bytes(), loopback);
        assert_eq!(plain("\0ada\0secret", false).as_deref(), Some("ada"));
        assert_eq!(plain("\0ada\0wrong", true), None);
        assert_eq!(plain("\0guest\0guest", true).as_deref(), Some("guest"));
        assert_eq!(plain("\0guest\0guest", false), None);
        assert_eq!(plain("nothing", true), None);
        assert_eq!(users.login("EXTERNAL", b"", true).as_deref(), Some("guest"));
        assert_eq!(
            users.login("EXTERNAL", b"ada", true).as_deref(),
            Some("ada")
        );
        assert_eq!(users.login("EXTERNAL", b"nobody", true), None);
    }

    #[test]
    fn a_user_may_what_its_patterns_match() {
        let users = users();
        assert!(users.may("ada", "/", Access::Write, "orders"));
        assert!(!users.may("ada", "/", Access::Write, "orders2"));
        assert!(!users.may("ada", "/", Access::Configure, "orders"));
        assert!(!users.may("ada", "other", Access::Read, "orders"));
        assert!(users.may("guest", "other", Access::Configure, "anything"));
    }

    #[test]
    fn a_password_hash_is_read_as_rabbitmq_writes_it() {
        let text = STANDARD.encode(hash_of(&[1, 2, 3, 4], b"pw"));
        assert!(Password::from_hash(&text).unwrap().is(b"pw"));
        assert_eq!(Password::from_hash("%%%"), None);
        assert_eq!(Password::from_hash("AAAA"), None);
        assert!(!Password::from_hash("").unwrap().is(b""));
    }
}
