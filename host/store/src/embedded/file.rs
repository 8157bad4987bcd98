//! The file itself: opened or made, read, written, closed.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hive_telemetry::Fact;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageError};

use super::super::operation::{Answer, Write};
use super::super::rows::carry_out;
use super::super::{Clock, Namespace, Page, StoreFault};
use super::failed;
use super::tables::{self, Tables};

/// Pages of the file that are kept in memory.
const CACHE: usize = 64 << 20;

/// The file of a store, held against other processes while it is open.
pub(super) struct StoreFile {
    path: PathBuf,
    clock: Clock,
    held: Mutex<Held>,
}

enum Held {
    Open(Arc<Database>),
    /// After a disk error it refuses everything; it is opened again when it is needed next.
    Failed,
    Closed,
}

impl StoreFile {
    /// Opens the file, or makes it.
    pub(super) fn open(path: PathBuf, clock: Clock) -> Result<Self, StoreFault> {
        let database = open(&path)?;
        Ok(Self {
            path,
            clock,
            held: Mutex::new(Held::Open(Arc::new(database))),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go of the file; what was answered is in it.
    pub(super) fn close(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Held::Closed;
    }

    pub(super) fn read(
        &self,
        namespace: &Namespace,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreFault> {
        let now = self.clock.now();
        self.with(|database| {
            let rows = tables::Reading::begin(database)?;
            let value = |key: &Vec<u8>| {
                let entry = rows.entry(&namespace.name, key)?;
                Ok(entry
                    .filter(|entry| !entry.has_ended(now))
                    .map(|entry| entry.value))
            };
            keys.iter().map(value).collect()
        })
    }

    pub(super) fn keys(
        &self,
        namespace: &Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Result<Page, StoreFault> {
        let now = self.clock.now();
        self.with(|database| {
            let rows = tables::Reading::begin(database)?;
            rows.page(&namespace.name, behind, most, now)
        })
    }

    pub(super) fn size(&self, namespace: &Namespace) -> Result<u64, StoreFault> {
        self.with(|database| tables::Reading::begin(database)?.size(&namespace.name))
    }

    /// Carries out the writes of all in one transaction. What changes nothing costs no wait for the
    /// disk.
    pub(super) fn write(
        &self,
        asked: Vec<(Namespace, Vec<Write>)>,
    ) -> Result<Vec<Vec<Answer>>, StoreFault> {
        let now = self.clock.now();
        self.with(|database| {
            let transaction = database.begin_write()?;
            let mut answers = Vec::new();
            let changed = {
                let mut tables = Tables::open(&transaction)?;
                for (namespace, writes) in asked {
                    let answer = |write| carry_out(&mut tables, &namespace, write, now);
                    let written: Result<Vec<_>, _> = writes.into_iter().map(answer).collect();
                    answers.push(written?);
                }
                tables.changed
            };
            match changed {
                true => transaction.commit()?,
                false => transaction.abort()?,
            }
            Ok(answers)
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreFault> {
        let database = self.database()?;
        work(&database).map_err(|error| {
            if is_the_disk(&error) {
                self.give_up(&database);
            }
            failed(error)
        })
    }

    fn database(&self) -> Result<Arc<Database>, StoreFault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Held::Open(database) => Ok(Arc::clone(database)),
            Held::Closed => Err(StoreFault::Closed),
            Held::Failed => {
                let database = Arc::new(open(&self.path)?);
                *held = Held::Open(Arc::clone(&database));
                let path = &self.path.display();
                Fact::StoreFileOpenAgain { path }.emit();
                Ok(database)
            }
        }
    }

    /// Unless another call has opened it again meanwhile.
    fn give_up(&self, database: &Arc<Database>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*held, Held::Open(open) if Arc::ptr_eq(open, database)) {
            *held = Held::Failed;
        }
    }
}

/// After such an error the database refuses everything until it is opened again.
fn is_the_disk(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
    )
}

fn open(path: &Path) -> Result<Database, StoreFault> {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => make(path)?,
        Err(error) => return Err(cannot_open(path, error)),
    }
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| cannot_open(path, error))?;
    if file.metadata().is_ok_and(|file| !file.is_file()) {
        return Err(not_a_store(path, "it is not a regular file"));
    }
    if file.metadata().is_ok_and(|file| file.len() == 0) {
        return Err(not_a_store(path, "it is empty"));
    }
    let database = begin(path, file)?;
    tables::check(&database).map_err(|why| not_a_store(path, why))?;
    Ok(database)
}

/// Makes a store under another name first: a file of this name is a whole one at any instant, and of
/// two hosts that make it at once, one finds the other's.
fn make(path: &Path) -> Result<(), StoreFault> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let made = private(&fresh)
        .map_err(|error| cannot_open(path, error))
        .and_then(|file| {
            let database = begin(path, file)?;
            tables::lay_out(&database).map_err(|error| cannot_open(path, error))
        })
        .and_then(|()| publish(&fresh, path).map_err(|error| cannot_open(path, error)));
    let removed = std::fs::remove_file(&fresh);
    made?;
    removed.map_err(|error| cannot_open(path, error))
}

/// For this user alone: components may keep anything in it.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}

/// Gives the file its final name; an existing file of that name stays.
fn publish(fresh: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(fresh, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn begin(path: &Path, file: File) -> Result<Database, StoreFault> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    let backend = FileBackend::new(file);
    let database = backend.and_then(|backend| builder.create_with_backend(backend));
    database.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreFault::Held {
            path: path.to_owned(),
        },
        DatabaseError::UpgradeRequired(version) => {
            not_a_store(path, format!("its format is {version}, an older one"))
        }
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            not_a_store(path, "it is another kind of file")
        }
        DatabaseError::Storage(StorageError::Corrupted(why)) => {
            not_a_store(path, format!("it is damaged: {why}"))
        }
        error => cannot_open(path, error),
    })
}

fn cannot_open(path: &Path, error: impl std::fmt::Display) -> StoreFault {
    StoreFault::CannotOpen {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

fn not_a_store(path: &Path, why: impl Into<String>) -> StoreFault {
    StoreFault::NotAStore {
        path: path.to_owned(),
        why: why.into(),
    }
}
