//! Where a version's programs are, and how they are run: Debian's own on this machine, or those in a
//! root that `scripts/prepare-brokers` laid down.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::version::Version;
use crate::build::workspace;

/// Not the commands on the PATH: those change to another user and to the machine's data folder.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";
const LIBRARIES: &str = "/usr/lib/rabbitmq/lib";

const IN_ROOT: &str = include_str!("in_root.sh");

/// The folder of the roots, where it is not the repository's own.
const ROOTS: &str = "HIVE_BROKERS";

/// One version's programs.
#[derive(Debug, Clone)]
pub(super) enum Programs {
    Installed,
    InRoot {
        root: PathBuf,
        /// The folder that is in the same place inside and outside of the root.
        shared: PathBuf,
    },
}

impl Programs {
    /// `shared` is the folder of the broker's files, or one above it.
    pub(super) fn of(version: Version, shared: &Path) -> Result<Self> {
        let roots = std::env::var_os(ROOTS)
            .map_or_else(|| workspace().join(".toolchains/brokers"), PathBuf::from);
        let root = roots.join(version.name());
        if root.is_dir() {
            let shared = shared.to_owned();
            return Ok(Self::InRoot { root, shared });
        }
        if is_installed(version) {
            return Ok(Self::Installed);
        }
        bail!(
            "RabbitMQ {version} is not in {}: scripts/prepare-brokers {version} gets it",
            roots.display()
        )
    }

    /// One of RabbitMQ's scripts, such as `rabbitmqctl`. It sees all files below the shared folder where they are.
    pub(super) fn script(&self, name: &str) -> Command {
        self.command(&format!("{SCRIPTS}/{name}"))
    }

    /// Erlang's port mapper.
    pub(super) fn port_mapper(&self) -> Command {
        self.command("epmd")
    }

    /// Each command becomes the program itself, so its process id is the program's.
    fn command(&self, program: &str) -> Command {
        match self {
            Self::Installed => Command::new(program),
            Self::InRoot { root, shared } => {
                let mut command = Command::new("unshare");
                // Mounting takes root, or a user namespace in which one is.
                command.args((!is_root()).then_some("--map-root-user"));
                command
                    .args(["--mount", "sh", "-c", IN_ROOT, "in_root"])
                    .args([root, shared])
                    .arg(program)
                    .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
                command
            }
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of_this_process| of_this_process.uid() == 0)
}

/// Whether Debian's rabbitmq-server is on this machine in that version.
fn is_installed(version: Version) -> bool {
    let of_version = format!("rabbitmq_server-{version}.");
    std::fs::read_dir(LIBRARIES).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(&of_version))
    })
}
