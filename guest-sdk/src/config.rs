//! What `config = { … }` of the component in hive.toml says, through `wasi:config/store`.
//!
//! Only a component that calls this imports the interface. In native tests the values are those
//! that [`testing::set_config`](crate::testing::set_config) was given.

/// The value of a key; none where it is not set.
pub fn get(key: &str) -> Option<String> {
    source::get(key)
}

#[cfg(target_family = "wasm")]
mod source {
    use crate::bindings::configured::wasi::config::store;

    pub(super) fn get(key: &str) -> Option<String> {
        // The host's store is a table in memory and has no way to fail.
        store::get(key).ok().flatten()
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    pub(super) fn get(key: &str) -> Option<String> {
        crate::testing::config(key)
    }
}
