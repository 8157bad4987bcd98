//! Which files are sources, and which of them changed.
//!
//! They are checked several times a second, and read if their date changed: this needs no notices, and a build
//! that writes a file again with the same content changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hive_config::files;
use hive_lifecycle::Tasks;
use tokio::time::sleep;

/// How often the files are looked at, and how long they have to be left alone.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Folders of what is made from sources, or fetched.
const MADE: [&str; 5] = ["target", "build", "node_modules", "__pycache__", "venv"];

/// Ends of names of files that hold what was made.
const MADE_FILES: [&str; 2] = ["wasm", "db"];

/// What builds and package managers write beside the sources: the versions that were chosen.
const LOCKS: [&str; 8] = [
    "Cargo.lock",
    "go.sum",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "poetry.lock",
    "uv.lock",
];

/// What package managers leave of an install in `node_modules`: npm, pnpm, yarn.
const INSTALLED: [&str; 4] = [
    ".package-lock.json",
    ".modules.yaml",
    ".yarn-integrity",
    ".yarn-state.yml",
];

/// Folders of Python's virtual environments.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// Sources as they were seen last.
pub(in crate::cli) struct Sources {
    roots: Arc<Roots>,
    seen: Looks,
    look_every: Duration,
}

struct Roots {
    folders: Vec<PathBuf>,
    /// The components' own files.
    made: Vec<PathBuf>,
}

type Looks = BTreeMap<PathBuf, Look>;

/// A file as it looked once.
#[derive(Debug, Clone, Copy)]
struct Look {
    changed: Option<SystemTime>,
    length: u64,
    content: u64,
}

impl PartialEq for Look {
    fn eq(&self, other: &Self) -> bool {
        (self.length, self.content) == (other.length, other.content)
    }
}

impl Sources {
    /// The files in `folders` and below, without build products.
    pub(in crate::cli) fn new(folders: Vec<PathBuf>, made: Vec<PathBuf>) -> Self {
        Self {
            roots: Arc::new(Roots { folders, made }),
            seen: Looks::new(),
            look_every: LOOK_EVERY,
        }
    }

    /// Records their current state.
    pub(in crate::cli) async fn look(&mut self, tasks: &Tasks) {
        self.seen = self.looked(self.seen.clone(), tasks).await;
    }

    /// Records the lock files after a build, which may have written them: that is no reason for another one.
    pub(in crate::cli) async fn built(&mut self, tasks: &Tasks) {
        let looked = self.looked(self.seen.clone(), tasks).await;
        let locks = looked.into_iter().filter(|(path, _)| is_lock(path));
        self.seen.extend(locks);
    }

    /// Resolves when some are other ones than when they were last looked at, and have been left alone
    /// for a moment; gives those.
    pub(in crate::cli) async fn changed(&mut self, tasks: &Tasks) -> Vec<PathBuf> {
        let mut last = self.seen.clone();
        loop {
            sleep(self.look_every).await;
            let now = self.looked(last.clone(), tasks).await;
            let is_settled = now == last;
            last = now;
            if is_settled && last != self.seen {
                let before = std::mem::replace(&mut self.seen, last);
                return differing(&before, &self.seen);
            }
        }
    }

    async fn looked(&self, before: Looks, tasks: &Tasks) -> Looks {
        let roots = Arc::clone(&self.roots);
        let looked = tasks.spawn_blocking(move || {
            let mut looks = Looks::new();
            for folder in &roots.folders {
                walk(folder, &roots, &before, &mut looks);
            }
            looks
        });
        looked.await.unwrap_or_default()
    }
}

fn is_lock(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| LOCKS.iter().any(|lock| name == *lock))
}

fn walk(folder: &Path, roots: &Roots, before: &Looks, looks: &mut Looks) {
    // A folder that is gone has no sources.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_made = roots.made.contains(&path)
            || path
                .extension()
                .is_some_and(|end| MADE_FILES.iter().any(|made| end == *made));
        if name == "node_modules" {
            looks.extend(installed_modules(&path, before));
        } else if ENVIRONMENTS.contains(&&*name) {
            looks.extend(installed_packages(&path));
        }
        if name.starts_with('.') || is_made {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if !MADE.contains(&&*name) {
                    walk(&path, roots, before, looks);
                }
            }
            Ok(_) => {
                if let Some(look) = look(&path, before.get(&path)) {
                    looks.insert(path, look);
                }
            }
            Err(_) => {}
        }
    }
}

/// What an install of packages has left in `node_modules`. The packages themselves are too many to look at.
fn installed_modules(modules: &Path, before: &Looks) -> Vec<(PathBuf, Look)> {
    let files = INSTALLED.map(|name| modules.join(name)).into_iter();
    files
        .filter_map(|file| look(&file, before.get(&file)).map(|look| (file, look)))
        .collect()
}

/// The packages of a virtual environment of Python, by the names of their folders, which have the versions.
fn installed_packages(environment: &Path) -> Vec<(PathBuf, Look)> {
    let names = |folder: &Path| -> Vec<OsString> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut names: Vec<_> = entries.flatten().map(|one| one.file_name()).collect();
        names.sort();
        names
    };
    let library = environment.join("lib");
    let versions = names(&library).into_iter();
    versions
        .map(|version| library.join(version).join("site-packages"))
        .filter(|packages| packages.is_dir())
        .map(|packages| {
            let names = names(&packages);
            let look = Look {
                changed: None,
                length: names.len() as u64,
                content: hash(&names),
            };
            (packages, look)
        })
        .collect()
}

fn look(path: &Path, before: Option<&Look>) -> Option<Look> {
    let metadata = std::fs::metadata(path)
        .ok()
        .filter(|found| found.is_file())?;
    let (changed, length) = (metadata.modified().ok(), metadata.len());
    match before {
        Some(before) if before.changed == changed && before.length == length => Some(*before),
        _ => Some(Look {
            changed,
            length,
            content: hash(&files::read(path).ok()?),
        }),
    }
}

fn hash(content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// The files that are in one alone, or other ones.
fn differing(before: &Looks, after: &Looks) -> Vec<PathBuf> {
    let new = after
        .iter()
        .filter(|(path, look)| before.get(*path) != Some(*look));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    new.map(|(path, _)| path).chain(gone).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_source_that_changed_is_told_and_what_was_made_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        };
        for name in [
            "src/lib.rs",
            "hive.toml",
            "target/x.rs",
            ".git/index",
            "made.wasm",
            "out.bin",
        ] {
            write(name, "one");
        }
        let tasks = Tasks::new();
        let mut sources = Sources::new(vec![folder.path().to_owned()], vec![at("out.bin")]);
        sources.look_every = Duration::from_millis(20);
        sources.look(&tasks).await;
        let seen: Vec<&PathBuf> = sources.seen.keys().collect();
        assert_eq!(seen, [&at("hive.toml"), &at("src/lib.rs")]);
        for name in ["target/x.rs", ".git/index", "made.wasm", "out.bin"] {
            write(name, "another");
        }
        write("hive.toml", "one");
        write("src/lib.rs", "two");
        write("src/more.rs", "new");
        let changed = sources.changed(&tasks).await;
        assert_eq!(changed, [at("src/lib.rs"), at("src/more.rs")]);
        std::fs::remove_file(at("src/more.rs")).unwrap();
        assert_eq!(sources.changed(&tasks).await, [at("src/more.rs")]);
        let lock = "node_modules/.package-lock.json";
        write("node_modules/dayjs/index.js", "code");
        write(lock, "one");
        assert_eq!(sources.changed(&tasks).await, [at(lock)]);
        write(
            ".venv/lib/python3.13/site-packages/humanize-4.13.dist-info/METADATA",
            "",
        );
        let packages = at(".venv/lib/python3.13/site-packages");
        assert_eq!(sources.changed(&tasks).await, [packages]);
    }

    #[tokio::test]
    async fn a_lock_file_that_a_build_writes_is_no_change_and_one_that_somebody_writes_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let tasks = Tasks::new();
        let mut sources = Sources::new(vec![folder.path().to_owned()], Vec::new());
        sources.look_every = Duration::from_millis(20);
        sources.look(&tasks).await;
        // The build writes one, and somebody a source meanwhile.
        std::fs::write(at("Cargo.lock"), "one").unwrap();
        std::fs::write(at("lib.rs"), "new").unwrap();
        sources.built(&tasks).await;
        assert_eq!(sources.changed(&tasks).await, [at("lib.rs")]);
        std::fs::write(at("Cargo.lock"), "updated").unwrap();
        assert_eq!(sources.changed(&tasks).await, [at("Cargo.lock")]);
    }
}
