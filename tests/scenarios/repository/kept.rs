//! The broker that `scripts/smoke` keeps up between runs: found again, cleaned up, and replaced when it has a fault.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use hive_tests::{Kept, Message, Version, eventually, scratch};

/// Runs the program that `scripts/smoke` asks for the broker, in the version of this run.
fn program(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_kept-broker"))
        .arg("--folder")
        .arg(folder)
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(output)
}

fn record(folder: &Path) -> Result<String> {
    let record = folder.join("record.json");
    std::fs::read_to_string(record).context("no broker is kept")
}

#[tokio::test]
async fn it_is_found_again_and_cleaned_up_and_its_faults_are_noticed() -> Result<()> {
    let folder = scratch("kept");
    let version = Version::of_run()?;
    let kept = Kept::of(version).at(&folder);
    ensure!(kept.used().is_err(), "there is none yet");
    // Not for long, should this test fail.
    program(&folder, &["--idle", "120", "ensure"])?;
    let first = record(&folder)?;
    program(&folder, &["ensure"])?;
    assert_eq!(record(&folder)?, first, "it was not found again");

    let broker = kept.used()?;
    let vhost = broker.vhost("kept").await?;
    vhost.declare_queue("letters", "quorum").await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    assert_eq!(vhost.ready("letters").await?, 1);
    let told = broker.rabbitmqctl(&["eval", "rabbit_misc:version()."])?;
    ensure!(told.contains(&format!("{version}.")), "{told}");
    let refused = broker.kill9().await.err().context("others use it too")?;
    ensure!(refused.to_string().contains("Broker::private"), "{refused}");

    // Once nobody uses it, what was left in it goes.
    let management = broker.management();
    drop(broker);
    let vhosts = async || Ok(management.get("/vhosts")?.as_array().map(Vec::len));
    eventually("the vhost is deleted", vhosts, |count| *count == Some(1)).await?;

    for other in Version::ALL.into_iter().filter(|other| *other != version) {
        let fault = Kept::of(other).at(&folder).fault()?;
        let fault = fault.context("it is another version")?;
        ensure!(fault.contains("it is RabbitMQ"), "{fault}");
    }
    let changed = first.replace("disk_free_limit", "disk_full_limit");
    std::fs::write(folder.join("record.json"), changed)?;
    let fault = kept.fault()?.context("it has other settings")?;
    ensure!(fault.contains("other settings"), "{fault}");

    let replaced = program(&folder, &["--idle", "1", "ensure"])?;
    let told = String::from_utf8_lossy(&replaced.stderr);
    ensure!(told.contains("other settings"), "{told}");
    let second = record(&folder)?;
    ensure!(second != first, "it was not replaced");
    // Nobody asks for it again.
    let gone = async || Ok(record(&folder).is_err());
    eventually("it has ended by itself", gone, |gone| *gone).await?;
    eventually("its holder too", async || kept.stop().await, |was| !was).await?;
    Ok(())
}
