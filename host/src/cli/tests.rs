//! Requirements for the help of every command.

use clap::{Command, CommandFactory};

use super::{CommandLine, compact};

/// A screen.
const LINES: usize = 40;
/// The width of a terminal.
const COLUMNS: usize = 100;

/// The words that lead to each command.
fn paths(command: &Command, path: &[String], all: &mut Vec<Vec<String>>) {
    let path = [path, &[command.get_name().to_owned()]].concat();
    for below in command.get_subcommands() {
        paths(below, &path, all);
    }
    all.push(path);
}

/// The output of the help of a command.
fn help(path: &[String]) -> String {
    let asked = path.iter().cloned().chain(["--help".to_owned()]);
    let command = compact(CommandLine::command(), "").term_width(COLUMNS);
    let answer = command.try_get_matches_from(asked);
    answer.expect_err("help is no match").render().to_string()
}

#[test]
fn help_fits_a_screen_and_shows_how() {
    let mut all = Vec::new();
    paths(&CommandLine::command(), &[], &mut all);
    assert!(all.len() > 15, "{all:?}");
    for path in all {
        let (name, help) = (path.join(" "), help(&path));
        let lines = help.lines().count();
        assert!(
            lines <= LINES,
            "the help of {name} has {lines} lines:\n{help}"
        );
        let examples = help.split("\nExample").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("{name} shows no example:\n{help}"));
        assert!(examples.contains(&name), "{name} shows another one's");
    }
}

#[test]
fn the_documentation_has_every_command() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    for command in CommandLine::command().get_subcommands() {
        let row = format!("| `hive-host {}", command.get_name());
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn the_file_may_be_left_out_of_every_command_that_begins_with_it() {
    for line in [
        "run",
        "status",
        "pause",
        "dead list",
        "peek",
        "swap",
        "publish",
    ] {
        let path: Vec<String> = std::iter::once("hive-host")
            .chain(line.split(' '))
            .map(str::to_owned)
            .collect();
        let help = help(&path);
        let usage = format!("Usage: hive-host {line} [OPTIONS] [HIVE.TOML]");
        assert!(
            help.contains(&usage) || help.contains(&usage.replace("[OPTIONS] ", "")),
            "{help}"
        );
    }
}
