//! Files of one crate that know one another in a circle: none of them can be read, or tested, without the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Breach;
use super::paths::Source;

/// Checks all files of a crate's `src`, given with their texts.
pub fn check_circles(files: &[(PathBuf, String)]) -> Option<Breach> {
    let sources = files.iter().map(|(file, text)| Source::read(file, text));
    let sources: Vec<Source> = sources.collect();
    let modules: BTreeSet<&[String]> = sources.iter().map(Source::module).collect();
    let mut known: BTreeMap<&[String], BTreeSet<&[String]>> = sources
        .iter()
        .map(|source| (source.module(), source.modules(&modules)))
        .collect();
    // A file is in no circle if it knows none that is left, or if none that is left knows it.
    loop {
        let left: BTreeSet<&[String]> = known.keys().copied().collect();
        for others in known.values_mut() {
            others.retain(|other| left.contains(other));
        }
        let are_known: BTreeSet<&[String]> = known.values().flatten().copied().collect();
        known.retain(|module, others| !others.is_empty() && are_known.contains(module));
        if known.len() == left.len() {
            break;
        }
    }
    let names: Vec<String> = known.keys().map(|module| module.join("::")).collect();
    let first = names.first()?;
    Some(Breach {
        rule: Some(8),
        file: Path::new(&first.replace("::", "/")).with_extension("rs"),
        what: format!("is in or between circles of files: {}", names.join(", ")),
    })
}
