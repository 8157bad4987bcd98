//! A container: what a component reads, lists and deletes in one place.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use hive_config::plan::{ContainerGrant, ObjectPlace};
use hive_lifecycle::Tasks;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::health::Health;
use super::upload::Upload;

/// The longest name of an object, in bytes: that of S3.
const LONGEST_NAME: usize = 1024;

/// How long the parts of an unfinished upload may take to be removed.
pub(crate) const ABORT_TIMEOUT: Duration = Duration::from_secs(20);

/// One place of a component. Clones are the same one.
#[derive(Clone)]
pub struct Container {
    name: Arc<str>,
    place: ObjectPlace,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) health: Arc<Health>,
    pub(crate) tasks: Tasks,
}

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// In bytes.
    pub size: u64,
    /// When it was written last.
    pub written: SystemTime,
}

/// An object, or a part of one, that is being read.
pub struct Download {
    size: u64,
    chunks: BoxStream<'static, Result<Bytes, Error>>,
    health: Arc<Health>,
}

/// The names of objects, as the store lists them.
pub struct Names {
    names: BoxStream<'static, Result<ObjectMeta, Error>>,
    health: Arc<Health>,
}

impl Container {
    pub(crate) fn new(
        component: &Arc<str>,
        grant: &ContainerGrant,
        store: Arc<dyn ObjectStore>,
        tasks: &Tasks,
    ) -> Self {
        let ContainerGrant { container, place } = grant;
        Self {
            name: Arc::clone(container),
            place: place.clone(),
            store,
            health: Arc::new(Health::new(component, container, place)),
            tasks: tasks.clone(),
        }
    }

    /// The name that the component knows.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The bytes from `first` to `last`, both included, as far as there are such; the last may lie beyond the end.
    pub async fn get(
        &self,
        name: &str,
        first: u64,
        last: u64,
        until: Instant,
    ) -> Result<Download, Fault> {
        let path = path(name)?;
        if first > last {
            return Err(Fault::Invalid(format!(
                "it asks for bytes {first} to {last}: the end is before the start"
            )));
        }
        let range = match (first, last) {
            // No range at all: an object that is empty has none.
            (0, u64::MAX) => None,
            (first, u64::MAX) => Some(GetRange::Offset(first)),
            (first, last) => Some(GetRange::Bounded(first..last + 1)),
        };
        let options = GetOptions::new().with_range(range);
        let found = self.ask(until, self.store.get_opts(&path, options)).await?;
        Ok(Download {
            size: found.range.end - found.range.start,
            chunks: found.into_stream(),
            health: Arc::clone(&self.health),
        })
    }

    /// What is known of an object.
    pub async fn info(&self, name: &str, until: Instant) -> Result<Info, Fault> {
        let path = path(name)?;
        let found = self.ask(until, self.store.head(&path)).await?;
        Ok(Info {
            size: found.size,
            written: found.last_modified.into(),
        })
    }

    /// The names of all objects.
    pub fn list(&self) -> Names {
        Names {
            names: self.store.list(None),
            health: Arc::clone(&self.health),
        }
    }

    /// Deletes objects; one that is not there is no error.
    pub async fn delete(&self, names: &[String], until: Instant) -> Result<(), Fault> {
        let paths: Result<Vec<_>, _> = names.iter().map(|name| path(name)).collect();
        let paths = stream::iter(paths?.into_iter().map(Ok)).boxed();
        self.ask(until, delete_all(&*self.store, paths)).await
    }

    /// Deletes every object.
    pub async fn clear(&self, until: Instant) -> Result<(), Fault> {
        let paths = self.store.list(None).map_ok(|found| found.location);
        self.ask(until, delete_all(&*self.store, paths.boxed()))
            .await
    }

    /// Copies an object to a name in `target`, and replaces what is there.
    pub async fn copy(
        &self,
        name: &str,
        target: &Self,
        to: &str,
        until: Instant,
    ) -> Result<(), Fault> {
        let (from, to_path) = (path(name)?, path(to)?);
        if self.place == target.place {
            return self.ask(until, self.store.copy(&from, &to_path)).await;
        }
        let mut download = self.get(name, 0, u64::MAX, until).await?;
        let mut upload = Upload::new();
        upload.goes_to(target, to)?;
        while let Some(mut chunk) = download.next(until).await? {
            while !chunk.is_empty() {
                let room = upload.room().min(chunk.len());
                upload.write(&chunk.split_to(room))?;
                if upload.room() == 0 && timeout_at(until, upload.ready()).await.is_err() {
                    return target.health.noted(Err(too_slow()));
                }
            }
        }
        upload.finish(until).await
    }

    /// Writes a small object in one request.
    pub(crate) async fn put(
        &self,
        path: &Path,
        payload: PutPayload,
        until: Instant,
    ) -> Result<(), Fault> {
        let put = async {
            let done = self.store.put(path, payload).await;
            done.map(drop).map_err(Fault::of_a_write)
        };
        self.health.noted(by(until, put).await)
    }

    async fn ask<T>(
        &self,
        until: Instant,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        let asking = async { asking.await.map_err(Fault::from) };
        self.health.noted(by(until, asking).await)
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Container({:?}, {})", self.name, self.place)
    }
}

impl Download {
    /// The number of its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self, until: Instant) -> Result<Option<Bytes>, Fault> {
        let next = async { self.chunks.try_next().await.map_err(Fault::from) };
        let next = by(until, next).await;
        self.health.noted(next)
    }
}

impl Names {
    /// The next name; `None` at the end.
    pub async fn next(&mut self, until: Instant) -> Result<Option<String>, Fault> {
        let next = async { self.names.try_next().await.map_err(Fault::from) };
        let next = self.health.noted(by(until, next).await)?;
        Ok(next.map(|found| found.location.into()))
    }
}

/// The result, or that it took too long.
pub(crate) async fn by<T>(
    until: Instant,
    asking: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout_at(until, asking).await {
        Ok(ended) => ended,
        Err(_) => Err(too_slow()),
    }
}

pub(crate) fn too_slow() -> Fault {
    Fault::Unavailable("it did not answer before the end of the component's `timeout`".to_owned())
}

/// One that is gone already is deleted.
async fn delete_all(
    store: &dyn ObjectStore,
    paths: BoxStream<'static, Result<Path, Error>>,
) -> Result<(), Error> {
    let mut deleted = store.delete_stream(paths);
    while let Some(one) = deleted.next().await {
        match one {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A name as a store takes it: parts that are not empty, with `/` between them.
pub(crate) fn path(name: &str) -> Result<Path, Fault> {
    let invalid = |why: &dyn fmt::Display| {
        Fault::Invalid(format!("{name:.80?} is not the name of an object: {why}"))
    };
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(invalid(&format_args!(
            "a name has 1 to {LONGEST_NAME} bytes, and this one {}",
            name.len()
        )));
    }
    if name.starts_with('/') || name.ends_with('/') {
        return Err(invalid(&"it begins or ends with `/`"));
    }
    Path::parse(name).map_err(|error| invalid(&error))
}
