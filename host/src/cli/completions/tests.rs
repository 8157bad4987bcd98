//! What the words of a line may become.

use std::ffi::OsString;

use clap::ValueEnum;
use clap_complete::engine::complete;

use super::*;

const SHOP: &str = r#"
[exchanges.shop]
[queues."orders.created"]
[queues.rest]
[components.orders]
path = "orders.wasm"
[consumers.letters]
queue = "orders.created"
component = "orders"
"#;

/// Below the same tables, a fault.
const FAULTY: &str = "[consumers.letters]\nqueue = 3\n[components.orders]\n[queues.rest]\n";

/// The candidates for the last word of a line, in a folder with this hive.toml.
fn candidates(hive_toml: &str, line: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("hive.toml");
    std::fs::write(&file, hive_toml).expect("a file can be written");
    let line = line.replace("HIVE.TOML", &file.to_string_lossy());
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let at = words.len() - 1;
    let candidates = Candidates::after(&words[..at], folder.path().to_owned());
    let mut command = candidates.put_into(CommandLine::command());
    let found = complete(&mut command, words, at, Some(folder.path()));
    let found = found.expect("a line can be completed");
    let value =
        |one: &clap_complete::CompletionCandidate| one.get_value().to_string_lossy().into_owned();
    found
        .iter()
        .filter(|one| !one.is_hide_set())
        .map(value)
        .collect()
}

#[test]
fn names_of_hive_toml_complete_what_the_command_asks_for() {
    let cases: [(&str, &[&str]); 9] = [
        ("hive-host pause l", &["letters"]),
        ("hive-host resume HIVE.TOML l", &["letters"]),
        ("hive-host swap o", &["orders"]),
        ("hive-host peek r", &["rest"]),
        (
            "hive-host peek HIVE.TOML orders.created.",
            &["orders.created.dead"],
        ),
        ("hive-host dead list HIVE.TOML --limit 3 r", &["rest"]),
        (
            "hive-host dead republish rest --to orders.c",
            &["orders.created", "orders.created.dead"],
        ),
        ("hive-host publish HIVE.TOML s", &["shop"]),
        ("hive-host publish --queue r", &["rest"]),
    ];
    for (line, expected) in cases {
        assert_eq!(candidates(SHOP, line), expected, "{line}");
    }
}

#[test]
fn a_faulty_file_completes_the_names_of_its_tables() {
    assert_eq!(candidates(FAULTY, "hive-host pause l"), ["letters"]);
    assert_eq!(candidates(FAULTY, "hive-host swap HIVE.TOML o"), ["orders"]);
    assert_eq!(candidates("no TOML", "hive-host swap HIVE.TOML o"), [""; 0]);
}

#[test]
fn the_file_comes_first_where_nothing_is_named() {
    assert_eq!(candidates(SHOP, "hive-host run h"), ["hive.toml"]);
    assert_eq!(candidates(SHOP, "hive-host peek h"), ["hive.toml"]);
    assert_eq!(candidates(SHOP, "hive-host peek HIVE.TOML h"), [""; 0]);
}

#[test]
fn every_shell_has_a_script_that_asks_this_program() {
    for shell in Shell::value_variants() {
        assert!(script(*shell).contains(ASKED_BY), "{shell}");
    }
}

#[test]
fn no_file_is_needed_for_what_names_none() {
    let names = Names::of(Path::new("nowhere/hive.toml"));
    assert_eq!(names.of_kind(Kind::Consumer), [""; 0]);
}
