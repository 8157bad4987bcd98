//! What the commands print, and where it cannot be printed.

use std::fs::OpenOptions;
use std::io::PipeWriter;
use std::process::Stdio;

use anyhow::Result;
use hive_tests::{Commands, HiveToml, Message, guest, run_into, scratch};
use serde_json::Value;

use crate::consuming;

/// What a shell reports of a tool that SIGPIPE has ended.
const READER_IS_GONE: Option<i32> = Some(141);

/// Would be a line of its own, would clear the screen, and would read backwards.
const FORGED: &str =
    "id\n2026-01-01T00:00:00.000000Z ERROR hive_host: forged\r\u{1b}[2J\u{202e}\u{9b}1m\u{2028}";

/// A pipe that nobody reads.
fn closed() -> Result<PipeWriter> {
    let (_reader, writer) = std::io::pipe()?;
    Ok(writer)
}

/// A hive.toml that `check` has something to say about, as its path.
fn plan(keys: &str) -> Result<String> {
    let path = scratch("printing").join("hive.toml");
    let toml = HiveToml::one("letters", "ack", keys);
    std::fs::write(&path, toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn a_command_whose_reader_is_gone_ends_quietly() -> Result<()> {
    let (plan, component) = (plan("")?, guest("ack"));
    let component = component.to_string_lossy();
    let commands: [&[&str]; 6] = [
        &["schema"],
        &["completions", "bash"],
        &["check", &plan],
        &["check", &plan, "--json"],
        &["invoke", &component, "-p", "type=x"],
        &["invoke", &component, "-p", "type=x", "--json"],
    ];
    for command in commands {
        let ended = run_into(command, closed()?, Stdio::piped())?;
        assert_eq!(ended.code, READER_IS_GONE, "{command:?}: {ended:?}");
        assert_eq!(ended.stderr, "", "{command:?}");
    }
    Ok(())
}

#[test]
fn errors_that_nobody_reads_change_nothing() -> Result<()> {
    let faulty = plan("prefetch = 0")?;
    let ended = run_into(&["check", &faulty], Stdio::piped(), closed()?)?;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let (fine, component) = (plan("")?, guest("ack"));
    let component = component.to_string_lossy();
    let failing: [&[&str]; 9] = [
        &["check", "not-there.toml"],
        &["run", &faulty],
        &["invoke", &component, "--body", "not-there"],
        &["status", &fine],
        &["reload", &fine],
        &["swap", &fine, "ack", "not-there.wasm"],
        &["dead", "list", &fine, "nowhere"],
        &["publish", &fine, "", "letters"],
        &["no-such-command"],
    ];
    for command in failing {
        let ended = run_into(command, Stdio::piped(), closed()?)?;
        assert!(matches!(ended.code, Some(1 | 2)), "{command:?}: {ended:?}");
    }
    let ended = run_into(&["check", &plan("")?], Stdio::piped(), closed()?)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("no faults\n"), "{ended:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_for_which_there_is_no_space_is_an_error() -> Result<()> {
    let full = || OpenOptions::new().write(true).open("/dev/full");
    for command in [&["schema"][..], &["check", &plan("")?]] {
        let ended = run_into(command, full()?, Stdio::piped())?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let expected = "error: standard output cannot be written: No space left";
        assert!(ended.stderr.starts_with(expected), "{ended:?}");
        let ended = run_into(command, full()?, full()?)?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }
    Ok(())
}

/// Nothing in it but letters and line ends.
#[track_caller]
fn assert_plain(text: &str) {
    let acts = |c: char| c != '\n' && (c.is_control() || "\u{2028}\u{202e}".contains(c));
    assert!(!text.contains(acts), "{text:?}");
    assert!(
        !text.lines().any(|line| line.starts_with("2026-01-01")),
        "{text:?}"
    );
}

#[tokio::test]
async fn texts_of_others_forge_no_line_and_no_move_of_a_cursor() -> Result<()> {
    let toml = HiveToml::one("letters", "stdout", "")
        .host("log_format = \"text\"\nlog = \"debug,lapin=off\"")
        .component("fail", "")
        .queue("bombs", "")
        .consumer("bombs", "fail", "retry = { limit = 0 }");
    let (vhost, host) = consuming("forged", toml.clone()).await?;
    let forged = || {
        Message::new(FORGED).with(|properties| {
            properties
                .with_message_id(FORGED.into())
                .with_type(FORGED.into())
        })
    };
    vhost.publish("", "letters", forged()).await?;
    vhost.publish("", "bombs", forged()).await?;
    vhost.wait_ready("bombs.dead", 1).await?;
    for outcome in ["acked", "dead_lettered"] {
        host.wait_for_output(&format!(" outcome={outcome:?}"))
            .await?;
    }
    let lines = host.lines();
    assert!(
        lines.iter().any(|line| line.contains("out says id")),
        "{lines:?}"
    );
    for line in lines {
        assert_plain(&line);
        assert!(line.starts_with("20"), "{line:?} is no line of its own");
    }

    let commands = Commands::on(&vhost, &toml)?;
    for arguments in [&["bombs"][..], &["bombs", "--json"]] {
        for command in ["list", "show"] {
            let ended = commands.run(&["dead", command], arguments).await?;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_plain(&ended.stdout);
            if arguments.contains(&"--json") {
                let letter: Value = serde_json::from_str(ended.stdout.trim_end())?;
                assert_eq!(letter["message-id"], FORGED);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn json_lines_are_lines_of_json_whatever_others_write() -> Result<()> {
    let toml = HiveToml::one("letters", "stdout", "");
    let (vhost, host) = consuming("forged-json", toml).await?;
    vhost.publish("", "letters", Message::new(FORGED)).await?;
    host.wait_for_printed("err says id").await?;
    for line in host.lines() {
        assert_plain(&line);
        let object: Value = serde_json::from_str(&line)?;
        let event = object["event"].as_str().unwrap_or_default();
        assert!(event.contains('.'), "{line} has no event");
    }
    Ok(())
}
