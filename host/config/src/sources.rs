//! The texts that the loader reads: hive.toml first, then the files that it includes.
//!
//! All of them share one line of positions, one file behind the other, so that a span alone says in which file
//! it is.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Every text that was read.
pub(crate) struct Sources {
    /// The files in the order of their positions; at least one.
    read: Vec<Source>,
}

/// One file that was read.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The position of its first byte.
    pub(crate) start: usize,
}

impl Source {
    /// The directory that relative paths in it start from.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Its positions; a span may begin at its very end.
    pub(crate) fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len() + 1
    }

    /// A span within its text as a span of positions.
    pub(crate) fn placed(&self, within: Range<usize>) -> Range<usize> {
        within.start + self.start..within.end + self.start
    }

    /// A span of positions as one within its text.
    pub(crate) fn within(&self, placed: &Range<usize>) -> Range<usize> {
        let within = |at: usize| at.saturating_sub(self.start).min(self.text.len());
        within(placed.start)..within(placed.end)
    }

    /// The place in a file, as in `consumers.d/orders.toml:3`.
    pub(crate) fn place(&self, span: &Range<usize>) -> String {
        let before = &self.text.as_bytes()[..self.within(span).start];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }
}

impl Sources {
    /// The file that the others are included from.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        Self {
            read: vec![Source {
                path: path.to_owned(),
                text: text.to_owned(),
                start: 0,
            }],
        }
    }

    /// Puts a file behind the last one.
    pub(crate) fn add(&mut self, path: PathBuf, text: String) {
        let start = self.last().range().end;
        self.read.push(Source { path, text, start });
    }

    pub(crate) fn main(&self) -> &Source {
        &self.read[0]
    }

    pub(crate) fn last(&self) -> &Source {
        self.read.last().expect("the main file is among them")
    }

    /// The file in which a span begins.
    pub(crate) fn of(&self, span: &Range<usize>) -> &Source {
        let behind = self
            .read
            .partition_point(|source| source.start <= span.start);
        &self.read[behind.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_says_in_which_file_it_is() {
        let mut sources = Sources::new(Path::new("hive.toml"), "ab\ncd");
        sources.add("empty.toml".into(), String::new());
        sources.add("d/last.toml".into(), "x\ny".to_owned());
        let placed = sources.last().placed(2..3);
        let found = sources.of(&placed);
        assert_eq!(found.place(&placed), "d/last.toml:2");
        assert_eq!(found.directory(), Path::new("d"));
        assert_eq!(found.within(&placed), 2..3);

        let main_end = sources.main().placed(5..5);
        assert_eq!(sources.of(&main_end).place(&main_end), "hive.toml:2");
        let empty = sources.main().range().end;
        assert_eq!(sources.of(&(empty..empty)).path, Path::new("empty.toml"));
    }
}
