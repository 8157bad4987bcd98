//! The host as containers run it: the first process, without root, without a home, on a file system that it cannot
//! write, and with orchestrators that say nothing but SIGTERM.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, Container, HiveToml, HostProcess, Message, Vhost, eventually, guest, host_binary,
    scratch, signal, start, workspace,
};
use serde_json::Value;

/// A hive.toml that says nothing of the log, where the container cannot write.
fn write(vhost: &Vhost, toml: &HiveToml) -> Result<String> {
    let file = scratch("mounted").join("hive.toml");
    let text = toml.text(vhost).replace("log_format = \"json\"\n", "");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

async fn run(container: &Container, file: &str) -> Result<HostProcess> {
    let json = [("HIVE_LOG_FORMAT", "json")];
    let host = HostProcess::launch_in(container, &["run", file], &json).await?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    Ok(host)
}

#[tokio::test]
async fn the_first_process_without_root_home_or_a_disk_works_and_drains_at_sigterm() -> Result<()> {
    let Some(container) = Container::new("a host in a container") else {
        return Ok(());
    };
    let vhost = Broker::shared().await?.vhost("container").await?;
    let toml = HiveToml::one("letters", "slow", "").queue("out", "");
    let file = write(&vhost, &toml)?;
    let mut host = run(&container, &file).await?;
    let of = |name: &str| -> Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", host.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("no such line")?.trim().to_owned())
    };
    ensure!(of("NSpid:")?.ends_with("\t1"), "it is not the first");
    ensure!(of("Uid:")?.starts_with("10001\t"), "it has another user");
    ensure!(of("CapBnd:")? == "0000000000000000", "it has rights");
    vhost.publish("", "letters", Message::new("500")).await?;
    host.wait_for_printed("started").await?;
    host.stop().await?;
    assert_eq!(vhost.ready("out").await?, 1, "it did not finish its work");
    let lines = host.lines_to_the_end();
    let is_json = |line: &&String| serde_json::from_str::<Value>(line).is_ok();
    assert_eq!(lines.iter().find(|line| !is_json(line)), None);
    assert_eq!(host.count_level("ERROR"), 0);
    Ok(())
}

/// Two deaths in a row make a suspect of a message, which a host without a disk can remember only in memory.
#[tokio::test]
async fn a_message_that_outlives_two_containers_is_handled_by_the_third() -> Result<()> {
    let Some(container) = Container::new("a killed host in a container") else {
        return Ok(());
    };
    let vhost = Broker::shared().await?.vhost("container-killed").await?;
    let toml = HiveToml::one("letters", "slow", "").queue("out", "");
    let file = write(&vhost, &toml)?;
    let mut host = run(&container, &file).await?;
    vhost.publish("", "letters", Message::new("4000")).await?;
    for _ in 0..2 {
        host.wait_for_printed("started").await?;
        host.kill9()?;
        host = run(&container, &file).await?;
    }
    vhost.wait_ready("out", 1).await?;
    host.stop().await
}

#[tokio::test]
async fn the_first_process_takes_leave_of_children_that_others_left_behind() -> Result<()> {
    let Some(container) = Container::new("a container with orphans") else {
        return Ok(());
    };
    let vhost = Broker::shared().await?.vhost("container-orphans").await?;
    let file = write(&vhost, &HiveToml::one("letters", "ack", ""))?;
    let mut host = run(&container, &file).await?;
    host.run_inside("sleep 600 >/dev/null 2>&1 &")?;
    let look = async || Ok(host.children());
    let orphans = eventually("the host has an orphan", look, |found| found.len() == 1).await?;
    signal(orphans[0], "KILL");
    eventually("no zombie is left", look, Vec::is_empty).await?;
    host.stop().await
}

/// The files of the image, without an engine: the program, its libraries, and nobody else's.
#[tokio::test]
async fn the_files_of_the_image_are_all_that_a_host_needs() -> Result<()> {
    if Container::new("the files of the image").is_none() {
        return Ok(());
    }
    let root = scratch("image");
    let laid_down = Command::new(workspace().join("scripts/image-root"))
        .arg(host_binary())
        .arg(&root)
        .output()?;
    ensure!(laid_down.status.success(), "{laid_down:?}");
    let mut demo = Command::new("chroot");
    demo.arg("--userspec=10001:10001")
        .arg(&root)
        .args(["/usr/bin/hive-host", "demo"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ended = start(&mut demo)?.wait_with_output()?;
    ensure!(ended.status.success(), "{ended:?}");
    assert!(!root.join("bin/sh").exists(), "there is a shell");
    Ok(())
}

/// A command has no handler for signals, and the kernel takes no default action for a first process.
#[tokio::test]
async fn a_command_as_the_first_process_ends_at_sigterm() -> Result<()> {
    let Some(container) = Container::new("a command in a container") else {
        return Ok(());
    };
    let component = guest("slow");
    let component = component.to_string_lossy();
    let message = scratch("message").join("message.json");
    std::fs::write(&message, r#"{"body": "60000"}"#)?;
    let message = message.to_string_lossy();
    let arguments = ["invoke", &*component, "--message", &*message];
    let mut command = HostProcess::launch_in(&container, &arguments, &[]).await?;
    let handles = async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", command.id()))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        Ok(u64::from_str_radix(caught.context("no SigCgt")?.trim(), 16)? & (1 << 14) != 0)
    };
    eventually("SIGTERM is handled", handles, |handled| *handled).await?;
    command.sigterm();
    assert_eq!(command.wait().await?.code(), Some(143));
    Ok(())
}
