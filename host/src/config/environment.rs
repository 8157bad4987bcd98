//! What the loader takes from the process around it, as a plain value that a test can write down.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables and the name of the machine.
#[derive(Clone, Default)]
pub struct Environment {
    /// The variables, by name.
    pub variables: BTreeMap<String, String>,
    /// The machine's name; the default of `host.name`.
    pub hostname: String,
    /// The URL of every connection, whatever the file says; `hive-host dev --broker`.
    pub broker: Option<String>,
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out: no string of a
    /// TOML file could hold them.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let hostname = hostname::get().unwrap_or_default();
        Self {
            variables,
            hostname: hostname.to_string_lossy().into_owned(),
            broker: None,
        }
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
            .field("hostname", &self.hostname)
            .finish()
    }
}
