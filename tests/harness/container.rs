//! What a container gives its process: it is the first one, is not root, and finds a file system that it cannot write,
//! no home and no variables. Made by util-linux in namespaces, without a container engine.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::eventually::eventually;
use crate::keeper;

/// No user of the machine: only rights that all users have are left.
const USER: u32 = 10_001;

/// The surroundings of one process.
#[derive(Debug)]
pub struct Container(());

impl Container {
    /// `None` if this process may not make namespaces: without root, or within a container that forbids it. A line of
    /// the run's output then says so, so that a test that did nothing is not taken for one that passed.
    pub fn new(test: &str) -> Option<Self> {
        let container = Self(());
        match container.try_it() {
            Ok(()) => Some(container),
            Err(error) => {
                // Not `eprintln!`, which the test runner keeps to itself.
                let line = format!("{test} is skipped: no container can be made here: {error:#}\n");
                drop(std::io::stderr().write_all(line.as_bytes()));
                None
            }
        }
    }

    fn try_it(&self) -> Result<()> {
        let mut nothing = self.around(&Command::new("true"), &[]);
        let output = keeper::start(nothing.stdout(Stdio::piped()).stderr(Stdio::piped()))
            .context("there is no `unshare`, of util-linux")?
            .wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", said.trim());
        Ok(())
    }

    /// The command as the first process in there, with these variables and no others.
    pub(crate) fn around(&self, command: &Command, variables: &[(&str, &str)]) -> Command {
        let mut within = Command::new("unshare");
        within
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--"])
            .args(["sh", "-c", include_str!("in_container.sh"), "in_container"])
            .arg(USER.to_string())
            .args(["env", "-i"])
            .args(
                variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        within
    }
}

/// The process that `unshare` has made, by its number outside of the container.
pub(crate) async fn first_process(unshare: u32) -> Result<u32> {
    let look = async || Ok(children(unshare).first().copied());
    let first = eventually("the container has a process", look, Option::is_some).await?;
    first.context("it is there")
}

/// The processes whose parent this one is, zombies too.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        // Behind the name of the program, which may hold anything: the state, and the parent.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields.to_owned());
        let parent_of = fields.and_then(|fields| {
            let field = fields.split_whitespace().nth(1)?;
            field.parse().ok()
        });
        parent_of == Some(parent)
    };
    numbers.filter(is_child).collect()
}
