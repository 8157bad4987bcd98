//! The store of a plan, opened when it is first needed: a host whose plan uses none makes no file.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hive_config::plan::{RedisPlan, StorePlan};
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use tokio::sync::OnceCell;

use super::{Answer, Clock, Embedded, Memory, Namespace, Page, Promised, Store, StoreFault, Write};

/// A store that opens at the first need.
pub struct OnDemand {
    plan: StorePlan,
    tasks: Tasks,
    opened: OnceCell<Arc<dyn Store>>,
}

impl OnDemand {
    /// The store of that plan, not open yet.
    pub fn new(plan: StorePlan, tasks: &Tasks) -> Self {
        Self {
            plan,
            tasks: tasks.clone(),
            opened: OnceCell::new(),
        }
    }

    /// A store that is open already, and stands in for the plan's.
    pub fn given(plan: StorePlan, store: Arc<dyn Store>, tasks: &Tasks) -> Self {
        Self {
            opened: OnceCell::new_with(Some(store)),
            ..Self::new(plan, tasks)
        }
    }

    /// Opens it, if it is not open. Code that knows of the need calls this, to learn early of a fault.
    ///
    /// # Errors
    ///
    /// A file that another process holds, is something else, or cannot be opened; a server that is unreachable,
    /// or refuses this host.
    pub async fn open(&self) -> Result<&Arc<dyn Store>, StoreFault> {
        // Apart, so that whatever is asked of an open store does not carry the room that opening takes.
        let opening = || self.opening().boxed();
        self.opened.get_or_try_init(opening).await
    }

    async fn opening(&self) -> Result<Arc<dyn Store>, StoreFault> {
        Ok(match &self.plan {
            StorePlan::Memory => Arc::new(Memory::new(Clock::system())),
            StorePlan::Embedded { path } => {
                let store = Embedded::open(path, Clock::system(), &self.tasks).await?;
                let path = &path.display();
                Fact::StoreFileOpen { path }.emit();
                Arc::new(store)
            }
            StorePlan::Redis(plan) => on_redis(plan).await?,
        })
    }
}

/// Whether this host has the code for the store of that plan.
///
/// # Errors
///
/// It was built without the cargo feature for that kind of store.
pub fn has_code_for(plan: &StorePlan) -> Result<(), StoreFault> {
    match plan {
        StorePlan::Redis(plan) if cfg!(not(feature = "redis")) => Err(without_redis(plan)),
        _ => Ok(()),
    }
}

fn without_redis(plan: &RedisPlan) -> StoreFault {
    let why = "this hive-host was built without its cargo feature `redis`; build it with that, or choose another \
               `store.kind`";
    StoreFault::Unusable {
        address: plan.address(),
        why: why.to_owned(),
    }
}

#[cfg(feature = "redis")]
async fn on_redis(plan: &RedisPlan) -> Result<Arc<dyn Store>, StoreFault> {
    Ok(Arc::new(super::Redis::open(plan).await?))
}

#[cfg(not(feature = "redis"))]
async fn on_redis(plan: &RedisPlan) -> Result<Arc<dyn Store>, StoreFault> {
    Err(without_redis(plan))
}

impl Store for OnDemand {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        async move { self.open().await?.read(namespace, keys).await }.boxed()
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        async move { self.open().await?.write(namespace, writes).await }.boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        async move { self.open().await?.keys(namespace, behind, most).await }.boxed()
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        async move { self.open().await?.size(namespace).await }.boxed()
    }

    fn is_shared(&self) -> bool {
        let opened = self.opened.get();
        opened.map_or_else(
            || matches!(self.plan, StorePlan::Redis(_)),
            |opened| opened.is_shared(),
        )
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(store) = self.opened.get() {
                store.close().await;
            }
        }
        .boxed()
    }
}
