//! An object that is being written: it appears whole when it is finished, or not at all.
//!
//! A small one is one request. A larger one goes in parts while it is written, one part at a time, so that a slow store
//! slows the component and does not fill the host's memory. An upload that is dropped before its end, because a
//! component trapped, took too long or forgot it, has its parts removed.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::time::{Instant, timeout};

use super::container::{ABORT_TIMEOUT, Container, by, path};
use super::fault::Fault;

/// The bytes of one part, and of the largest object that goes in one request. Services take no smaller ones than
/// 5 MiB, and no more than 10,000 of them.
pub const PART: usize = 8 << 20;

/// The largest object that a component may write, in bytes.
pub const LARGEST_OBJECT: u64 = 16 << 30;

type Parts = Arc<Mutex<Option<Box<dyn MultipartUpload>>>>;

/// An object on its way. What it has in memory is at most two parts.
#[derive(Default)]
pub struct Upload {
    target: Option<(Container, Path)>,
    /// What the store has not been given yet.
    gathered: BytesMut,
    written: u64,
    /// Set from the first part on, until all are put together.
    parts: Option<Parts>,
    /// The part that the store is being given.
    going: Option<BoxFuture<'static, Result<(), Fault>>>,
    fault: Option<Fault>,
}

impl Upload {
    /// An upload to a place that is named later.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names its place. The first one counts.
    pub fn goes_to(&mut self, container: &Container, name: &str) -> Result<(), Fault> {
        if self.target.is_some() {
            return Err(Fault::Invalid(
                "it is being written to a container already".to_owned(),
            ));
        }
        self.target = Some((container.clone(), path(name)?));
        Ok(())
    }

    /// How many bytes it takes now. At 0, wait with [`Upload::ready`].
    pub fn room(&self) -> usize {
        PART - self.gathered.len()
    }

    /// Whether it is full and nobody has said where it goes, so that it will never take more.
    pub fn is_stuck(&self) -> bool {
        self.room() == 0 && self.target.is_none()
    }

    /// The container that it goes to; empty before it is named.
    pub fn container(&self) -> &str {
        let target = self.target.as_ref();
        target.map_or("", |(container, _)| &**container.name())
    }

    /// Why it cannot continue.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Takes bytes, at most [`Upload::room`] of them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.written += bytes.len() as u64;
        if self.written > LARGEST_OBJECT || bytes.len() > self.room() {
            let fault = Fault::Invalid(format!(
                "the object is larger than {LARGEST_OBJECT} bytes, or more was written than the stream takes at once"
            ));
            self.fault = Some(fault.clone());
            return Err(fault);
        }
        self.gathered.extend_from_slice(bytes);
        if self.room() == 0 && self.going.is_none() {
            self.send_part();
        }
        Ok(())
    }

    /// Waits until there is room, or a fault. Dropped in its wait, it has lost nothing.
    pub async fn ready(&mut self) {
        while self.room() == 0 && self.fault.is_none() {
            let Some(going) = &mut self.going else {
                match self.target {
                    Some(_) => self.send_part(),
                    None => return,
                }
                continue;
            };
            let ended = going.await;
            self.part_ended(ended);
        }
    }

    fn part_ended(&mut self, ended: Result<(), Fault>) {
        self.going = None;
        if let Some((container, _)) = &self.target {
            container.health.note(&ended);
        }
        if let Err(fault) = ended {
            self.fault = Some(fault);
        }
    }

    /// Begins to give the store what was gathered.
    fn send_part(&mut self) {
        let Some((container, path)) = &self.target else {
            return;
        };
        let payload = self.gathered.split().freeze();
        let parts = Arc::clone(self.parts.get_or_insert_default());
        let (store, path) = (Arc::clone(&container.store), path.clone());
        let sending = async move {
            if lock(&parts).is_none() {
                let begun = store.put_multipart(&path).await;
                *lock(&parts) = Some(begun.map_err(Fault::of_a_write)?);
            }
            put_part(&parts, payload).await
        };
        self.going = Some(sending.boxed());
    }

    /// Writes the rest. The object is there when this returns without a fault.
    pub async fn finish(&mut self, until: Instant) -> Result<(), Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let Some((container, path)) = self.target.clone() else {
            let why = "nothing says which object it is: `write-data` of a container names it before `finish`";
            return Err(Fault::Invalid(why.to_owned()));
        };
        if self.parts.is_none() {
            let payload = self.gathered.split().freeze();
            return container.put(&path, payload.into(), until).await;
        }
        let ended = by(until, self.put_together()).await;
        container.health.noted(ended)
    }

    async fn put_together(&mut self) -> Result<(), Fault> {
        if let Some(going) = &mut self.going {
            let ended = going.await;
            self.going = None;
            ended?;
        }
        if !self.gathered.is_empty() {
            self.send_part();
            if let Some(going) = &mut self.going {
                let ended = going.await;
                self.going = None;
                ended?;
            }
        }
        let parts = self.parts.clone().unwrap_or_default();
        let taken = lock(&parts).take();
        if let Some(mut upload) = taken
            && let Err(error) = upload.complete().await
        {
            // To be removed, like those of an upload that was forgotten.
            *lock(&parts) = Some(upload);
            return Err(Fault::of_a_write(error));
        }
        Ok(())
    }
}

async fn put_part(parts: &Parts, payload: Bytes) -> Result<(), Fault> {
    let put = lock(parts)
        .as_mut()
        .map(|upload| upload.put_part(PutPayload::from(payload)));
    match put {
        Some(put) => put.await.map_err(Fault::of_a_write),
        None => Ok(()),
    }
}

fn lock(parts: &Parts) -> std::sync::MutexGuard<'_, Option<Box<dyn MultipartUpload>>> {
    parts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.going = None;
        let unfinished = self.parts.take().and_then(|parts| lock(&parts).take());
        if let (Some(mut upload), Some((container, _))) = (unfinished, self.target.take()) {
            let health = Arc::clone(&container.health);
            container.tasks.spawn_service(async move {
                match timeout(ABORT_TIMEOUT, upload.abort()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => health.parts_left(&Fault::from(error)),
                    Err(_) => health.parts_left(&"the store did not answer"),
                }
            });
        }
    }
}
