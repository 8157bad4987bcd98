//! `hive-host` as a command that does one thing and ends, on a hive.toml of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::build;
use crate::eventually::eventually;
use crate::hive_toml::HiveToml;
use crate::host_process::{Finished, hive_host};
use crate::keeper;
use crate::vhost::Vhost;

/// Runs commands on one hive.toml, or without one.
#[derive(Debug)]
pub struct Commands {
    file: Option<PathBuf>,
    /// Where they run, if not where the test does.
    folder: Option<PathBuf>,
    variables: Vec<(String, String)>,
    /// Whether it is the program with failpoints.
    is_armed: bool,
}

/// A command that runs. Killed when it is dropped.
#[derive(Debug)]
pub struct Started {
    child: Child,
}

impl Commands {
    /// On this text for `vhost`.
    pub fn on(vhost: &Vhost, toml: &HiveToml) -> Result<Self> {
        let file = HiveToml::write(&keeper::scratch("command"), &toml.text(vhost))?;
        Ok(Self {
            file: Some(file),
            folder: None,
            variables: Vec::new(),
            is_armed: false,
        })
    }

    /// Commands that run in this folder and name no file.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
            ..Self::anywhere(&[])
        }
    }

    /// On no file, with these variables.
    pub fn anywhere(variables: &[(&str, &str)]) -> Self {
        Self {
            file: None,
            ..Self::on_file(Path::new(""), variables)
        }
    }

    /// On the file of somebody else, with these variables.
    pub fn on_file(file: &Path, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter();
        Self {
            file: Some(file.to_owned()),
            folder: None,
            variables: variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            is_armed: false,
        }
    }

    /// The same with one variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, ended as by `kill -9` at a step that `FAILPOINTS` names.
    #[must_use]
    pub fn armed(mut self, failpoints: &str) -> Self {
        self.is_armed = true;
        self.with("FAILPOINTS", failpoints)
    }

    /// Runs `hive-host VERB… FILE ARGUMENTS…` to its end.
    pub async fn run(&self, verb: &[&str], arguments: &[&str]) -> Result<Finished> {
        self.run_with(verb, arguments, b"").await
    }

    /// Runs a command with this text on its standard input.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is spawned is waited for at once"
    )]
    pub async fn run_with(
        &self,
        verb: &[&str],
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Finished> {
        let mut command = self.command(verb, arguments);
        command.stdin(Stdio::piped());
        let mut child = keeper::start(&mut command).context("cannot start hive-host")?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        let input = input.to_vec();
        let output = tokio::task::spawn_blocking(move || {
            // Whoever does not read it has closed it.
            let _written = stdin.write_all(&input);
            drop(stdin);
            child.wait_with_output()
        });
        let output = output.await??;
        Ok(Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts the same and waits for nothing; what it prints is thrown away.
    pub fn start(&self, verb: &[&str], arguments: &[&str]) -> Result<Started> {
        let mut command = self.command(verb, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Started {
            child: keeper::start(&mut command).context("cannot start hive-host")?,
        })
    }

    fn command(&self, verb: &[&str], arguments: &[&str]) -> std::process::Command {
        let mut command = hive_host(match self.is_armed {
            true => build::host_with_failpoints(),
            false => build::host_binary(),
        });
        command
            .args(verb)
            .args(&self.file)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

impl Started {
    /// Kills it as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop as ctrl-c does.
    pub fn sigint(&self) {
        keeper::signal(self.child.id(), "INT");
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let child = std::sync::Mutex::new(&mut self.child);
        let look = async || {
            let mut child = child.lock().expect("no holder of this lock panics");
            Ok(child.try_wait()?)
        };
        let ended = eventually("the command has ended", look, Option::is_some).await?;
        ended.context("it has just ended")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Finished {
    /// What it printed, as one JSON value a line; fails where it did not end well.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        anyhow::ensure!(self.code == Some(0), "it ended badly: {self:?}");
        let lines = self.stdout.lines();
        let parsed = lines.map(|line| Ok(serde_json::from_str(line)?));
        parsed.collect()
    }
}
