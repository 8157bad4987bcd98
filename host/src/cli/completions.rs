//! `hive-host completions`: what a shell completes with.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, Exit};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    source <(hive-host completions bash)\n  \
    hive-host completions zsh > ~/.zfunc/_hive-host\n  \
    hive-host completions fish > ~/.config/fish/completions/hive-host.fish";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &Completions) -> Exit {
    let mut script = Vec::new();
    let mut command = CommandLine::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("error: standard output cannot be written: {error}");
            Exit::Failed
        }
    }
}
