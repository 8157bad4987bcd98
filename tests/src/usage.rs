//! What a process holds, as the Linux kernel counts it.

use anyhow::{Context, Result};

/// What a process holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Resident memory in KiB.
    pub resident_kib: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Self {
            threads: number(process, "Threads:")?,
            descriptors: u64::try_from(descriptors)?,
            resident_kib: number(process, "VmRSS:")?,
        })
    }
}

/// The most resident memory that a process ever had, in KiB.
pub(crate) fn peak_kib(process: u32) -> Result<u64> {
    number(process, "VmHWM:")
}

fn number(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    let number = word.and_then(|word| word.parse().ok());
    number.with_context(|| format!("no `{name}` in the status of process {process}"))
}
