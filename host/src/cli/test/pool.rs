//! Runs cases side by side: each thread has a runtime and a log of its own, so that a line is known to be of
//! the case that runs there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use hive_config::cases::ComponentCase;

use super::component::{Bench, Ran};
use crate::cli::Exit;
use crate::cli::invoke::log::Log;
use crate::cli::say::fault;

/// Runs every case, and returns the results in the order of the cases.
pub(super) fn run(
    bench: &Bench,
    cases: &[&ComponentCase],
    threads: usize,
) -> Result<Vec<Ran>, Exit> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Ran)>> = Mutex::default();
    let work = || -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("a runtime could not be started: {error}"))?;
        let (log, _guard) = Log::of_this_thread();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else {
                return Ok(());
            };
            let ran = runtime.block_on(bench.run(case, &log));
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
