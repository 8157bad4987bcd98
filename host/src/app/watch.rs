//! Files of components that are swapped when they change (`watch = true`).
//!
//! The system's notices only wake this up; what counts is how the file looks then, and it is looked
//! at every second besides. So it does not matter whether a file was written in place, renamed over
//! or reached through a symlink that was changed, on whatever file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::ComponentPlan;
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::control::{Control, Refusal};

/// A file that has not changed for this long counts as written completely.
const UNCHANGED_WHEN_WRITTEN: Duration = Duration::from_millis(200);

/// How often files are looked at without a notice.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest chain of symlinks that Linux follows (path_resolution(7)).
const LONGEST_CHAIN: usize = 40;

/// Path by component.
type Paths = BTreeMap<Arc<str>, PathBuf>;

/// Sets which files are watched.
pub(super) struct Files(watch::Sender<Paths>);

/// A file as it looked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// The state of one file.
struct Seen {
    path: PathBuf,
    /// How it looked when it was last taken; none before the first time.
    taken: Option<Look>,
    /// Its new look, and since when, if it changed.
    pending: Option<(Look, Instant)>,
    /// Whether it was logged that it has to wait.
    is_put_off: bool,
}

impl From<Metadata> for Look {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Seen {
    /// Notes how the file looks. True once it looks another way than when it was taken, and has been
    /// left alone for a while.
    fn is_to_be_taken(&mut self, look: Option<Look>, now: Instant) -> bool {
        let Some(look) = look.filter(|look| self.taken != Some(*look)) else {
            self.pending = None;
            return false;
        };
        match self.pending {
            Some((pending, since)) if pending == look => {
                let settled = now - since >= UNCHANGED_WHEN_WRITTEN;
                if settled {
                    self.taken = Some(look);
                    self.pending = None;
                }
                settled
            }
            _ => {
                self.pending = Some((look, now));
                false
            }
        }
    }
}

/// Swaps to one file that changed.
async fn take(component: &Arc<str>, file: &mut Seen, before: Option<Look>, control: &Control) {
    match control.file_changed(component).await {
        Err(Refusal::Conflict(_)) => {
            // It is asked for again, until it is taken.
            file.taken = before;
            if !file.is_put_off {
                file.is_put_off = true;
                Fact::SwapPostponed {
                    component,
                    path: &file.path.display(),
                }
                .emit();
            }
        }
        // The refusal was logged, and trying again would change nothing.
        Ok(_) | Err(_) => file.is_put_off = false,
    }
}

impl Files {
    /// Starts to watch, at first no file; `control` gets the changes.
    pub(super) fn start(control: Control, tasks: &Tasks) -> Self {
        let (files, wanted) = watch::channel(Paths::new());
        let drain = tasks.drain().clone();
        tasks.spawn_service(async move {
            tokio::select! {
                () = drain.cancelled() => {}
                () = keep_watch(wanted, control) => {}
            }
        });
        Self(files)
    }

    /// Watches the files of those components that are to be watched, and no others.
    pub(super) fn watch<'a>(&self, components: impl Iterator<Item = &'a ComponentPlan>) {
        let watched = components.filter(|component| component.watch);
        let paths = watched
            .map(|component| (component.name.clone(), component.path.clone()))
            .collect();
        self.0.send_replace(paths);
    }
}

async fn keep_watch(mut wanted: watch::Receiver<Paths>, control: Control) {
    let mut seen: BTreeMap<Arc<str>, Seen> = BTreeMap::new();
    let stirred = Arc::new(Notify::new());
    let mut notices = Notices::new(&stirred);
    loop {
        take_up(&mut seen, &wanted.borrow_and_update());
        if seen.is_empty() {
            notices.listen(BTreeSet::new());
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        // Before looking, so that nothing changes unseen in between.
        notices.listen(seen.values().flat_map(|one| folders(&one.path)).collect());
        let mut next = Instant::now() + LOOK_EVERY;
        for (component, file) in &mut seen {
            let look = tokio::fs::metadata(&file.path).await.ok().map(Look::from);
            let before = file.taken;
            if file.is_to_be_taken(look, Instant::now()) {
                take(component, file, before, &control).await;
            }
            if let Some((_, since)) = file.pending {
                next = next.min(since + UNCHANGED_WHEN_WRITTEN);
            }
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = stirred.notified() => {}
            changed = wanted.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

fn take_up(seen: &mut BTreeMap<Arc<str>, Seen>, wanted: &Paths) {
    seen.retain(|name, file| wanted.get(name) == Some(&file.path));
    for (name, path) in wanted {
        seen.entry(name.clone()).or_insert_with(|| Seen {
            path: path.clone(),
            taken: None,
            pending: None,
            is_put_off: false,
        });
    }
}

/// The folders in which a change can make `path` another file: its own, and those of every symlink
/// on the way.
fn folders(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        folders.push(folder.clone());
        match std::fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => break,
        }
    }
    folders
}

/// The system's notices of what happens in some folders.
struct Notices {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Notices {
    fn new(stirred: &Arc<Notify>) -> Self {
        let stirred = Arc::clone(stirred);
        let watcher = notify::recommended_watcher(move |_| stirred.notify_one());
        if let Err(error) = &watcher {
            Fact::WatchUnavailable { error }.emit();
        }
        Self {
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
        }
    }

    fn listen(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for gone in self.folders.difference(&folders) {
            if let Err(error) = watcher.unwatch(gone) {
                tracing::trace!(%error, "a folder was gone before");
            }
        }
        for new in folders.difference(&self.folders) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %new.display(), "the system sends no notices about this folder");
            }
        }
        self.folders = folders;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(length: u64) -> Option<Look> {
        Some(Look {
            device: 1,
            inode: 1,
            length,
            changed: (0, 0),
        })
    }

    #[test]
    fn a_file_that_still_grows_is_not_taken() {
        let mut file = Seen {
            path: PathBuf::new(),
            taken: look(10),
            pending: None,
            is_put_off: false,
        };
        let start = Instant::now();
        let at = |steps: u32| start + UNCHANGED_WHEN_WRITTEN / 2 * steps;
        assert!(!file.is_to_be_taken(look(10), at(0)));
        assert!(!file.is_to_be_taken(look(20), at(1)));
        assert!(!file.is_to_be_taken(look(30), at(2)));
        assert!(!file.is_to_be_taken(look(30), at(3)));
        assert!(file.is_to_be_taken(look(30), at(4)));
        assert!(!file.is_to_be_taken(look(30), at(9)));
    }

    #[test]
    fn a_file_that_is_not_there_is_waited_for() {
        let mut file = Seen {
            path: PathBuf::new(),
            taken: look(10),
            pending: None,
            is_put_off: false,
        };
        let start = Instant::now();
        assert!(!file.is_to_be_taken(None, start));
        assert!(!file.is_to_be_taken(look(11), start));
        assert!(!file.is_to_be_taken(None, start + UNCHANGED_WHEN_WRITTEN));
        assert!(!file.is_to_be_taken(look(11), start + UNCHANGED_WHEN_WRITTEN));
        assert!(file.is_to_be_taken(look(11), start + 2 * UNCHANGED_WHEN_WRITTEN));
    }
}
