//! `hive-host new`: a project that builds, tests itself and runs as it stands.

mod name;
mod project;

use std::fs;
use std::io;
use std::path::Path;

use clap::Args;

use super::Exit;
use super::say::{self, fault, out};
use project::{File, Language};

pub(super) const EXAMPLES: &str =
    "Examples:\n  hive-host new greeter --lang rust\n  hive-host new greeter --lang python";

/// The commands of the README up to a running consumer are in this many of its blocks.
const BLOCKS_TO_RUN: usize = 3;

#[derive(Debug, Args)]
pub(super) struct New {
    /// The folder to make; consumer, component and queues get the same name
    #[arg(value_name = "NAME")]
    name: String,
    /// The language of the consumer
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
}

pub(super) fn run(arguments: &New) -> Result<Exit, Exit> {
    let misused = |reason: String| {
        fault!("{reason}");
        Exit::Misused
    };
    let New { name, lang } = arguments;
    name::check(name).map_err(misused)?;
    let folder = Path::new(name);
    check_folder(folder).map_err(misused)?;
    let files = lang.project(name);
    write(folder, &files).map_err(|(file, error)| {
        fault!("{file} cannot be written: {error}");
        Exit::Failed
    })?;
    say::lines(&format_args!(
        "{name}: a consumer in {}. Next:\n\n  cd {name}",
        lang.name()
    ));
    let readme = files.iter().find(|file| file.path == "README.md");
    let readme = readme.map(|file| String::from_utf8_lossy(&file.content));
    for line in commands(&readme.unwrap_or_default()) {
        out!("  {line}");
    }
    say::lines(&format_args!("\n{name}/README.md has the rest."));
    Ok(Exit::Done)
}

/// Existing files are never overwritten.
fn check_folder(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "the folder {shown} is there and not empty, so nothing was written: take another name, or move it away"
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!(
            "{shown} is there and cannot be the project's folder ({error}), so nothing was written: take another name, or move it away"
        )),
    }
}

fn write(folder: &Path, files: &[File]) -> Result<(), (String, io::Error)> {
    for File { path, content } in files {
        let to = folder.join(path);
        let parent = to.parent().unwrap_or(folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&to, content));
        written.map_err(|error| (to.display().to_string(), error))?;
    }
    Ok(())
}

/// The README's own commands, so that there is one account of them.
fn commands(readme: &str) -> impl Iterator<Item = &str> {
    let blocks = readme.split("```sh\n").skip(1).take(BLOCKS_TO_RUN);
    blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines())
}
