//! The files that a glob matches.
//!
//! This does not use the walk of the crate `glob`: that one follows circular links until the system refuses the
//! path, and ends the process at a name that is not UTF-8. Here its patterns match one name each.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, PatternError};

/// A star does not match a leading dot: hidden files are left behind by editors.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// One name of the path that a pattern describes.
enum Part {
    /// A name without any wildcard.
    Name(String),
    /// A name like this.
    Like(Pattern),
    /// Any number of folders.
    Folders,
}

/// The matches so far.
#[derive(Default)]
pub(super) struct Found {
    /// All matches that are not folders, in order.
    pub(super) files: Vec<PathBuf>,
    /// Folders that could not be read.
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
    /// Folders that were looked through, and for which part of the pattern.
    seen: BTreeSet<(PathBuf, usize)>,
}

/// Looks for what `pattern` means; a relative one starts from `base`.
pub(super) fn find(base: &Path, pattern: &str) -> Result<Found, PatternError> {
    let (root, pattern) = match pattern.strip_prefix('/') {
        Some(rest) => (Path::new("/"), rest),
        None => (base, pattern),
    };
    let names = pattern.split('/').filter(|name| !name.is_empty());
    let parts = names.map(|name| match name {
        "**" => Ok(Part::Folders),
        name if name.contains(['*', '?', '[']) => Pattern::new(name).map(Part::Like),
        name => Ok(Part::Name(name.to_owned())),
    });
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let mut found = Found::default();
    found.walk(root, &parts, 0);
    found.files.sort();
    found.files.dedup();
    Ok(found)
}

impl Found {
    /// Looks for the parts from number `at` on in a folder.
    fn walk(&mut self, folder: &Path, parts: &[Part], at: usize) {
        let Some(part) = parts.get(at) else {
            return;
        };
        if let Part::Name(name) = part {
            return self.take(folder.join(name), parts, at);
        }
        // A folder has one identity, by whatever links it is reached, and is looked through once.
        let here = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let Ok(identity) = here.canonicalize() else {
            return;
        };
        if !self.seen.insert((identity, at)) {
            return;
        }
        let entries = std::fs::read_dir(here).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push((folder.to_owned(), error)),
        };
        if matches!(part, Part::Folders) {
            self.walk(folder, parts, at + 1);
        }
        for entry in entries {
            let name = entry.file_name();
            let path = folder.join(&name);
            match part {
                Part::Folders => {
                    let is_hidden = name.as_encoded_bytes().starts_with(b".");
                    if !is_hidden && path.is_dir() {
                        self.walk(&path, parts, at);
                    }
                }
                // A name that is not UTF-8 is matched by its readable part.
                Part::Like(pattern) if pattern.matches_with(&name.to_string_lossy(), OPTIONS) => {
                    self.take(path, parts, at);
                }
                Part::Like(_) | Part::Name(_) => {}
            }
        }
    }

    /// Part number `at` is this path.
    fn take(&mut self, path: PathBuf, parts: &[Part], at: usize) {
        let is_folder = path.is_dir();
        match at + 1 == parts.len() {
            // One that matches by its very name may not be there at all.
            true if !is_folder && path.symlink_metadata().is_ok() => self.files.push(path),
            true => {}
            false if is_folder => self.walk(&path, parts, at + 1),
            false => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a folder that a pattern finds, from the folder.
    fn found(folder: &Path, pattern: &str) -> Vec<String> {
        let found = find(folder, pattern).unwrap();
        assert!(found.unreadable.is_empty(), "{:?}", found.unreadable);
        let files = found.files.iter();
        let files = files.map(|path| path.strip_prefix(folder).unwrap());
        files
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn stars_stand_for_names_and_two_of_them_for_folders() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "one.toml",
            "a/two.toml",
            "a/b/three.toml",
            "a/.b/no.toml",
            "a/.no.toml",
            "a/no.txt",
        ];
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let cases: [(&str, &[&str]); 8] = [
            ("*.toml", &["one.toml"]),
            ("a/*.toml", &["a/two.toml"]),
            ("*/*.toml", &["a/two.toml"]),
            ("**/*.toml", &["a/b/three.toml", "a/two.toml", "one.toml"]),
            ("a/**/t*.toml", &["a/b/three.toml", "a/two.toml"]),
            ("**/b/*", &["a/b/three.toml"]),
            ("?/[b-d]/three.toml", &["a/b/three.toml"]),
            ("a/**", &[]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(found(dir.path(), pattern), expected, "{pattern}");
        }
        let absolute = format!("{}/*.toml", dir.path().display());
        assert_eq!(found(dir.path(), &absolute), ["one.toml"]);
        assert!(find(dir.path(), "[").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_and_names_of_any_bytes_end_the_walk_in_order() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("one.toml"), "").unwrap();
        std::fs::write(folder.join(OsStr::from_bytes(b"\xff.toml")), "").unwrap();
        // Each of them doubles the paths at every level.
        for link in ["up", "top", "here"] {
            symlink("..", dir.path().join("a").join(link)).unwrap();
            symlink("../..", folder.join(link)).unwrap();
        }
        let found = found(dir.path(), "**/*.toml");
        assert_eq!(found, ["a/b/one.toml", "a/b/\u{fffd}.toml"]);
    }
}
