//! A limit of memory beyond which the kernel kills a process, as a container has: a cgroup of either
//! version.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Where a process joins a group, and the rest of its command line follows.
const JOIN: &str = r#"echo $$ > "$0" && exec "$@""#;

/// A group of processes with a common memory limit. Removed when it is dropped.
#[derive(Debug)]
pub struct MemoryLimit {
    group: PathBuf,
}

impl MemoryLimit {
    /// A group with room for this many bytes. `None` if this process may not make one: without root, or if the
    /// kernel's files are mounted read-only. A line of the run's output then says so, so that a test that did
    /// nothing is not taken for one that passed.
    pub fn new(bytes: u64, test: &str) -> Option<Self> {
        match Self::made(bytes) {
            Ok(limit) => Some(limit),
            Err(error) => {
                // Not `eprintln!`, which the test runner keeps to itself.
                let line = format!("{test} is skipped: memory cannot be limited here: {error:#}\n");
                drop(std::io::stderr().write_all(line.as_bytes()));
                None
            }
        }
    }

    fn made(bytes: u64) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hive-tests-{}-{number}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (group, file) = match root.join("cgroup.controllers").exists() {
            true => (root.join(name), "memory.max"),
            false => (root.join("memory").join(name), "memory.limit_in_bytes"),
        };
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        let limit = Self { group };
        fs::write(limit.group.join(file), bytes.to_string())
            .with_context(|| format!("cannot write `{file}`: is the memory controller on?"))?;
        // Swap would take what goes beyond it; a kernel without swap has no such file.
        let swap = limit.group.join("memory.swap.max");
        ensure!(
            !swap.exists() || fs::write(&swap, "0").is_ok(),
            "cannot turn swap off"
        );
        Ok(limit)
    }

    /// The command, run within the control group.
    pub(crate) fn around(&self, command: &Command) -> Command {
        let mut within = Command::new("sh");
        within
            .args(["-c", JOIN])
            .arg(self.group.join("cgroup.procs"))
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        within
    }
}

impl Drop for MemoryLimit {
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that was killed leaves its group a moment later"
    )]
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
