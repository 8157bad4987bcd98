//! Runs the `build` command of a component.

use std::path::Path;
use std::process::Stdio;

use hive_config::plan::ComponentPlan;
use hive_core::escape;
use tokio::process::Command;
use tokio::time::Instant;

use crate::cli::say::{self, fault, out};

/// The result of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Built {
    /// The component has no `build` command.
    Not,
    /// The command failed, and said why.
    Failed,
    /// The component's file is as the sources are.
    Newly,
}

/// Runs it in `folder`, by the shell. What it prints is shown where it fails.
pub(in crate::cli) async fn build(component: &ComponentPlan, folder: &Path) -> Built {
    let ComponentPlan { name, build, .. } = component;
    let Some(command) = build else {
        return Built::Not;
    };
    out!("building {name}: {command}");
    let begun = Instant::now();
    let output = Command::new("sh")
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match output.await {
        Ok(output) => output,
        Err(error) => {
            fault!("{name}: `{command}` cannot be run: {error}");
            return Built::Failed;
        }
    };
    if output.status.success() {
        out!("built {name} in {:.1} s", begun.elapsed().as_secs_f64());
        return Built::Newly;
    }
    for printed in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(printed).lines() {
            say::note(&format!("  {}", escape::lines(line)));
        }
    }
    let status = output.status;
    fault!("{name}: `{command}` failed ({status}); what was built before stays");
    Built::Failed
}
