//! The command line: one file a subcommand.
//!
//! Results go to standard output, errors and log lines to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line is where the program speaks to people"
)]

mod check;
mod run;

use std::io::IsTerminal;
use std::path::Path;

use clap::{Parser, Subcommand};

use crate::config::{self, Environment, Loaded};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped by a signal after a clean drain.
    Done,
    /// Failed while running.
    Failed,
    /// The command line or hive.toml is wrong; nothing was started.
    Misused,
}

/// Runs RabbitMQ consumers that are WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "hive-host",
    version,
    about,
    after_help = "Exit codes: 0 done, or stopped after a clean drain; 1 failed while running; \
                  2 the command line or hive.toml is wrong, and nothing was started."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Check(check::Arguments),
}

/// Reads the arguments of the process and does what they say.
pub fn main() -> Exit {
    // Clap answers a wrong command line itself, with exit code 2.
    match CommandLine::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
    }
}

/// Reads a hive.toml; its faults and warnings go to standard error.
fn load(file: &Path) -> Result<Loaded, Exit> {
    let colour = std::io::stderr().is_terminal();
    match config::load(file, &Environment::of_process()) {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                eprintln!("{}", config::render(&loaded.warnings, colour));
            }
            Ok(loaded)
        }
        Err(problems) => {
            eprintln!("{}", problems.render(colour));
            Err(Exit::Misused)
        }
    }
}
