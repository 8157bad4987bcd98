//! `include`: which files it means, and how what they hold becomes part of the whole.

mod walk;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::faults::Faults;
use super::keys::{self, Shape};
use super::redact;
use super::sources::Sources;
use super::written::{Node, Value};
use crate::files;
use hive_core::codes::Code;

/// Reads the files that `root`, the tree of the main file, includes. Each is read once, and the main
/// file is not among them, whatever the globs say.
pub(crate) fn texts(root: &Node, main: &Path, faults: &mut Faults) -> Vec<(PathBuf, String)> {
    let mut known = BTreeSet::from([identity(main)]);
    let mut texts = Vec::new();
    let base = main.parent().unwrap_or(Path::new(""));
    for node in root.list(keys::RootKeys::include) {
        let Some(pattern) = node.as_text() else {
            continue;
        };
        for path in files(node, pattern, base, faults) {
            if !known.insert(identity(&path)) {
                continue;
            }
            match files::read_text(&path) {
                Ok(text) => texts.push((path, text)),
                Err(error) => unreadable(node, &path, &error, faults),
            }
        }
    }
    texts
}

/// A file under whatever name: a link to it is the same file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The files that one element of `include` names, in sorted order.
fn files(node: &Node, pattern: &str, base: &Path, faults: &mut Faults) -> Vec<PathBuf> {
    if pattern.is_empty() {
        let remedy = "name a file, or a glob such as \"consumers.d/*.toml\"";
        faults.error(Code::EmptyValue, node, "must not be empty", remedy);
        return Vec::new();
    }
    if !pattern.contains(['*', '?', '[']) {
        return vec![base.join(pattern)];
    }
    let found = match walk::find(base, pattern) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("is not a glob: {}: {}", redact::quote(pattern), error.msg);
            let remedy = "`*`, `?` and `[a-z]` stand for what is in a name, `**` for directories";
            faults.error(Code::BadPattern, node, message, remedy);
            return Vec::new();
        }
    };
    for (folder, error) in &found.unreadable {
        unreadable(node, folder, error, faults);
    }
    if found.files.is_empty() {
        let message = format!("matches no file: {}", redact::quote(pattern));
        let remedy = "put a file there, or correct the glob; it is relative to this file";
        faults.warning(Code::BadPattern, node, message, remedy);
    }
    found.files
}

fn unreadable(node: &Node, path: &Path, error: &std::io::Error, faults: &mut Faults) {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "name a file that is there, relative to this one",
        std::io::ErrorKind::InvalidData => "save the file as UTF-8",
        std::io::ErrorKind::InvalidInput => "name a file, or write a glob that matches files alone",
        _ => "name a file that this user may read",
    };
    let message = format!("cannot read {}: {error}", path.display());
    faults.error(Code::FileUnreadable, node, message, remedy);
    faults.names_are_missing();
}

/// Joins the trees of all files into that of the first one. A name that two files define is reported, and is in
/// the result twice, so that other faults in both are reported in the same run.
pub(crate) fn merged(
    mut main: Node,
    included: Vec<Node>,
    sources: &Sources,
    faults: &mut Faults,
) -> Node {
    let Value::Table(_, whole) = &mut main.value else {
        return main;
    };
    let mut defined: HashMap<String, Range<usize>> = HashMap::new();
    for (_, section) in whole.iter() {
        if let Value::Named(entries) = &section.value {
            define(entries, &mut defined, sources, faults);
        }
    }
    for file in included {
        let Value::Table(_, sections) = file.value else {
            continue;
        };
        for (name, section) in sections {
            let entries = match section.value {
                Value::Named(entries) => entries,
                _ => {
                    if holds_names(&name) {
                        faults.names_are_missing();
                    }
                    continue;
                }
            };
            define(&entries, &mut defined, sources, faults);
            match whole.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => {
                    if let Value::Named(known) = &mut known.value {
                        known.extend(entries);
                    }
                }
                None => {
                    let value = Value::Named(entries);
                    whole.push((name, Node { value, ..section }));
                }
            }
        }
    }
    main
}

/// Whether a section that is not a table (already reported) should contain names.
fn holds_names(section: &str) -> bool {
    keys::INCLUDED
        .iter()
        .any(|key| key.name == section && matches!(key.shape, Shape::Named(_)))
}

/// Records where a name is defined, and reports names that another file has defined before.
fn define(
    entries: &[(String, Node)],
    defined: &mut HashMap<String, Range<usize>>,
    sources: &Sources,
    faults: &mut Faults,
) {
    for (_, node) in entries {
        match defined.get(&node.key) {
            None => {
                defined.insert(node.key.clone(), node.span.clone());
            }
            Some(first) => {
                let (here, there) = (sources.of(&node.span), sources.of(first));
                let message = format!(
                    "is defined at {} and at {}",
                    there.place(first),
                    here.place(&node.span)
                );
                faults.error(
                    Code::Duplicate,
                    node,
                    message,
                    "keep one of them, or rename one",
                );
            }
        }
    }
}
