//! The files of the archive.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the host shows the component its folder, unless the configuration says otherwise.
const FOLDER: &str = "/archive";

/// Writes lines into a file of their own, which is there whole or not at all. The same lines are the
/// same file: a batch that comes again replaces what it wrote the first time.
pub(crate) fn write(lines: &[String]) -> Result<(), String> {
    if lines.is_empty() {
        return Ok(());
    }
    let folder = hive_guest::config::get("folder").map_or_else(|| FOLDER.into(), PathBuf::from);
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    let name = format!("{:016x}", hasher.finish());
    put(&folder, &name, lines).map_err(|error| format!("the archive cannot be written: {error}"))
}

fn put(folder: &Path, name: &str, lines: &[String]) -> std::io::Result<()> {
    let unfinished = folder.join(format!("{name}.unfinished"));
    let mut file = File::create(&unfinished)?;
    file.write_all(lines.concat().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(unfinished, folder.join(format!("{name}.jsonl")))
}
