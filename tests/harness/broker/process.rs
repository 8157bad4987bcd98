//! The server of a broker, as a process: a child of this one, or one that another program keeps.

use std::fs::File;
use std::path::Path;
use std::process::Child;

use anyhow::{Result, bail};

use crate::keeper;

/// A RabbitMQ server.
#[derive(Debug)]
pub(super) enum Process {
    NotStarted,
    /// Started by this process, for a test or for all of them.
    Ours(Child),
    /// Kept up between runs: other runs use it too.
    Kept {
        id: u32,
        /// Locked for as long as this run uses it.
        _used: File,
    },
}

impl Process {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::NotStarted => panic!("the broker has no process yet"),
            Self::Ours(child) => child.id(),
            Self::Kept { id, .. } => *id,
        }
    }

    /// Sends SIGKILL.
    pub(super) fn kill9(&mut self) -> Result<()> {
        Ok(self.ours()?.kill()?)
    }

    /// Sends SIGTERM.
    pub(super) fn stop(&mut self) -> Result<()> {
        keeper::signal(self.ours()?.id(), "TERM");
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        match self {
            Self::NotStarted => Ok(true),
            Self::Ours(child) => Ok(child.try_wait()?.is_some()),
            Self::Kept { id, .. } => Ok(!Path::new(&format!("/proc/{id}")).exists()),
        }
    }

    fn ours(&mut self) -> Result<&mut Child> {
        match self {
            Self::Ours(child) => Ok(child),
            Self::NotStarted => bail!("the broker is not started yet"),
            Self::Kept { .. } => {
                bail!("this broker is kept for other runs: ask for `Broker::private` to end one")
            }
        }
    }
}
