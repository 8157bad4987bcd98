//! Names of parts of the document: as AsyncAPI allows them, and each given once.

use std::collections::BTreeSet;

/// The names that were given.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// `wanted`, with a dash for each sign that AsyncAPI does not allow, and with a number if it was given before.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let plain: String = wanted
            .chars()
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        let mut name = plain.clone();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            name = format!("{plain}-{number}");
        }
        name
    }
}
