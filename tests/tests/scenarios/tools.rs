//! What editors and shells are given.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use hive_tests::run_to_end;

#[test]
fn the_schema_is_json_with_every_section() -> Result<()> {
    let printed = run_to_end(&["schema"])?;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let schema: serde_json::Value = serde_json::from_str(&printed.stdout)?;
    for section in [
        "host",
        "connections",
        "queues",
        "components",
        "consumers",
        "store",
    ] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    Ok(())
}

#[test]
fn completions_are_a_script_with_every_command() -> Result<()> {
    let printed = run_to_end(&["completions", "bash"])?;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    for command in ["run", "invoke", "republish", "schema"] {
        assert!(printed.stdout.contains(command), "{command}");
    }
    // The tests' scripts are bash's too, so it is there.
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = bash.stdin.take().context("stdin is piped")?;
    stdin.write_all(printed.stdout.as_bytes())?;
    drop(stdin);
    assert!(bash.wait()?.success());
    assert_eq!(run_to_end(&["completions", "tcsh"])?.code, Some(2));
    Ok(())
}
