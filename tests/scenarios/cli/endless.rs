//! What a command reads from where there is no end, or no writer.

use std::path::Path;

use anyhow::{Result, ensure};
use hive_tests::{Commands, Finished, HiveToml, Shell, guest, run_to_end, scratch};

const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

#[track_caller]
fn assert_refused(ended: &Finished, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(says), "{ended:?}");
}

fn pipe(folder: &Path) -> Result<String> {
    let pipe = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    ensure!(made.success(), "mkfifo: {made}");
    Ok(pipe.to_string_lossy().into_owned())
}

#[tokio::test]
async fn a_body_without_an_end_is_refused() -> Result<()> {
    let folder = scratch("endless");
    let pipe = pipe(&folder)?;
    let component = guest("ack").to_string_lossy().into_owned();
    let too_large = "has more than 134217728 bytes";
    let ended = run_to_end(&["invoke", &component, "--body", "/dev/zero"])?;
    assert_refused(&ended, 2, too_large);
    for key in ["--body", "--message"] {
        let ended = run_to_end(&["invoke", &component, key, &pipe])?;
        assert_refused(&ended, 2, "it is a pipe");
    }
    let toml = HiveToml::one("letters", "ack", "").text_for(NO_BROKER);
    std::fs::write(folder.join("hive.toml"), toml)?;
    let publish = "hive-host publish hive.toml '' letters < /dev/zero";
    let ended = Shell::within(&folder).run(publish).await?;
    assert_refused(&ended, 1, too_large);
    Ok(())
}

/// As a shell gives the output of another command to one that wants a file.
#[tokio::test]
async fn a_body_from_a_pipe_that_is_open_is_read() -> Result<()> {
    let component = guest("stdout");
    let command = format!(
        "printf hello | hive-host invoke {} --body /dev/stdin",
        component.display()
    );
    let ended = Shell::within(&scratch("endless")).run(&command).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("out says hello"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_of_hive_toml_without_an_end_is_a_fault() -> Result<()> {
    let folder = scratch("endless");
    let pipe = pipe(&folder)?;
    let ended = run_to_end(&["check", "/dev/zero"])?;
    assert_refused(&ended, 2, "has more than");
    let ended = run_to_end(&["check", &pipe])?;
    assert_refused(&ended, 2, "it is a pipe");
    for (path, is) in [("/dev/zero", "a device"), (pipe.as_str(), "a pipe")] {
        let file = folder.join("hive.toml");
        let toml = HiveToml::new().text_for(&format!("file:{path}"));
        std::fs::write(&file, toml)?;
        let ended = Commands::on_file(&file, &[]).run(&["check"], &[]).await?;
        assert_refused(&ended, 2, &format!("it is {is}, not a regular file"));
    }
    Ok(())
}
