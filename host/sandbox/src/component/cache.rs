//! The folder in which compiled code is kept between runs.

use std::path::{Path, PathBuf};

use hive_telemetry::Fact;
use wasmtime::{Cache, CacheConfig};

/// Compiled code is kept between runs; without a folder for it every start compiles again.
pub(crate) fn cache() -> Option<Cache> {
    let directory = cache_directory()?;
    match open(&directory) {
        Ok(cache) => Some(cache),
        Err(error) => {
            Fact::CacheUnavailable {
                directory: &directory.display(),
                error: &format!("{error:#}"),
            }
            .emit();
            None
        }
    }
}

/// The cache in this folder.
pub(super) fn open(directory: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    Cache::new(config)
}

/// `HIVE_CACHE_DIR`, else `hive` in the user's cache folder (XDG Base Directory Specification).
pub(crate) fn cache_directory() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let directory = variable("HIVE_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("hive")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/hive")))?;
    std::path::absolute(directory).ok()
}
