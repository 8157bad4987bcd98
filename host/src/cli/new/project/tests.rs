//! Projects have what the repository has: every file, and the same versions.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(language: Language, path: &str) -> String {
    let files = language.project("greeter");
    let file = files.iter().find(|file| file.path == path);
    let file = file.unwrap_or_else(|| panic!("{language:?} has no {path}"));
    String::from_utf8(file.content.to_vec()).unwrap()
}

/// The files below a folder of the repository, but for those that tools leave there.
fn files_below(folder: &str) -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let left_by_a_tool = path.file_name() == Some(OsStr::new("__pycache__"));
            match path.is_dir() {
                true if left_by_a_tool => {}
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let folder = repository().join(folder);
    let mut found = Vec::new();
    walk(&folder, &mut found);
    let below = |path: &PathBuf| path.strip_prefix(&folder).unwrap().display().to_string();
    found.iter().map(below).collect()
}

fn assert_all(folder: &str, but: &[&str], embedded: &[&[Source]], to: &str) {
    let expected: BTreeSet<String> = files_below(folder)
        .into_iter()
        .filter(|path| !but.iter().any(|left_out| path.starts_with(left_out)))
        .map(|path| format!("{to}{path}"))
        .collect();
    let there = embedded.iter().flat_map(|part| part.iter());
    let there = there.map(|source| source.path.to_owned()).collect();
    assert_eq!(expected, there, "the files of {folder}");
}

#[test]
fn every_template_and_every_file_of_the_sdk_is_embedded() {
    let templates = [
        ("rust", RUST),
        ("js", JS),
        ("ts", TS),
        ("python", PYTHON),
        ("c", C),
        ("go", GO),
    ];
    for (folder, embedded) in templates {
        assert_all(&format!("host/templates/{folder}"), &[], &[embedded], "");
    }
    assert_all(
        "host/templates/common",
        &[],
        &[CONFIGURATION, NAME_IN_JSON],
        "",
    );
    assert_all("wit", &[], &[CONTRACT], "wit/");
    assert_all("guest-sdk/wit", &[], &[WORLDS], "wit/");
    let others = [
        "javascript/",
        "python/",
        "c/",
        "go/",
        "Cargo.toml",
        "macros/Cargo.toml",
    ];
    assert_all("guest-sdk", &others, &[SDK_OF_RUST], "sdk/");
    let faces = [
        ("javascript", SDK_OF_JAVASCRIPT),
        ("python", SDK_OF_PYTHON),
        ("c", SDK_OF_C),
        ("go", SDK_OF_GO),
    ];
    for (folder, embedded) in faces {
        assert_all(&format!("guest-sdk/{folder}"), &[], &[embedded], "sdk/");
    }
}

#[test]
fn every_placeholder_is_filled_in_and_no_file_stands_twice() {
    for language in Language::value_variants() {
        let mut paths = BTreeSet::new();
        for template in language.templates().into_iter().flatten() {
            let filled = language.filled(template.text, "greeter");
            assert!(!filled.contains("{{"), "{language:?}: {}", template.path);
        }
        for file in language.project("greeter") {
            assert!(paths.insert(file.path), "{language:?}: {}", file.path);
        }
        for path in [
            ".gitignore",
            "README.md",
            "hive.toml",
            "messages/one.json",
            "sdk/README.md",
        ] {
            assert!(paths.contains(path), "{language:?} has no {path}");
        }
        let one_screen = text(*language, "README.md").lines().count();
        assert!(one_screen <= 60, "{language:?}: {one_screen} lines");
    }
}

#[test]
fn the_crate_of_the_sdk_has_the_dependencies_of_the_workspace() {
    let read = |path: &str| -> toml::Table {
        let text = fs::read_to_string(repository().join(path)).unwrap();
        text.parse().unwrap()
    };
    let workspace = read("Cargo.toml")["workspace"].clone();
    for (own, project) in [
        ("guest-sdk/Cargo.toml", "sdk/Cargo.toml"),
        ("guest-sdk/macros/Cargo.toml", "sdk/macros/Cargo.toml"),
    ] {
        let own = read(own);
        let made: toml::Table = text(Language::Rust, project).parse().unwrap();
        let none = toml::Table::new();
        let dependencies = |manifest: &toml::Table| {
            let table = manifest.get("dependencies").and_then(toml::Value::as_table);
            table.unwrap_or(&none).clone()
        };
        let made_of = dependencies(&made);
        let names: Vec<String> = dependencies(&own).keys().cloned().collect();
        assert_eq!(made_of.keys().cloned().collect::<Vec<_>>(), names);
        for (name, wanted) in made_of {
            if wanted.get("path").is_none() {
                assert_eq!(wanted, workspace["dependencies"][&name], "{name}");
            }
        }
        for key in ["version", "edition", "rust-version", "license"] {
            assert_eq!(made["package"][key], workspace["package"][key], "{key}");
        }
        assert_eq!(made.get("lib"), own.get("lib"));
    }
}

#[test]
fn tools_have_the_versions_that_the_tests_run_with() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    let tried = read("scripts/languages/requirements.txt");
    for (language, tools) in [
        (Language::Python, "requirements-dev.txt"),
        (Language::C, "requirements.txt"),
        (Language::Go, "requirements.txt"),
    ] {
        for wanted in text(language, tools).lines() {
            assert!(tried.lines().any(|line| line == wanted), "{wanted}");
        }
    }
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let tried = json(&read("scripts/languages/package.json"));
    for language in [Language::Js, Language::Ts] {
        let project = json(&text(language, "package.json"));
        for (name, version) in project["devDependencies"].as_object().unwrap() {
            assert_eq!(&tried["dependencies"][name], version, "{name}");
        }
    }
    let locked = json(&read("scripts/languages/package-lock.json"));
    let binaryen = &locked["packages"]["node_modules/binaryen"]["version"];
    let wanted = format!("binaryen@{}", binaryen.as_str().unwrap());
    assert!(
        text(Language::Go, "README.md").contains(&wanted),
        "{wanted}"
    );
}
