//! `hive-host compile`: components compiled before the host that runs them starts.

mod target;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hive_config::files;
use hive_lifecycle::Tasks;
use hive_sandbox::{AheadOfTime, ComponentFault, Cpu, sha256};
use serde_json::json;
use tokio::time::Instant;

use self::target::Target;
use super::say::{self, fault, out};
use super::{Exit, PlanFile, progress};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host compile hive.toml\n  \
    hive-host compile hive.toml orders --cpu x86-64-v3\n  \
    hive-host compile orders.wasm --out /srv/hive/orders.cwasm\n  \
    hive-host compile hive.toml --cache";

/// Its owner writes it, and everybody may read it: a host refuses native code that others can change.
const MODE: u32 = 0o644;

#[derive(Debug, Args)]
pub(super) struct Compile {
    #[command(flatten)]
    file: PlanFile,
    /// The names of components; default: all. Files of components do without hive.toml
    #[arg(value_name = "COMPONENT")]
    component: Vec<String>,
    /// The processor that the code is for: native is this machine's; or x86-64-v2, -v3, -v4
    #[arg(long, value_name = "CPU", default_value_t = Cpu::NATIVE)]
    cpu: Cpu,
    /// The file to write, or an existing folder for it; default: beside the component
    #[arg(long, value_name = "FILE|FOLDER")]
    out: Option<PathBuf>,
    /// Puts the code into the cache of this user and machine, and writes no file
    #[arg(long, conflicts_with_all = ["out", "cpu"])]
    cache: bool,
    /// Prints a JSON object for each component
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Compile) -> Result<Exit, Exit> {
    let targets = target::targets(
        &arguments.file,
        &arguments.component,
        arguments.out.as_deref(),
    )?;
    progress::show();
    Ok(super::block_on(async {
        let compiled = match arguments.cache {
            true => keep(arguments, &targets).await,
            false => write(arguments, &targets).await,
        };
        compiled.unwrap_or_else(|exit| exit)
    }))
}

/// Puts each component into the cache.
async fn keep(arguments: &Compile, targets: &[Target]) -> Result<Exit, Exit> {
    let compiler = AheadOfTime::for_the_cache(&Tasks::new());
    let (compiler, folder) =
        compiler.map_err(|error| failed("the cache cannot be used", &error))?;
    let mut exit = Exit::Done;
    for target in targets {
        let begun = Instant::now();
        let name = &target.component.name;
        match compiler.keep(&target.component).await {
            Ok(sha256) if arguments.json => say::json(&json!({
                "component": &**name,
                "folder": folder.display().to_string(),
                "source-sha256": sha256,
                "took-ms": milliseconds(begun.elapsed()),
            })),
            Ok(_) => out!(
                "{name}: in the cache {}, {}",
                folder.display(),
                took(begun.elapsed())
            ),
            Err(fault) => exit = refused(&fault),
        }
    }
    Ok(exit)
}

/// Writes a file for each component.
async fn write(arguments: &Compile, targets: &[Target]) -> Result<Exit, Exit> {
    let cpu = arguments.cpu;
    let compiler = AheadOfTime::new(cpu, &Tasks::new());
    let compiler = compiler.map_err(|error| failed("the compiler cannot be made", &error))?;
    let mut exit = Exit::Done;
    for target in targets {
        let begun = Instant::now();
        let content = match compiler.compile(&target.component, cpu).await {
            Ok(content) => content,
            Err(fault) => {
                exit = refused(&fault);
                continue;
            }
        };
        let file = &target.file;
        files::replace(file, &content, MODE).map_err(|error| {
            fault!("{} cannot be written: {error}", file.display());
            Exit::Failed
        })?;
        report(arguments, target, &content, begun.elapsed());
    }
    Ok(exit)
}

fn report(arguments: &Compile, target: &Target, content: &[u8], time: Duration) {
    let (name, file) = (&target.component.name, target.file.display());
    let sum = sha256(content);
    if arguments.json {
        say::json(&json!({
            "component": &**name,
            "file": file.to_string(),
            "bytes": content.len(),
            "sha256": sum,
            "cpu": arguments.cpu.to_string(),
            "took-ms": milliseconds(time),
        }));
        return;
    }
    let (version, cpu) = (env!("CARGO_PKG_VERSION"), arguments.cpu);
    out!(
        "{name}: {file}, {} KiB, {}",
        content.len() / 1024,
        took(time)
    );
    out!("  for hive-host {version}, processor {cpu}; sha256 {sum}");
    if target.is_to_be_named {
        out!("  to run it: `path = \"{file}\"` in [components.{name}]");
    }
}

fn took(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn failed(what: &str, error: &anyhow::Error) -> Exit {
    fault!("{what}: {error:#}");
    Exit::Failed
}

fn refused(fault: &ComponentFault) -> Exit {
    fault!([fault.code()] "{fault}");
    Exit::Misused
}
