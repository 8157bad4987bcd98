//! `hive-host completions`: what a shell completes with.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, Exit, say};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    source <(hive-host completions bash)\n  \
    hive-host completions zsh > ~/.zfunc/_hive-host\n  \
    hive-host completions fish > ~/.config/fish/completions/hive-host.fish";

/// The program.
const NAME: &str = "hive-host";
/// See [`for_bash`].
const PLAIN_NAME: &str = "hive_host";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &Completions) -> Exit {
    let script = match arguments.shell {
        Shell::Bash => for_bash(),
        shell => script(shell, NAME),
    };
    say::result(&script);
    Exit::Done
}

/// The script as clap_complete makes it for a program of this name.
fn script(shell: Shell, name: &'static str) -> String {
    let mut script = Vec::new();
    let mut command = CommandLine::command().name(name);
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The script of bash.
///
/// Where the name has a hyphen, clap_complete 4.6 sets one label for each command and looks for another, so that
/// nothing is completed below the first word. So the script is made for a name without one, and is then registered for
/// the program.
fn for_bash() -> String {
    let script = script(Shell::Bash, PLAIN_NAME);
    script.replace(&format!(" {PLAIN_NAME}\n"), &format!(" {NAME}\n"))
}
