//! What the documents say of the repository, held against the repository.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hive_tests::house::Scenarios;
use hive_tests::house::documents::{dead_links, is_numbered, paths, quoted};
use hive_tests::workspace;

/// Not ours, or made: nothing in there is a document.
const ELSEWHERE: [&str; 5] = ["target", ".toolchains", ".git", "node_modules", "build"];

/// Becomes docs/brokers.md, and its links lead from there.
const TEMPLATE: &str = "tests/harness/matrix/page.md";

#[test]
fn every_link_of_the_documents_leads_somewhere() -> Result<()> {
    let mut dead = Vec::new();
    for path in files(workspace(), "md")? {
        if path.ends_with(TEMPLATE) {
            continue;
        }
        let page = std::fs::read_to_string(&path)?;
        let folder = path.parent().context("a file is in a folder")?;
        let read = |file: &Path| {
            let file = folder.join(file);
            file.exists().then(|| std::fs::read_to_string(&file).ok())
        };
        let name = path.strip_prefix(workspace())?.display();
        let links = dead_links(&page, read);
        dead.extend(links.iter().map(|link| format!("{name}: {link}")));
    }
    assert!(dead.is_empty(), "lead nowhere:\n{}", dead.join("\n"));
    Ok(())
}

#[test]
fn every_path_that_the_pages_for_developers_name_is_there() -> Result<()> {
    let workspace = workspace();
    let top = std::fs::read_dir(workspace)?.flatten();
    let tops = top.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let tops: BTreeSet<String> = tops.collect();
    let mut pages = files(&workspace.join("docs/development"), "md")?;
    pages.push(workspace.join("CONTRIBUTING.md"));
    let mut gone = Vec::new();
    for path in pages {
        let page = std::fs::read_to_string(&path)?;
        let named = paths(&page, &tops).into_iter();
        let missing = named.filter(|named| !is_made(named) && !workspace.join(named).exists());
        let name = path.strip_prefix(workspace)?.display();
        gone.extend(missing.map(|missing| format!("{name}: {missing}")));
    }
    assert!(gone.is_empty(), "are not there:\n{}", gone.join("\n"));
    Ok(())
}

/// Made by a build, so it is there on some machines only.
fn is_made(path: &str) -> bool {
    ELSEWHERE.iter().any(|made| path.starts_with(made))
}

#[test]
fn each_numbered_behaviour_has_its_scenarios() -> Result<()> {
    let page = std::fs::read_to_string(workspace().join("docs/behaviours.md"))?;
    let listed: BTreeSet<&str> = quoted(&page)
        .into_iter()
        .filter(|name| is_numbered(name))
        .collect();
    let scenarios = Scenarios::read()?;
    let written = scenarios.numbered();
    let gone: Vec<_> = listed.difference(&written).collect();
    assert!(gone.is_empty(), "docs/behaviours.md lists {gone:?}");
    let unlisted: Vec<_> = written.difference(&listed).collect();
    assert!(unlisted.is_empty(), "docs/behaviours.md lacks {unlisted:?}");
    Ok(())
}

/// cargo runs what there is of a list, and says nothing of the rest.
#[test]
fn each_scenario_of_the_smoke_list_exists() -> Result<()> {
    let list = std::fs::read_to_string(workspace().join("tests/smoke.txt"))?;
    let names = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<&str> = names.collect();
    let scenarios = Scenarios::read()?;
    let gone: Vec<_> = names.iter().filter(|name| !scenarios.has(name)).collect();
    assert!(gone.is_empty(), "tests/smoke.txt lists {gone:?}");
    let count = names.len();
    assert!(count >= 50, "tests/smoke.txt lists {count} scenarios only");
    Ok(())
}

/// The files below `folder` whose names end so.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_ours = !path
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| ELSEWHERE.contains(&name));
        if path.is_dir() && !path.is_symlink() && is_ours {
            found.extend(files(&path, extension)?);
        } else if path.extension() == Some(OsStr::new(extension)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
