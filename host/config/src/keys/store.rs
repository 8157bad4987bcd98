//! `[store]`.

use std::sync::Arc;

use super::tls::TlsKeys;
use crate::diff::differing::{Within, or};
use crate::plan::{StoreKind, StorePlan};

table! {
    /// The keys of `[store]`. Which of them apply depends on `kind`.
    keys StoreKeys of StorePlan {
        /// `"embedded"`: in a file that only this host uses. `"memory"`: until the host ends. `"redis"`: on a Redis
        /// server, shared with other hosts.
        kind -> StoreKind = "embedded" [restart], from |store| store.kind();

        /// The file of `"embedded"`. The host creates it only when something in hive.toml uses the store, or when a
        /// message comes back that the host may have [died of](reliability.md#a-message-that-ends-the-host).
        path -> String as Text = "hive.db" [restart],
            written "path",
            from |store| or(store.path().cloned(), "none");

        /// The server of `"redis"`, which needs it: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` with
        /// TLS. The default port is 6379 and the default database 0; a password without a user is
        /// `redis://:PASSWORD@HOST`. Percent-encoding as in the [broker's URL](#the-url).
        url -> String as Secret [hidden restart],
            else "required for `\"redis\"`",
            from |store| store.server().map(|server| server.of_url());

        /// Certificates, for `rediss://`. See [TLS](tls.md#redis).
        tls -> () as Table(TlsKeys::KEYS) [hidden restart],
            from |store| Within(store.server().and_then(|server| server.tls.as_ref()));

        /// The beginning of every key in Redis. Hosts with the same prefix share what they remember.
        prefix -> Arc<str> as Name = "hive:" [restart],
            from |store| Within(store.server().map(|server| Arc::clone(&server.prefix)));
    }
}
