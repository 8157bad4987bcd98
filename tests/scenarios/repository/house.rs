//! The rules of who may know whom, kept over the real sources.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use hive_tests::house::{
    Breach, Manifest, Scenarios, check, check_circles, check_lines, check_manifest, check_opening,
    check_sentences, check_tree, declared, manifests, names, sentences,
};

#[test]
fn the_rooms_of_the_host_know_only_whom_they_may() -> Result<()> {
    let mut breaches = Vec::new();
    // The broker's rooms are its own: it is a program beside the host.
    let (crates, _) = crates()?;
    for manifest in crates.iter().filter(|one| one.name != "hive-broker") {
        let folder = workspace().join(&manifest.file).with_file_name("src");
        // Of our own crates the manifests decide (below); the rooms of `hive-host` share one.
        let counts = |name: &&String| manifest.name == "hive-host" || !name.starts_with("hive-");
        let libraries = manifest.dependencies.iter().filter(counts);
        let libraries: Vec<String> = libraries.map(|name| name.replace('-', "_")).collect();
        for path in sources(&folder)? {
            let text = std::fs::read_to_string(&path)?;
            breaches.extend(check(path.strip_prefix(&folder)?, &text, &libraries));
        }
    }
    assert_none(&breaches);
    Ok(())
}

#[test]
fn no_files_of_the_sandbox_know_one_another_in_a_circle() -> Result<()> {
    let folder = workspace().join("host").join("sandbox").join("src");
    let mut files = Vec::new();
    for path in sources(&folder)? {
        let text = std::fs::read_to_string(&path)?;
        files.push((path.strip_prefix(&folder)?.to_owned(), text));
    }
    ensure!(files.len() > 30, "{} are found", files.len());
    assert_none(check_circles(&files).as_slice());
    Ok(())
}

#[test]
fn the_crates_of_the_host_depend_only_on_whom_they_may() -> Result<()> {
    let (crates, ours) = crates()?;
    let mut breaches = Vec::new();
    for manifest in &crates {
        breaches.extend(check_manifest(manifest, &ours));
        breaches.extend(check_tree(manifest, &tree(&manifest.name)?));
    }
    assert_none(&breaches);
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

/// rustc compiles what `main.rs` declares, and says nothing of other files.
#[test]
fn every_file_of_the_scenarios_is_a_module() -> Result<()> {
    let written = Scenarios::read()?;
    let declared = declared()?;
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    ensure!(
        declared == written.modules(),
        "main.rs of the scenarios declares {declared:?}; there are {:?}",
        written.modules()
    );
    Ok(())
}

/// `.ci/run` runs the units with the test targets that do not begin with that letter, and the scenarios apart from them.
#[test]
fn the_scenarios_are_the_only_test_target_that_begins_with_s() -> Result<()> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter_map(|package| package["targets"].as_array());
    let tests = targets
        .flatten()
        .filter(|target| target["kind"][0] == "test");
    let names: Vec<&str> = tests.filter_map(|test| test["name"].as_str()).collect();
    ensure!(names.len() > 3, "{names:?} are found");
    let skipped: Vec<&&str> = names.iter().filter(|name| name.starts_with('s')).collect();
    ensure!(skipped == [&"scenarios"], "{skipped:?} begin with s");
    Ok(())
}

/// Facts have an event and fields: their sentences are for people, and may change.
#[test]
fn nobody_matches_a_sentence_of_the_log_or_logs_beside_the_facts() -> Result<()> {
    let telemetry = workspace().join("host").join("telemetry");
    let list = telemetry.join("src").join("facts").join("list.rs");
    let sentences = sentences(&std::fs::read_to_string(list)?);
    ensure!(sentences.len() > 100, "{} are found", sentences.len());
    // They say what is looked for.
    let rules = workspace().join("tests").join("harness").join("house");
    let mut breaches = Vec::new();
    for folder in ["host", "tests"] {
        for path in sources(&workspace().join(folder))? {
            if path.starts_with(&telemetry) || path.starts_with(&rules) {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            let file = path.strip_prefix(workspace())?;
            breaches.extend(check_sentences(file, &text, &sentences));
            if folder == "host" {
                breaches.extend(check_lines(file, &text));
            }
        }
    }
    assert_none(&breaches);
    Ok(())
}

fn assert_none(breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// The crates of `host/`, and the names of all crates of the workspace.
fn crates() -> Result<(Vec<Manifest>, Vec<String>)> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata = serde_json::from_str(&metadata)?;
    Ok((manifests(&metadata)?, names(&metadata)?))
}

/// The names of everything that a crate is built from, on this machine's platform.
fn tree(name: &str) -> Result<Vec<String>> {
    let lines = cargo(&[
        "tree",
        "--package",
        name,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])?;
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

/// What cargo answers; it downloads nothing.
fn cargo(arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answered = Command::new(cargo)
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(workspace())
        .output()?;
    let told = String::from_utf8_lossy(&answered.stderr);
    ensure!(answered.status.success(), "cargo {arguments:?}: {told}");
    Ok(String::from_utf8(answered.stdout)?)
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
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
