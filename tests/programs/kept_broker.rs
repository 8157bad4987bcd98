//! Keeps a RabbitMQ up between runs of `scripts/smoke`, in the version that `HIVE_BROKER` names.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use hive_tests::{Kept, Version, hold};
use tokio::time::Instant;

/// A RabbitMQ that stays up between runs.
#[derive(Debug, Parser)]
struct Options {
    /// The folder that says where it is; one in the target folder unless set
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Seconds without a run after which it ends
    #[arg(long, default_value_t = 1800)]
    idle: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Starts one unless a good one is there, and prints its folder
    Ensure,
    /// Ends it
    Stop,
    /// Starts one and keeps it; `ensure` runs this in the background
    Hold,
}

#[expect(clippy::print_stdout, reason = "a script reads the folder")]
#[expect(clippy::print_stderr, reason = "and a person the rest")]
#[tokio::main]
async fn main() -> Result<()> {
    let Options { folder, idle, what } = Options::parse();
    let version = Version::of_run()?;
    let mut kept = Kept::of(version);
    if let Some(folder) = &folder {
        kept = kept.at(folder);
    }
    match what {
        What::Ensure => {
            let began = Instant::now();
            if let Some(fault) = kept.ensure(holder(&kept, idle)?).await? {
                eprintln!("the RabbitMQ that was kept is replaced: {fault}");
            }
            let took = began.elapsed().as_secs_f64();
            eprintln!("RabbitMQ {version} is up after {took:.1} s");
            println!("{}", kept.folder().display());
            Ok(())
        }
        What::Stop => {
            if kept.stop().await? {
                eprintln!("RabbitMQ {version} is stopped");
            }
            Ok(())
        }
        What::Hold => hold(&kept, Duration::from_secs(idle)).await,
    }
}

fn holder(kept: &Kept, idle: u64) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--idle", &idle.to_string()])
        .arg("--folder")
        .arg(kept.folder())
        .arg("hold");
    Ok(command)
}
