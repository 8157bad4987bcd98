//! A clock that was never set.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::keeper::scratch;

/// A library for LD_PRELOAD under which a process starts six hours before 1970. Compiled by `cc`, which links
/// what Rust compiles.
pub fn clock_before_1970() -> Result<PathBuf> {
    let folder = scratch("clock");
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, include_str!("clock.c"))?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .context("there is no `cc`")?;
    ensure!(compiled.success(), "the clock cannot be compiled");
    Ok(library)
}
