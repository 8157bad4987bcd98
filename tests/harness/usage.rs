//! The resources that a process holds, as the Linux kernel counts them.

use std::time::Duration;

use anyhow::{Context, Result};

/// The resources of a process at one moment.
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

/// How many descriptors this process and those that it starts may have open, each (`ulimit -n`).
///
/// # Errors
/// If the kernel does not say so.
pub fn most_descriptors() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    match soft.context("no limit of open files")? {
        "unlimited" => Ok(usize::MAX),
        number => Ok(number.parse()?),
    }
}

/// The peak resident memory of a process, in KiB.
///
/// # Errors
/// If there is no such process.
pub fn peak_kib(process: u32) -> Result<u64> {
    number(process, "VmHWM:")
}

/// The part of a process' resident memory that is pages of files, the executable above all, in KiB. The kernel has them
/// once for all processes, and may take them back.
///
/// # Errors
/// If there is no such process.
pub fn of_files_kib(process: u32) -> Result<u64> {
    number(process, "RssFile:")
}

/// The processor time of a process, including its ended threads, to a hundredth of a second.
///
/// # Errors
/// If there is no such process.
pub fn processor_time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    time_in(&stat)
}

/// The processor time of the threads of a process that have this name, and the niceness of each of them.
///
/// # Errors
/// If there is no such process.
pub fn threads_named(process: u32, wanted: &str) -> Result<(Duration, Vec<i32>)> {
    let mut time = Duration::ZERO;
    let mut niceness = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else {
            continue;
        };
        let (head, fields) = stat.rsplit_once(')').context("no stat is like this")?;
        if head.split_once('(').is_some_and(|(_, name)| name == wanted) {
            time += time_in(&stat)?;
            let nice = fields.split_whitespace().nth(16);
            niceness.push(nice.context("it has a niceness")?.parse()?);
        }
    }
    Ok((time, niceness))
}

/// User and system time in a line of /proc. They are its 14th and 15th field, behind the name of the program, which is the
/// second and may hold anything.
fn time_in(stat: &str) -> Result<Duration> {
    /// The kernel reports in this unit on every architecture that the tests run on.
    const TICKS_A_SECOND: u64 = 100;
    let (_, fields) = stat.rsplit_once(')').context("no stat is like this")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

fn number(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    let number = word.and_then(|word| word.parse().ok());
    number.with_context(|| format!("no `{name}` in the status of process {process}"))
}
