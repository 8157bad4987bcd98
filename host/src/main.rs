//! The program `hive-host`: exit codes; nothing else.

use std::process::ExitCode;

use hive_host::cli::{self, Exit};

fn main() -> ExitCode {
    match cli::main() {
        Exit::Done => ExitCode::SUCCESS,
        Exit::Failed => ExitCode::from(1),
        Exit::Misused => ExitCode::from(2),
    }
}
