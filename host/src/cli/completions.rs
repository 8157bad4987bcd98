//! `hive-host completions`, and the answers to a shell that asks what the word at the cursor may become.
//!
//! The script that the command prints asks this program at each tab. So commands, flags and the names in hive.toml are
//! those of now.

mod names;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use self::names::{Kind, Names};
use super::arguments::{FILE, named_file, takes_file};
use super::{CommandLine, Exit, say};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    source <(hive-host completions bash)                 # in ~/.bashrc\n  \
    source <(hive-host completions zsh)                  # in ~/.zshrc, after compinit\n  \
    hive-host completions fish | source                  # in ~/.config/fish/config.fish";

/// The program.
const NAME: &str = "hive-host";
/// The variable that a script sets to the name of its shell when it asks.
const ASKED_BY: &str = "HIVE_HOST_COMPLETE";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &Completions) -> Exit {
    say::result(&script(arguments.shell));
    Exit::Done
}

/// The script with which a shell asks this program.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string());
    let shell = shell.expect("clap_complete knows each of its shells by name");
    shell
        .write_registration(ASKED_BY, NAME, NAME, NAME, &mut script)
        .expect("a vector takes every byte");
    String::from_utf8_lossy(&script).into_owned()
}

/// Answers a shell that asks, and ends the process. Does nothing if none asks.
pub(super) fn answer() {
    let command = || {
        let folder = std::env::current_dir().unwrap_or_default();
        Candidates::after(&before_cursor(), folder).put_into(CommandLine::command())
    };
    CompleteEnv::with_factory(command).var(ASKED_BY).complete();
}

/// The words before the one at the cursor, from the name of the program on.
fn before_cursor() -> Vec<OsString> {
    let words = std::env::args_os().skip_while(|one| one != "--").skip(1);
    // Most scripts of clap_complete say which word it is. Those of fish and PowerShell end with it.
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok();
    let words: Vec<_> = words.collect();
    let index = index.and_then(|index| index.parse().ok());
    let count = index.unwrap_or(words.len().saturating_sub(1));
    words.into_iter().take(count).collect()
}

/// What the arguments of a line may become.
struct Candidates {
    /// The file that the line names before the cursor.
    file: Option<PathBuf>,
    names: Names,
    /// Where relative paths begin.
    folder: PathBuf,
}

impl Candidates {
    /// Those at the end of these words, which are typed in `folder`.
    fn after(words: &[OsString], folder: PathBuf) -> Self {
        let file = named_file(&CommandLine::command(), words);
        let hive_toml = folder.join(file.as_deref().unwrap_or(Path::new(FILE)));
        Self {
            file,
            names: Names::of(&hive_toml),
            folder,
        }
    }

    /// A command and those below it, whose arguments have their candidates.
    fn put_into(&self, command: Command) -> Command {
        let command = match takes_file(&command) {
            true => self.with_names(command),
            false => command,
        };
        command.mut_subcommands(|command| self.put_into(command))
    }

    /// A command that takes hive.toml first. While none is named, the next argument may stand in its place.
    fn with_names(&self, command: Command) -> Command {
        let mut positionals = command.get_positionals().map(|arg| arg.get_id().clone());
        let file = positionals.next().expect("hive.toml is the first");
        let instead = positionals.next().filter(|_| self.file.is_none());
        drop(positionals);
        // In one pass, since `mut_arg` would put an argument behind the others.
        command.mut_args(|arg| {
            let is_file = *arg.get_id() == file;
            let is_first = instead.as_ref() == Some(arg.get_id());
            match Kind::of(&arg) {
                // An option is none of the positional arguments.
                _ if is_file && instead.is_some() => arg.long("hive-toml").hide(true),
                _ if is_file => arg.add(ArgValueCompleter::new(self.files())),
                Some(kind) => arg.add(self.one_of(self.names.of_kind(kind), is_first)),
                None if is_first => arg.add(self.one_of(&[], true)),
                None => arg,
            }
        })
    }

    /// One of these names, or also the file.
    fn one_of(&self, names: &[String], or_the_file: bool) -> ArgValueCompleter {
        let names = names.to_vec();
        let files = self.files();
        ArgValueCompleter::new(move |typed: &OsStr| {
            let begun = typed.to_string_lossy();
            let fitting = names.iter().filter(|name| name.starts_with(&*begun));
            let mut found: Vec<_> = fitting.map(Into::into).collect();
            if or_the_file {
                found.extend(files.complete(typed));
            }
            found
        })
    }

    fn files(&self) -> PathCompleter {
        let files = PathCompleter::file().current_dir(&self.folder);
        files.filter(|path| path.extension().is_some_and(|end| end == "toml"))
    }
}

#[cfg(test)]
mod tests;
