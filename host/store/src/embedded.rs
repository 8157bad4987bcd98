//! A store in one file, which survives `kill -9` and a power cut.
//!
//! One thread writes. It takes all waiting writes into one transaction, so that many writers share one wait for
//! the disk; a write is answered once that is over. Reads see the answered writes, and never wait.

mod file;
mod tables;

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use tokio::sync::{mpsc, oneshot};

use self::file::StoreFile;
use super::{Answer, Clock, Namespace, Page, Promised, Store, StoreFault, Write};

/// The most waiting writes; a further one waits for room.
const WAITING: usize = 1024;

/// A store in one file.
pub struct Embedded {
    file: Arc<StoreFile>,
    jobs: mpsc::Sender<Job>,
    tasks: Tasks,
}

/// A job for the writing thread.
enum Job {
    Write(Request),
    Close(oneshot::Sender<()>),
}

/// Writes of one caller, and the way to answer it.
struct Request {
    namespace: Namespace,
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<Vec<Answer>, StoreFault>>,
}

impl Embedded {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// A file that another process has, that is something else, or that cannot be had.
    pub async fn open(path: &Path, clock: Clock, tasks: &Tasks) -> Result<Self, StoreFault> {
        let opening = {
            let path = path.to_owned();
            tasks.spawn_blocking(move || StoreFile::open(path, clock))
        };
        let file = opening.await.map_err(failed)??;
        let file = Arc::new(file);
        let (jobs, waiting) = mpsc::channel(WAITING);
        let writer = Arc::clone(&file);
        std::thread::Builder::new()
            .name("hive-store".into())
            .spawn(move || serve(&writer, waiting))
            .map_err(failed)?;
        Ok(Self {
            file,
            jobs,
            tasks: tasks.clone(),
        })
    }

    /// Runs a computation over the file where it may wait for the disk.
    async fn aside<T: Send + 'static>(
        &self,
        computation: impl FnOnce(&StoreFile) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let file = Arc::clone(&self.file);
        let computing = self.tasks.spawn_blocking(move || computation(&file));
        computing.await.map_err(failed)?
    }
}

impl Store for Embedded {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        let namespace = namespace.clone();
        self.aside(move |file| file.read(&namespace, &keys)).boxed()
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        async move {
            let (answer, answered) = oneshot::channel();
            let job = Job::Write(Request {
                namespace: namespace.clone(),
                writes,
                answer,
            });
            let sent = self.jobs.send(job).await;
            sent.map_err(|_| StoreFault::Closed)?;
            answered.await.map_err(|_| StoreFault::Closed)?
        }
        .boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        let namespace = namespace.clone();
        self.aside(move |file| file.keys(&namespace, behind, most))
            .boxed()
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        let namespace = namespace.clone();
        self.aside(move |file| file.size(&namespace)).boxed()
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let (closed, closing) = oneshot::channel();
            // If nobody takes the job, the file is closed already.
            if self.jobs.send(Job::Close(closed)).await.is_ok() {
                closing.await.unwrap_or_default();
            }
        }
        .boxed()
    }
}

/// Writes until it must close, or until the last sender is gone.
fn serve(file: &StoreFile, mut waiting: mpsc::Receiver<Job>) {
    let mut gathered = Vec::new();
    while waiting.blocking_recv_many(&mut gathered, WAITING) > 0 {
        let mut requests = Vec::new();
        for job in gathered.drain(..) {
            match job {
                Job::Write(request) => requests.push(request),
                Job::Close(closed) => {
                    commit(file, requests);
                    file.close();
                    // The caller may be gone.
                    closed.send(()).unwrap_or_default();
                    return;
                }
            }
        }
        commit(file, requests);
    }
}

/// Carries out the writes of all requests and answers each, once they are on the disk.
fn commit(file: &StoreFile, requests: Vec<Request>) {
    let mut asked = Vec::new();
    let mut answers = Vec::new();
    for request in requests {
        // Its delivery has been given up, so the write is better not done.
        if !request.answer.is_closed() {
            asked.push((request.namespace, request.writes));
            answers.push(request.answer);
        }
    }
    if asked.is_empty() {
        return;
    }
    // A failed send means that the caller is gone.
    match file.write(asked) {
        Ok(written) => {
            for (answer, written) in answers.into_iter().zip(written) {
                drop(answer.send(Ok(written)));
            }
        }
        Err(fault) => {
            Fact::StoreWriteFailed {
                path: &file.path().display(),
                error: &fault,
            }
            .emit();
            for answer in answers {
                drop(answer.send(Err(fault.clone())));
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> StoreFault {
    StoreFault::Failed(error.to_string())
}
