//! hive.toml on the command line, where it may be left out.
//!
//! The rule: the first argument is the file if it ends in `.toml` or is a file. Otherwise it is the next one that the
//! command takes, and the file is the hive.toml of the current folder. Clap has no optional argument before required
//! ones, so the file is put into its place before clap reads the line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

/// The name of the file in the help of all commands that take it first.
const NAME: &str = "HIVE.TOML";
/// The file if none is named.
pub(super) const FILE: &str = "hive.toml";

/// The command line with the file in its place.
pub(super) fn with_file(command: &Command, line: Vec<OsString>) -> Vec<OsString> {
    with(command, line, |path| Path::new(path).is_file())
}

/// As [`with_file`], with `is_file` deciding what names a file.
fn with(
    command: &Command,
    mut line: Vec<OsString>,
    is_file: impl Fn(&OsStr) -> bool,
) -> Vec<OsString> {
    let Some((command, begin)) = called(command, &line) else {
        return line;
    };
    if !takes_file(command) || asks_for_help(&line[begin..]) {
        return line;
    }
    let at = first_positional(command, &line[begin..]).map(|at| begin + at);
    // Where the command takes nothing else, whatever is there is meant as the file.
    let is_alone = command.get_positionals().count() == 1;
    match at {
        Some(at) if is_alone || means_a_file(&line[at], is_file) => {}
        Some(at) => line.insert(at, FILE.into()),
        None => line.push(FILE.into()),
    }
    line
}

/// The file that a line names so far, for a command that takes one.
pub(super) fn named_file(command: &Command, line: &[OsString]) -> Option<PathBuf> {
    let (command, begin) = called(command, line)?;
    let rest = line.get(begin..).filter(|_| takes_file(command))?;
    let first = &rest[first_positional(command, rest)?];
    means_a_file(first, |path| Path::new(path).is_file()).then(|| first.into())
}

fn means_a_file(word: &OsStr, is_file: impl Fn(&OsStr) -> bool) -> bool {
    word.to_string_lossy().ends_with(".toml") || is_file(word)
}

/// The command that the line calls, and where its arguments begin.
fn called<'a>(mut command: &'a Command, line: &[OsString]) -> Option<(&'a Command, usize)> {
    let mut begin = 1;
    while command.has_subcommands() {
        command = command.find_subcommand(line.get(begin)?)?;
        begin += 1;
    }
    Some((command, begin))
}

/// Whether the first argument of the command is hive.toml.
pub(super) fn takes_file(command: &Command) -> bool {
    let first = command.get_positionals().next();
    let names = first.and_then(Arg::get_value_names).unwrap_or_default();
    names.iter().any(|name| name == NAME)
}

/// The same with a usage in which hive.toml may be left out; `path` is what leads to the command.
pub(super) fn with_usage(command: Command, path: &str) -> Command {
    let usage = command.clone().bin_name(path).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let usage = usage.replace(&format!("<{NAME}>"), &format!("[{NAME}]"));
    command.override_usage(usage)
}

fn asks_for_help(arguments: &[OsString]) -> bool {
    let before = arguments.iter().take_while(|one| *one != "--");
    before.into_iter().any(|one| one == "--help" || one == "-h")
}

/// Where the first argument is that is neither a flag nor the value of one.
fn first_positional(command: &Command, arguments: &[OsString]) -> Option<usize> {
    let mut at = 0;
    loop {
        let argument = arguments.get(at)?.to_string_lossy();
        at += match argument.strip_prefix('-') {
            Some("-") => return (at + 1 < arguments.len()).then_some(at + 1),
            None | Some("") => return Some(at),
            Some(flag) if has_value_behind(command, flag) => 2,
            Some(_) => 1,
        }
    }
}

/// Whether the value of a flag, given without its first `-`, is the next argument.
fn has_value_behind(command: &Command, flag: &str) -> bool {
    let takes_value =
        |found: Option<&Arg>| found.is_some_and(|arg| arg.get_action().takes_values());
    let mut all = command.get_arguments();
    match flag.strip_prefix('-') {
        Some(long) => takes_value(all.find(|arg| arg.get_long() == Some(long))),
        None => {
            // Of several short flags in one argument, the first with a value has the rest as its value.
            let taking = flag.char_indices().find(|(_, short)| {
                let mut all = command.get_arguments();
                takes_value(all.find(|arg| arg.get_short() == Some(*short)))
            });
            taking.is_some_and(|(index, short)| index + short.len_utf8() == flag.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::CommandLine;
    use super::*;

    /// The line with the file in its place, where `host.conf` is the only file.
    fn placed(line: &str) -> String {
        let words = format!("hive-host {line}");
        let words = words.split(' ').map(OsString::from).collect();
        let placed = with(&CommandLine::command(), words, |path| path == "host.conf");
        let placed: Vec<_> = placed[1..]
            .iter()
            .map(|one| one.to_string_lossy())
            .collect();
        placed.join(" ")
    }

    #[test]
    fn a_file_that_is_named_stays_where_it_is() {
        for line in [
            "pause hive.toml orders",
            "pause elsewhere/not-there.toml orders",
            "pause host.conf orders",
            "dead list --limit 3 hive.toml orders",
            "dead list --json host.conf orders",
            "publish -p type=x hive.toml shop order.created",
            // Nothing else can be meant.
            "run host.cfg",
            "check --json host.cfg",
            // No file comes first.
            "invoke orders.wasm",
            "test orders.test.toml",
            "new orders --lang rust",
            "schema",
            "dead",
            "nothing orders",
            "pause --help",
            "dead list orders -h",
        ] {
            assert_eq!(placed(line), line);
        }
    }

    #[test]
    fn without_a_file_it_is_that_of_the_folder() {
        let cases = [
            ("run", "run hive.toml"),
            ("status --watch", "status --watch hive.toml"),
            (
                "status --admin 127.0.0.1:1",
                "status --admin 127.0.0.1:1 hive.toml",
            ),
            ("pause orders", "pause hive.toml orders"),
            ("pause --json orders", "pause --json hive.toml orders"),
            ("dead list orders", "dead list hive.toml orders"),
            (
                "dead list --limit 3 orders",
                "dead list --limit 3 hive.toml orders",
            ),
            (
                "dead list --limit=3 orders",
                "dead list --limit=3 hive.toml orders",
            ),
            ("peek orders --show", "peek hive.toml orders --show"),
            (
                "swap orders new/orders.wasm",
                "swap hive.toml orders new/orders.wasm",
            ),
            (
                "swap --canary 5% orders",
                "swap --canary 5% hive.toml orders",
            ),
            (
                "publish shop order.created",
                "publish hive.toml shop order.created",
            ),
            (
                "publish -p type=x shop order.created",
                "publish -p type=x hive.toml shop order.created",
            ),
            (
                "publish -ptype=x shop order.created",
                "publish -ptype=x hive.toml shop order.created",
            ),
            ("publish --queue orders", "publish --queue orders hive.toml"),
            ("dead list -- -odd", "dead list -- hive.toml -odd"),
        ];
        for (line, expected) in cases {
            assert_eq!(placed(line), expected);
        }
    }
}
