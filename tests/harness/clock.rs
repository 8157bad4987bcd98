//! Clocks of hosts: one that was never set, and one that a test turns.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::keeper::scratch;

/// A library for LD_PRELOAD under which a process starts six hours before 1970. Compiled by `cc`, which links
/// what Rust compiles.
pub fn clock_before_1970() -> Result<PathBuf> {
    compile(&scratch("clock"), include_str!("clock.c"))
}

/// A clock that runs as the machine's does, and is turned while hosts have it.
#[derive(Debug)]
pub struct TurnedClock {
    library: String,
    path: String,
    file: File,
    ahead: i64,
}

impl TurnedClock {
    /// A clock that says this now: a time in UTC, as in `2026-10-24T22:30:00Z`.
    pub fn at(now: &str) -> Result<Self> {
        let folder = scratch("turned-clock");
        let library = compile(&folder, include_str!("turned_clock.c"))?;
        let path = folder.join("ahead");
        let mut clock = Self {
            library: library.to_string_lossy().into_owned(),
            path: path.to_string_lossy().into_owned(),
            file: File::create(path)?,
            ahead: 0,
        };
        clock.set(now)?;
        Ok(clock)
    }

    /// Turns it to a time in UTC, forward or back.
    pub fn set(&mut self, now: &str) -> Result<()> {
        let wanted = humantime::parse_rfc3339(now)?.duration_since(UNIX_EPOCH)?;
        let machine = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let ahead = i64::try_from(wanted.as_secs())? - i64::try_from(machine.as_secs())?;
        self.turn(ahead - self.ahead)
    }

    /// Turns it by this many seconds, back if there are fewer than none.
    pub fn turn(&mut self, seconds: i64) -> Result<()> {
        self.ahead += seconds;
        self.file.write_all_at(&self.ahead.to_ne_bytes(), 0)?;
        Ok(())
    }

    /// The variables with which a process has it.
    pub fn variables(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", &self.library), ("TURNED_CLOCK", &self.path)]
    }
}

fn compile(folder: &Path, text: &str) -> Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, text)?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .context("there is no `cc`")?;
    ensure!(compiled.success(), "the clock cannot be compiled");
    Ok(library)
}
