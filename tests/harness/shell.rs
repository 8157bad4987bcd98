//! Commands as a README has them: run by a shell, in a folder, with `hive-host` and the tools of the
//! languages on the PATH.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::build::host_binary;
use crate::host_process::{Finished, HostProcess};
use crate::keeper;
use crate::languages::toolchains;
use crate::terminal::Terminal;

/// A shell in a folder.
#[derive(Debug)]
pub struct Shell {
    folder: PathBuf,
    variables: Vec<(String, OsString)>,
}

impl Shell {
    /// A shell in this folder.
    pub fn within(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            variables: Vec::new(),
        }
    }

    /// The shell with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The same with the tools of the languages, which keep what they compiled. Crates and modules of Go
    /// are those of this machine; npm and pip fetch what a project asks for.
    #[must_use]
    pub fn with_toolchains(self) -> Self {
        let tools = toolchains();
        // Modules of Go come from a folder, and are checked against no list elsewhere.
        let modules = format!("file://{}", tools.join("go-modules").display());
        self.with("ZIG_GLOBAL_CACHE_DIR", tools.join("zig-cache"))
            .with("ZIG_LOCAL_CACHE_DIR", tools.join("zig-cache"))
            .with("GOCACHE", tools.join("go-cache"))
            .with("GOMODCACHE", tools.join("go-module-cache"))
            .with("GOTOOLCHAIN", "local")
            .with("GOPROXY", modules)
            .with("GOSUMDB", "off")
            .with("GOFLAGS", "-modcacherw")
            .with("CARGO_NET_OFFLINE", "true")
    }

    /// Runs these lines to their end; the first that fails is the last.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is spawned is waited for at once"
    )]
    pub async fn run(&self, lines: &str) -> Result<Finished> {
        let mut command = self.command("sh")?;
        command
            .args(["-e", "-c", lines])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = keeper::start(&mut command).context("cannot start a shell")?;
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = output.await??;
        Ok(Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts a program at a terminal of its own: shells ask for completions only there.
    pub fn at_a_terminal(&self, program: &str) -> Result<Terminal> {
        Terminal::open(self.command("script")?, program)
    }

    /// Starts `hive-host` with these arguments, for a command that goes on and prints.
    pub fn host(&self, arguments: &[&str]) -> Result<HostProcess> {
        let mut command = self.command("hive-host")?;
        command.args(arguments).stdin(Stdio::null());
        HostProcess::spawn(command)
    }

    /// A program in the folder, with the variables.
    fn command(&self, program: &str) -> Result<Command> {
        let host = host_binary().parent().context("the host is in a folder")?;
        let own = std::env::var_os("PATH").unwrap_or_default();
        let path = [host.to_owned(), toolchains().join("bin")];
        let path = path.into_iter().chain(std::env::split_paths(&own));
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env_remove("RUST_LOG")
            .env_remove("RABBITMQ_URL")
            .env_remove("RABBITMQ_HEARTBEAT")
            .env("NO_COLOR", "1")
            .env("PATH", std::env::join_paths(path)?)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}
