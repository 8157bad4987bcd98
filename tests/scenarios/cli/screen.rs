//! `hive-host status --watch` at a terminal: a screen that takes keys, and leaves the terminal as it was.

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Shell, Terminal, Vhost, eventually, scratch, signal,
};

/// Leaves the second screen of a terminal (xterm, "Alternate Screen Buffer").
const LEFT: &str = "\u{1b}[?1049l";

/// A host, and a terminal of 100 by 40 at which its status is watched. The shell says how that ended, and how the terminal
/// is then.
async fn watched(label: &str) -> Result<(Vhost, HostProcess, Terminal)> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("orders", "")
        .component("ack", "")
        .component("fail", "")
        .consumer("letters", "ack", "")
        .consumer("orders", "fail", "retry = \"none\"");
    let file = HiveToml::write(&scratch("screen"), &toml.text(&vhost))?;
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let status = format!(
        "hive-host status {} --admin 127.0.0.1:{} --watch",
        file.display(),
        host.admin_port().await?
    );
    let line = format!(
        "stty rows 40 cols 100; sh -c 'echo \"process $$.\"; exec {status}'; echo \"ended $?.\"; stty -a"
    );
    let terminal = Shell::within(&scratch("screen")).at_a_terminal(&line)?;
    terminal.shows("letters").await?;
    Ok((vhost, host, terminal))
}

/// The terminal is as it was: the first screen, with lines and with an echo.
async fn ended(terminal: &Terminal, code: i32) -> Result<()> {
    terminal.shows(&format!("ended {code}.")).await?;
    terminal.shows(" icanon").await?;
    let text = terminal.text();
    let after = text.rsplit_once(LEFT).context("the screen was left")?.1;
    ensure!(after.contains("ended"), "{after:?}");
    ensure!(
        after.contains(" echo ") && !after.contains("-echo "),
        "{after:?}"
    );
    Ok(())
}

#[tokio::test]
async fn consumers_are_sorted_and_opened_by_keys() -> Result<()> {
    let (vhost, _host, mut terminal) = watched("screen").await?;
    // Only what changes is drawn, so that what is new there is waited for by itself.
    terminal.shows("CONSUMER▾").await?;
    terminal.types("s")?;
    let text = async || Ok(terminal.text());
    let is_sorted = |text: &String| text.matches('▾').count() > 1;
    eventually("another column is sorted by", text, is_sorted).await?;
    let letter = Message::new("tea").with(|all| all.with_message_id("o-1".into()));
    vhost.publish("", "orders", letter).await?;
    vhost.wait_ready("orders.dead", 1).await?;
    terminal.types("j\r")?;
    terminal.shows("failures").await?;
    terminal.shows("dead-lettered").await?;
    terminal.types("\u{1b}")?;
    terminal.types("S")?;
    terminal.types("q")?;
    ended(&terminal, 0).await
}

#[tokio::test]
async fn the_terminal_is_restored_at_ctrl_c_and_at_a_signal() -> Result<()> {
    let (_vhost, _host, mut terminal) = watched("screen-ctrl-c").await?;
    terminal.types("\u{3}")?;
    ended(&terminal, 0).await?;
    let (_vhost, _host, terminal) = watched("screen-signal").await?;
    let text = terminal.text();
    let process = text
        .split_once("process ")
        .context("it says which it is")?
        .1;
    let (process, _) = process.split_once('.').context("behind the number")?;
    signal(process.parse()?, "TERM");
    ended(&terminal, 0).await
}

#[tokio::test]
async fn a_host_that_ends_is_an_error_on_a_terminal_as_it_was() -> Result<()> {
    let (_vhost, mut host, terminal) = watched("screen-away").await?;
    host.stop().await?;
    ended(&terminal, 1).await?;
    let text = terminal.text();
    let after = text.rsplit_once(LEFT).context("the screen was left")?.1;
    ensure!(
        after.contains("error[HIVE-0502]: no host answers at"),
        "{after:?}"
    );
    Ok(())
}
