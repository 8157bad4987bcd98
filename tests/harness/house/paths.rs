//! Reads the paths that a Rust source names: enough of the language for that, and no more.

use std::collections::BTreeSet;
use std::path::Path;

/// The words and signs of one source file, without comments, literals and tests.
pub(super) struct Source {
    /// The room it belongs to: the first part of its module path, `main` or `lib`.
    pub(super) room: String,
    /// The module path of the file, from the root of its crate.
    module: Vec<String>,
    words: Vec<String>,
}

impl Source {
    /// Reads `text` as the file at `file`, a path from its crate's `src`.
    pub(super) fn read(file: &Path, text: &str) -> Self {
        let module = module_path(file);
        let room = module.first().cloned().unwrap_or_default();
        let is_test = module.last().is_some_and(|name| name == "tests");
        let words = if is_test {
            Vec::new()
        } else {
            without_tests(words(text))
        };
        Self {
            room,
            module,
            words,
        }
    }

    /// The dependencies among `known` that it names.
    pub(super) fn libraries(&self, known: &[String]) -> BTreeSet<String> {
        let heads = self
            .paths()
            .into_iter()
            .filter_map(|path| path.into_iter().next());
        heads.filter(|head| known.contains(head)).collect()
    }

    /// The rooms of the host that it names, by `crate::`, `hive_host::` or `super::`.
    pub(super) fn rooms(&self) -> BTreeSet<String> {
        self.paths()
            .iter()
            .filter_map(|path| self.room_of(path))
            .collect()
    }

    /// Its module path from the crate's root, which has none.
    pub(super) fn module(&self) -> &[String] {
        match self.room.as_str() {
            "lib" => &[],
            _ => &self.module,
        }
    }

    /// Those of `modules` that it names, other than itself.
    pub(super) fn modules<'a>(&self, modules: &BTreeSet<&'a [String]>) -> BTreeSet<&'a [String]> {
        let paths = self.paths();
        let named = paths.iter().filter_map(|path| {
            let absolute = self.absolute(path);
            // The items of a file come after its module, and so do modules within it.
            let ends = (1..=absolute.len()).rev();
            ends.into_iter()
                .find_map(|end| modules.get(&absolute[..end]))
        });
        named
            .copied()
            .filter(|module| *module != self.module())
            .collect()
    }

    /// A path from the crate's root; one that begins with no keyword is of a module below, or of a library, which
    /// has no file here.
    fn absolute(&self, path: &[String]) -> Vec<String> {
        let module = self.module();
        let ups = path.iter().take_while(|part| *part == "super").count();
        let (base, rest) = match path.first().map(String::as_str) {
            Some("crate") => (0, 1),
            Some("self") => (module.len(), 1),
            _ => (module.len().saturating_sub(ups), ups),
        };
        [&module[..base], &path[rest..]].concat()
    }

    /// Whether it names `word` anywhere.
    pub(super) fn names(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    /// Whether it derives one of `traits`.
    pub(super) fn derives(&self, traits: &[&str]) -> bool {
        let starts = self.words.windows(2).enumerate();
        let lists = starts.filter(|(_, pair)| pair[0] == "derive" && pair[1] == "(");
        lists.into_iter().any(|(start, _)| {
            let list = self.words[start..].iter().take_while(|word| *word != ")");
            list.into_iter().any(|word| traits.contains(&word.as_str()))
        })
    }

    fn room_of(&self, path: &[String]) -> Option<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let is_from_root = match path.first()?.as_str() {
            "crate" | "hive_host" => return path.get(1).cloned(),
            "super" => ups == self.module.len(),
            _ => false,
        };
        if is_from_root {
            path.get(ups).cloned()
        } else {
            None
        }
    }

    /// Every path of two parts and more, with groups in braces written out, and single names
    /// after `use`.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            let after_use = at > 0 && self.words[at - 1] == "use";
            let starts_path = is_name(&self.words[at]) && self.word(at + 1) == "::";
            if after_use || starts_path {
                // A step at least: `use<'a>` is a bound, and no path follows it.
                at = self.read_path(at, &[], &mut found).max(at + 1);
            } else {
                at += 1;
            }
        }
        found
    }

    /// Reads the path or group at `at`, adds it to `found`, and gives the place after it.
    fn read_path(&self, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
        let mut path = prefix.to_vec();
        loop {
            let word = self.word(at);
            if word == "{" {
                return self.read_group(at + 1, &path, found);
            }
            if word == "::" {
                at += 1;
                continue;
            }
            if !is_name(word) {
                break;
            }
            path.push(word.to_owned());
            at += 1;
            if self.word(at) != "::" {
                break;
            }
        }
        found.push(path);
        at
    }

    fn read_group(&self, mut at: usize, path: &[String], found: &mut Vec<Vec<String>>) -> usize {
        while at < self.words.len() {
            match self.word(at) {
                "}" => return at + 1,
                word if is_name(word) || word == "{" || word == "::" => {
                    at = self.read_path(at, path, found);
                }
                _ => at += 1,
            }
        }
        at
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// `amqp/consumer.rs` is `amqp::consumer`, `amqp.rs` and `amqp/mod.rs` are `amqp`.
fn module_path(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Cuts off the module of unit tests at the end, which may use every room.
fn without_tests(mut words: Vec<String>) -> Vec<String> {
    let start = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let is_start = |window: &[String]| window.iter().zip(start).all(|(word, other)| word == other);
    if let Some(end) = words.windows(start.len()).position(is_start) {
        words.truncate(end);
    }
    words
}

/// Splits a source into names, `::` and single signs.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match literal_or_comment(rest) {
            Some(length) => length,
            None if is_name(rest) => {
                let name = name_length(rest);
                words.push(rest[..name].to_owned());
                name
            }
            None if rest.starts_with("::") => {
                words.push("::".to_owned());
                2
            }
            None => {
                if !first.is_whitespace() {
                    words.push(first.to_string());
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    words
}

fn name_length(text: &str) -> usize {
    text.find(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .unwrap_or(text.len())
}

/// The length of the comment, string or character that `text` begins with, if it begins with one.
fn literal_or_comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if text.starts_with('"') {
        return Some(string_length(text));
    }
    raw_string_length(text).or_else(|| character_length(text))
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let content = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = content
        .find(&end)
        .map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + close)
}

/// A quote is a character or a lifetime; of a lifetime only the quote is skipped.
fn character_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        let close = escape
            .char_indices()
            .skip(1)
            .find(|(_, sign)| *sign == '\'');
        return Some(close.map_or(text.len(), |(at, _)| at + 3));
    }
    let first = inner.chars().next()?.len_utf8();
    let is_character = inner[first..].starts_with('\'');
    Some(if is_character { first + 2 } else { 1 })
}
