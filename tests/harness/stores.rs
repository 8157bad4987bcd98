//! Every kind of store that a host can have.

use anyhow::Result;

use crate::redis_server::RedisServer;

/// The kinds of store, with a Redis of one test's own.
#[derive(Debug)]
pub struct Stores {
    redis: RedisServer,
}

impl Stores {
    /// Starts what they need.
    pub async fn new() -> Result<Self> {
        Ok(Self {
            redis: RedisServer::start().await?,
        })
    }

    /// Each by its name, as `[store]`. The embedded one is beside the hive.toml.
    pub fn all(&self) -> [(&'static str, String); 3] {
        [
            ("memory", "kind = \"memory\"".to_owned()),
            ("embedded", "kind = \"embedded\"".to_owned()),
            ("redis", self.redis.store()),
        ]
    }

    /// The stores that outlive a host.
    pub fn lasting(&self) -> [(&'static str, String); 2] {
        let [_memory, embedded, redis] = self.all();
        [embedded, redis]
    }
}
