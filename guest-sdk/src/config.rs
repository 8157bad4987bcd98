//! The values of `config = { … }` of the component in hive.toml, through `wasi:config/store`.
//!
//! A component imports the interface only if it calls this. In native tests the values are those
//! passed to [`testing::set_config`](crate::testing::set_config).

/// The value of a key; `None` if the key is not set.
pub fn get(key: &str) -> Option<String> {
    source::get(key)
}

#[cfg(target_family = "wasm")]
mod source {
    use crate::bindings::configured::wasi::config::store;

    pub(super) fn get(key: &str) -> Option<String> {
        // The host reads the values from a table in memory, which cannot fail.
        store::get(key).ok().flatten()
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    pub(super) fn get(key: &str) -> Option<String> {
        crate::testing::config(key)
    }
}
