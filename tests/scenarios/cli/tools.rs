//! What editors and shells are given.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use hive_tests::{Shell, run_to_end, scratch};

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

/// A bash that completes the words of its arguments, of which the last is not finished.
const COMPLETE: &str = r#"
source <(hive-host completions bash)
registered=$(complete -p hive-host)
[[ $registered =~ -F\ ([^ ]+) ]]
completed() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "${BASH_REMATCH[1]}" "$1" "${@: -1}" "${@: -2:1}"
    echo "${COMPREPLY[*]}"
}
"#;

#[tokio::test]
async fn bash_completes_below_the_first_word() -> Result<()> {
    let folder = scratch("completions");
    std::fs::write(folder.join("complete.bash"), COMPLETE)?;
    let cases = [
        ("hive-host pe", "peek"),
        ("hive-host dead rep", "republish"),
        ("hive-host dead list --w", "--where"),
        ("hive-host peek --sh", "--show"),
        ("hive-host peek hive.toml --co", "--counted --connection"),
        ("hive-host completions z", "zsh"),
    ];
    for (words, expected) in cases {
        let lines = format!("bash -c 'source ./complete.bash; completed {words}'");
        let done = Shell::within(&folder).run(&lines).await?;
        assert_eq!(done.stdout.trim(), expected, "{words}: {done:?}");
    }
    Ok(())
}
