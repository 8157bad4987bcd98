//! What the loader says about each file of `tests/config`: the `.txt` beside a `.toml` is the whole
//! answer. `SNAPSHOTS=overwrite cargo test -p hive-config --test golden` writes them anew.

use std::path::{Path, PathBuf};

use hive_config::Environment;
use snapbox::{Assert, Data};

/// The environment of every case.
fn environment() -> Environment {
    let variables = [
        ("RABBITMQ_USER", "orders"),
        ("BROKEN_URL", "amqp://orders:s3cret@localhost/"),
        ("TZ", "Europe/Berlin"),
    ];
    Environment {
        variables: variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        unreadable: ["LATIN".to_owned()].into(),
        hostname: "machine".to_owned(),
        broker: None,
    }
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir("tests/config")
        .expect("tests run in the directory of the package")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    cases
}

/// The report that a user sees of a file.
fn answer(path: &Path) -> String {
    match hive_config::load(path, &environment()) {
        Ok(loaded) if loaded.warnings.is_empty() => "fine\n".to_owned(),
        Ok(loaded) => hive_config::render(&loaded.warnings, false),
        Err(problems) => problems.render(false),
    }
}

#[test]
fn every_file_gets_its_answer() {
    let assert = Assert::new().action_env("SNAPSHOTS").normalize_paths(false);
    let cases = cases();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let mut differing = Vec::new();
    for case in cases {
        let answer = answer(&case);
        assert!(!answer.contains("s3cret"), "{answer}");
        let expected = Data::read_from(&case.with_extension("txt"), None);
        if let Err(error) = assert.try_eq(Some(&case.display()), answer.into(), expected) {
            differing.push(error.to_string());
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let problems =
        hive_config::load(Path::new("tests/config/none.toml"), &environment()).unwrap_err();
    let rendered = problems.render(false);
    assert!(
        rendered.starts_with("error[HIVE-0120]: cannot read tests/config/none.toml:"),
        "{rendered}"
    );
}
