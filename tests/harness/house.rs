//! Who may know whom: the rules of the crates of `host/` and of their rooms, as a check over manifests and sources.
//!
//! Between crates the compiler keeps them, and `crates` says which crate may depend on which. Between
//! the rooms of one crate the paths that a file names are read here.

mod circles;
mod crates;
pub mod documents;
mod paths;
mod scenarios;
mod sentences;

use std::fmt;
use std::path::{Path, PathBuf};

pub use self::circles::check_circles;
pub use self::crates::{Manifest, check_manifest, check_tree, manifests, names};
use self::paths::Source;
pub use self::scenarios::{Listed, Scenarios, declared, listed};
pub use self::sentences::{check_lines, check_sentences, sentences};

/// A library that only some rooms may name. A name stands for its family too: `axum` is
/// `axum_core` as well.
/// Other crates of the host count as libraries here.
struct Library {
    rule: u8,
    name: &'static str,
    rooms: &'static [&'static str],
}

const LIBRARIES: [Library; 11] = [
    Library {
        rule: 3,
        name: "base64",
        rooms: &["json"],
    },
    Library {
        rule: 3,
        name: "axum",
        rooms: &["admin"],
    },
    Library {
        rule: 3,
        name: "tower",
        rooms: &["admin"],
    },
    Library {
        rule: 3,
        name: "hive_broker",
        rooms: &["cli"],
    },
    Library {
        rule: 3,
        name: "hive_demo",
        rooms: &["cli"],
    },
    Library {
        rule: 4,
        name: "hive_amqp",
        rooms: &[
            "app",
            "cli",
            "client",
            "dead",
            "pipeline",
            "schedules",
            "topology",
        ],
    },
    Library {
        rule: 4,
        name: "hive_http",
        rooms: &["app"],
    },
    Library {
        rule: 4,
        name: "hive_otlp",
        rooms: &["app", "pipeline"],
    },
    Library {
        rule: 4,
        name: "hive_sandbox",
        rooms: &["app", "cli", "pipeline"],
    },
    Library {
        rule: 3,
        name: "hive_screen",
        rooms: &["cli"],
    },
    Library {
        rule: 4,
        name: "hive_store",
        rooms: &["app", "cli", "ledger", "pipeline"],
    },
];

/// A room that none but these may import.
struct Private {
    rule: u8,
    room: &'static str,
    importers: &'static [&'static str],
}

const PRIVATE: [Private; 2] = [
    Private {
        rule: 1,
        room: "app",
        importers: &["cli"],
    },
    Private {
        rule: 1,
        room: "cli",
        importers: &["main", "failpoints_main"],
    },
];

/// A room, and what it may never import.
struct Stranger {
    rule: u8,
    room: &'static str,
    never: &'static [&'static str],
}

// Those of rule 8 are the wings of `hive-amqp`, then those of `hive-sandbox`, each from the bottom.
const STRANGERS: [Stranger; 16] = [
    Stranger {
        rule: 2,
        room: "message_key",
        never: &["policy"],
    },
    Stranger {
        rule: 4,
        room: "dead",
        never: &["ledger", "pipeline"],
    },
    Stranger {
        rule: 6,
        room: "admin",
        never: &["pipeline", "ledger"],
    },
    Stranger {
        rule: 8,
        room: "message",
        never: &[
            "wire", "session", "topology", "link", "consume", "publish", "browse",
        ],
    },
    Stranger {
        rule: 8,
        room: "wire",
        never: &[
            "session", "topology", "link", "consume", "publish", "browse",
        ],
    },
    Stranger {
        rule: 8,
        room: "session",
        never: &["topology", "link", "consume", "publish", "browse"],
    },
    Stranger {
        rule: 8,
        room: "topology",
        never: &["link", "consume", "publish", "browse"],
    },
    Stranger {
        rule: 8,
        room: "link",
        never: &["consume", "publish", "browse"],
    },
    Stranger {
        rule: 8,
        room: "consume",
        never: &["publish", "browse"],
    },
    Stranger {
        rule: 8,
        room: "publish",
        never: &["consume", "browse"],
    },
    Stranger {
        rule: 8,
        room: "browse",
        never: &["publish"],
    },
    Stranger {
        rule: 8,
        room: "component",
        never: &["capability", "instance", "pool", "swap", "engine"],
    },
    Stranger {
        rule: 8,
        room: "capability",
        never: &["component", "instance", "pool", "swap", "engine"],
    },
    Stranger {
        rule: 8,
        room: "instance",
        never: &["pool", "swap", "engine"],
    },
    Stranger {
        rule: 8,
        room: "pool",
        never: &["swap", "engine"],
    },
    Stranger {
        rule: 8,
        room: "swap",
        never: &["engine"],
    },
];

/// Files that know no library at all.
const PURE: [&str; 4] = [
    "message.rs",
    "policy.rs",
    "policy/consequences.rs",
    "policy/consumer.rs",
];

/// Where serde's derives may stand: files, or folders of them.
const DERIVES: [&str; 2] = ["admin", "token"];

/// Locks have no place in the room that serves operators.
const LOCKS: [&str; 3] = ["Mutex", "RwLock", "Semaphore"];

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule's number in ARCHITECTURE.md; none for the rule that a file says what it is for.
    pub rule: Option<u8>,
    /// The file, from its crate's `src`, or the manifest.
    pub file: PathBuf,
    /// What it does.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, what } = self;
        write!(f, "{} {what}", file.display())?;
        rule.map_or(Ok(()), |rule| write!(f, " (rule {rule})"))
    }
}

/// Checks one file of a crate's `src`; `libraries` are the crate's dependencies.
pub fn check(file: &Path, text: &str, libraries: &[String]) -> Vec<Breach> {
    let source = Source::read(file, text);
    let mut broken = Vec::new();
    let mut report = |rule: u8, what: String| {
        broken.push(Breach {
            rule: Some(rule),
            file: file.to_owned(),
            what,
        });
    };
    let room = source.room.as_str();
    let is_pure = PURE.iter().any(|pure| file == Path::new(pure));
    for library in source.libraries(libraries) {
        if is_pure {
            report(2, format!("names the library `{library}`"));
        }
        check_library(room, &library, &mut report);
    }
    for import in source.rooms() {
        check_import(room, &import, &mut report);
    }
    let may_derive = DERIVES
        .iter()
        .any(|place| file.starts_with(place) || file == Path::new(&format!("{place}.rs")));
    if !may_derive && source.derives(&["Serialize", "Deserialize"]) {
        report(5, "derives serde's traits".to_owned());
    }
    if room == "admin" {
        for lock in LOCKS.iter().filter(|lock| source.names(lock)) {
            report(6, format!("names `{lock}`"));
        }
    }
    broken
}

fn check_library(room: &str, library: &str, report: &mut impl FnMut(u8, String)) {
    for Library { rule, name, rooms } in LIBRARIES {
        let is_of_it = library == name || library.starts_with(&format!("{name}_"));
        if is_of_it && !rooms.contains(&room) {
            report(rule, format!("names the library `{library}`"));
        }
    }
}

fn check_import(room: &str, import: &str, report: &mut impl FnMut(u8, String)) {
    if room == import {
        return;
    }
    let mut broken = Vec::new();
    let private = PRIVATE
        .iter()
        .filter(|private| private.room == import && !private.importers.contains(&room));
    broken.extend(private.map(|private| private.rule));
    let strange = STRANGERS
        .iter()
        .filter(|stranger| stranger.room == room && stranger.never.contains(&import));
    broken.extend(strange.map(|stranger| stranger.rule));
    for rule in broken {
        report(rule, format!("imports the room `{import}`"));
    }
}

/// Checks that a file opens by saying what it is for.
pub fn check_opening(file: &Path, text: &str) -> Option<Breach> {
    if text.starts_with("//! ") {
        return None;
    }
    Some(Breach {
        rule: None,
        file: file.to_owned(),
        what: "does not open with `//!` and what it is for".to_owned(),
    })
}

#[cfg(test)]
mod tests;
