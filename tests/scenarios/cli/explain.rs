//! Error codes: what prints them, and what `explain` says about them.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use hive_tests::{Finished, HiveToml, run_to_end, scratch};
use serde_json::Value;

use crate::assert_says;

/// Nothing listens there.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// The code that a command has printed with its error.
fn code_of(finished: &Finished) -> Result<String> {
    let (_, rest) = finished
        .stderr
        .split_once("error[")
        .with_context(|| format!("no code: {finished:?}"))?;
    let (code, _) = rest.split_once("]: ").context("the code ends")?;
    Ok(code.to_owned())
}

/// A hive.toml with these keys of `[host]`, as its path.
fn plan(host: &str) -> Result<String> {
    let path = scratch("explain").join("hive.toml");
    let toml = HiveToml::one("letters", "ack", "").host(host);
    std::fs::write(&path, toml.text_for(NO_BROKER))?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn a_code_is_explained_however_it_is_written() -> Result<()> {
    let whole = run_to_end(&["explain", "HIVE-0103"])?;
    assert_says(&whole, 0, &["HIVE-0103: ", "What to do:\n- ", "Example:"]);
    for written in ["hive-0103", "0103", "103"] {
        assert_eq!(
            run_to_end(&["explain", written])?.stdout,
            whole.stdout,
            "{written}"
        );
    }
    let json = run_to_end(&["explain", "103", "--json"])?;
    let told: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(told["code"], "HIVE-0103");
    for key in ["area", "title", "meaning", "example"] {
        assert!(told[key].is_string(), "{key}: {told:#}");
    }
    assert!(
        told["steps"].as_array().is_some_and(|all| !all.is_empty()),
        "{told:#}"
    );
    Ok(())
}

#[test]
fn without_a_code_all_are_listed() -> Result<()> {
    let list = run_to_end(&["explain"])?;
    let all: Value = serde_json::from_str(&run_to_end(&["explain", "--json"])?.stdout)?;
    let all = all.as_array().context("a list")?;
    ensure!(all.len() >= 40, "only {} codes", all.len());
    for one in all {
        let (code, title) = (one["code"].as_str(), one["title"].as_str());
        let row = format!(
            "  {}  {}\n",
            code.context("a code")?,
            title.context("a title")?
        );
        assert!(list.stdout.contains(&row), "{row}");
    }
    Ok(())
}

#[test]
fn a_code_that_there_is_not_is_the_command_lines_fault() -> Result<()> {
    for wrong in ["HIVE-9999", "E0103", "\u{1b}[2J"] {
        let finished = run_to_end(&["explain", wrong])?;
        assert_says(&finished, 2, &["there is no error code", "HIVE-0103"]);
        assert!(!finished.stderr.contains('\u{1b}'), "{finished:?}");
    }
    Ok(())
}

#[test]
fn errors_of_the_command_line_have_codes_that_are_explained() -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?;
    let taken = port.local_addr()?.port().to_string();
    let off = plan("admin = \"off\"")?;
    let alone = plan("admin = \"127.0.0.1:0\"")?;
    let nobody = plan("admin = \"127.0.0.1:1\"")?;
    let faulty = plan("nmae = \"x\"")?;
    let cases: [(&[&str], &str); 7] = [
        (&["check", "not-there.toml"], "HIVE-0120"),
        (&["check", &faulty], "HIVE-0103"),
        (&["check", &alone, "--broker"], "HIVE-0201"),
        (&["status", &off], "HIVE-0504"),
        (&["status", &alone], "HIVE-0503"),
        (&["status", &nobody], "HIVE-0502"),
        (&["broker", "--port", &taken], "HIVE-0509"),
    ];
    for (command, expected) in cases {
        let finished = run_to_end(command)?;
        let code = code_of(&finished)?;
        assert_eq!(code, expected, "{command:?}");
        let hint = format!("`hive-host explain {code}` describes the error");
        let last = finished.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with(&hint), "{finished:?}");
        assert_says(&run_to_end(&["explain", &code])?, 0, &[expected]);
    }
    Ok(())
}

#[test]
fn the_hint_at_the_end_names_each_code_once_and_is_for_people_alone() -> Result<()> {
    let faulty = plan("nmae = \"x\"\nshutdown_timeout = 3\nlog_formt = \"json\"")?;
    let told = run_to_end(&["check", &faulty])?;
    let last = told.stderr.lines().last().unwrap_or_default();
    assert!(
        last.ends_with("the codes: HIVE-0103, HIVE-0107"),
        "{told:?}"
    );
    let json = run_to_end(&["check", &faulty, "--json"])?;
    assert_eq!(json.code, Some(2));
    assert!(
        !format!("{json:?}").contains("hive-host explain"),
        "{json:?}"
    );
    let good = plan("")?;
    assert_eq!(run_to_end(&["check", &good])?.stderr, "");
    Ok(())
}
