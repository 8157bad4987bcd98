//! The parts of the process's environment that the loader uses, as a plain value that a test can construct.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

/// Environment variables and the name of the machine.
#[derive(Clone, Default)]
pub struct Environment {
    /// The variables, by name.
    pub variables: BTreeMap<String, String>,
    /// The names of variables that are set to something that is not UTF-8, which no string of a TOML file
    /// could hold.
    pub unreadable: BTreeSet<String>,
    /// The machine's name; the default of `host.name`.
    pub hostname: String,
    /// The URL of every connection, whatever the file says; `hive-host dev --broker`.
    pub broker: Option<String>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let hostname = hostname::get().unwrap_or_default();
        Self::of(std::env::vars_os(), hostname.to_string_lossy().into_owned())
    }

    fn of(all: impl IntoIterator<Item = (OsString, OsString)>, hostname: String) -> Self {
        let mut environment = Self {
            hostname,
            ..Self::default()
        };
        for (name, value) in all {
            // A name that is not UTF-8 is none that a TOML file could ask for.
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    environment.variables.insert(name, value);
                }
                Err(_) => {
                    environment.unreadable.insert(name);
                }
            }
        }
        environment
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of a variable that says nothing when it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    /// Names alone: the values are where passwords are kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("unreadable", &self.unreadable)
            .field("hostname", &self.hostname)
            .finish()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_value_that_is_not_utf8_is_known_to_be_there() {
        let all = [
            (OsString::from("FINE"), OsString::from("ü")),
            (OsString::from("LATIN"), OsString::from_vec(vec![0xfc])),
            (OsString::from_vec(vec![0xfc]), OsString::from("x")),
        ];
        let environment = Environment::of(all, "machine".to_owned());
        assert_eq!(environment.get("FINE"), Some("ü"));
        assert_eq!(environment.get("LATIN"), None);
        assert_eq!(environment.unreadable, BTreeSet::from(["LATIN".to_owned()]));
    }
}
