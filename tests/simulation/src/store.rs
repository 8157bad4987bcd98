//! A store that outlives the hosts, as a server's would, and that can be away or lose its answers.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hive_store::{Answer, Clock, Memory, Namespace, Page, Promised, Store, StoreFault, Write};

/// The store of all hosts.
pub(crate) struct Remote {
    memory: Memory,
    away: AtomicBool,
    /// Writes whose answers are lost from here on.
    lost_answers: AtomicU32,
}

impl Remote {
    pub(crate) fn new() -> Self {
        Self {
            memory: Memory::new(Clock::system()),
            away: AtomicBool::new(false),
            lost_answers: AtomicU32::new(0),
        }
    }

    /// Whether it is away.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// The next so many writes are carried out, and nobody hears of it.
    pub(crate) fn lose_answers(&self, count: u32) {
        self.lost_answers.store(count, Ordering::Relaxed);
    }

    fn look(&self) -> Result<(), StoreFault> {
        match self.away.load(Ordering::Relaxed) {
            true => Err(away("it is away")),
            false => Ok(()),
        }
    }
}

fn away(why: &str) -> StoreFault {
    StoreFault::Away {
        address: "the simulated store".to_owned(),
        why: why.to_owned(),
    }
}

impl Store for Remote {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        async move {
            tokio::task::yield_now().await;
            self.look()?;
            self.memory.read(namespace, keys).await
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        async move {
            tokio::task::yield_now().await;
            self.look()?;
            let answers = self.memory.write(namespace, writes).await?;
            tokio::task::yield_now().await;
            let lost = |count: u32| count.checked_sub(1);
            let taken =
                (self.lost_answers).fetch_update(Ordering::Relaxed, Ordering::Relaxed, lost);
            match taken {
                Ok(_) => Err(away("the answer was lost")),
                Err(_) => Ok(answers),
            }
        }
        .boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        async move {
            self.look()?;
            self.memory.keys(namespace, behind, most).await
        }
        .boxed()
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        async move {
            self.look()?;
            self.memory.size(namespace).await
        }
        .boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
