//! Clients that send requests as fast as they are answered, each on a connection of its own.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::join_all;
use hive_tests::{Post, Poster};
use tokio::time::Instant;

use super::SIZE;
use crate::work::body;

/// Connections that are made at once: fewer than wait in the queue of a server that listens.
const AT_ONCE: usize = 500;

/// What came of the requests.
pub(crate) struct Answered {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// From each request to its answer, in microseconds, sorted; of those that were answered with 2xx.
    pub(crate) micros: Vec<u32>,
    /// Requests that were not, and why the first of them was not.
    pub(crate) errors: usize,
    error: Option<String>,
}

impl Answered {
    /// How many were answered with 2xx.
    pub(crate) fn stored(&self) -> usize {
        self.micros.len()
    }

    /// Fails if one was not.
    pub(crate) fn all_stored(&self) -> Result<()> {
        match &self.error {
            None => Ok(()),
            Some(error) => bail!("{} requests were not stored: {error}", self.errors),
        }
    }
}

/// So many clients, connected.
pub(crate) async fn connected(port: u16, count: usize) -> Result<Vec<Poster>> {
    let mut clients = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let some = first..count.min(first + AT_ONCE);
        let some = join_all(some.map(|number| Poster::connect(port, number))).await;
        for client in some {
            clients.push(client?);
        }
    }
    Ok(clients)
}

/// Sends `count` requests. Each client sends its next one when it has the answer to its last.
pub(crate) async fn answered(clients: Vec<Poster>, count: usize) -> Answered {
    let next = Cell::new(0);
    let begun = Instant::now();
    let clients = clients.into_iter().map(|client| sent(client, &next, count));
    let ended = join_all(clients).await;
    let took = begun.elapsed();
    let mut all = Answered {
        took,
        micros: Vec::with_capacity(count),
        errors: 0,
        error: None,
    };
    for one in ended {
        all.micros.extend(one.micros);
        all.errors += one.errors;
        all.error = all.error.or(one.error);
    }
    all.micros.sort_unstable();
    all
}

async fn sent(mut client: Poster, next: &Cell<u32>, count: usize) -> Answered {
    let mut answered = Answered {
        took: Duration::ZERO,
        micros: Vec::new(),
        errors: 0,
        error: None,
    };
    loop {
        let number = next.get();
        if number as usize >= count {
            return answered;
        }
        next.set(number + 1);
        let post = Post::json("/t", &body(number, SIZE));
        let since = Instant::now();
        let error = match client.post(&post).await {
            Ok(200..=299) => {
                let micros = u32::try_from(since.elapsed().as_micros());
                answered.micros.push(micros.unwrap_or(u32::MAX));
                continue;
            }
            Ok(status) => format!("answered with {status}"),
            Err(error) => {
                answered.errors += 1;
                answered.error.get_or_insert(error.to_string());
                // The connection is gone.
                return answered;
            }
        };
        answered.errors += 1;
        answered.error.get_or_insert(error);
    }
}
