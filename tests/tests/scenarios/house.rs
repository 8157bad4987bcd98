//! The rules of who may know whom, kept over the real sources.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::house::{Breach, check, check_opening};

#[test]
fn the_rooms_of_the_host_know_only_whom_they_may() -> Result<()> {
    let rooms = workspace().join("host").join("src");
    let libraries = dependencies(&workspace().join("host").join("Cargo.toml"))?;
    let mut breaches = Vec::new();
    for path in sources(&rooms)? {
        let text = std::fs::read_to_string(&path)?;
        breaches.extend(check(path.strip_prefix(&rooms)?, &text, &libraries));
    }
    assert_none(&breaches);
    Ok(())
}

#[test]
fn the_broker_knows_no_other_crate_of_the_workspace() -> Result<()> {
    let manifest = workspace().join("host").join("broker").join("Cargo.toml");
    let ours = |name: &String| name.starts_with("hive");
    let known: Vec<String> = dependencies(&manifest)?.into_iter().filter(ours).collect();
    assert!(known.is_empty(), "{known:?}");
    Ok(())
}

#[test]
fn every_source_says_what_it_is_for() -> Result<()> {
    let mut breaches = Vec::new();
    for path in sources(&workspace())? {
        let text = std::fs::read_to_string(&path)?;
        breaches.extend(check_opening(path.strip_prefix(workspace())?, &text));
    }
    assert_none(&breaches);
    Ok(())
}

fn assert_none(breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The names of a manifest's dependencies as code spells them.
fn dependencies(manifest: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(manifest)?;
    let (_, section) = text
        .split_once("[dependencies]")
        .context("the host has dependencies")?;
    let lines = section
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', '=', ' ']).next());
    let names = names.filter(|name| !name.is_empty() && !name.starts_with('#'));
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

/// All `.rs` files under a folder, but for what is built and what is hidden.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path)?);
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
