//! Runs cases side by side: each thread has a log of its own, so that a line is known to be of the case that runs there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Runtime};

use crate::cli::Exit;
use crate::cli::invoke::log::Log;
use crate::cli::say::fault;

/// A runtime for one thread.
pub(super) fn runtime() -> Result<Runtime, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("a runtime could not be started: {error}"))
}

/// Runs every case, and returns the results in the order of the cases. `worker` makes what runs the cases of one
/// thread, from the log of that thread.
pub(super) fn run<T: Sync, R: Send, W: Fn(&T) -> R>(
    cases: &[T],
    threads: usize,
    worker: impl Fn(Log) -> Result<W, String> + Sync,
) -> Result<Vec<R>, Exit> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let work = || -> Result<(), String> {
        let (log, _guard) = Log::of_this_thread();
        let run = worker(log)?;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else {
                return Ok(());
            };
            let ran = run(case);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((index, ran));
        }
    };
    let ended: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads = threads.min(cases.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| {
            let ended = worker.join();
            ended.unwrap_or_else(|_| Err("the host failed over a case; its report is above".into()))
        });
        ended.collect()
    });
    if let Some(reason) = ended.into_iter().find_map(Result::err) {
        fault!("{reason}");
        return Err(Exit::Failed);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, ran)| ran).collect())
}
