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
use std::process::{ExitCode, Termination};

use clap::{Parser, Subcommand};

use crate::app::StartFault;
use crate::config::{self, Environment, Loaded};
use crate::telemetry::Telemetry;

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

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Failed => ExitCode::from(1),
            Self::Misused => ExitCode::from(2),
        }
    }
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

/// Says why nothing was started, whatever the log is set to.
fn refuse(fault: &StartFault) -> Exit {
    for line in fault.to_string().lines() {
        eprintln!("error: {line}");
    }
    match fault {
        StartFault::Plan(_) => Exit::Misused,
        StartFault::Host(_) => Exit::Failed,
    }
}

/// Where everything is counted.
fn telemetry() -> Result<Telemetry, Exit> {
    Telemetry::new().map_err(|error| {
        eprintln!("error: the metrics could not be set up: {error}");
        Exit::Failed
    })
}

/// Runs a subcommand that waits for things.
fn block_on(command: impl Future<Output = Exit>) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("hive")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(command);
    // A compilation or a look-up of a name may still be running on a thread that nothing waits for.
    runtime.shutdown_background();
    exit
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
