//! `hive-host completions`: what a shell completes with.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, Exit, say};

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
    say::result(&String::from_utf8_lossy(&script));
    Exit::Done
}
