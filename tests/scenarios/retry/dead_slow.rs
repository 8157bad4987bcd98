//! `hive-host dead` over a link on which a letter takes longer than a reader waits before it asks what is left.

use anyhow::Result;
use hive_tests::{Broker, Commands, HiveToml, Message, Proxy, scratch};

/// Bytes in a second, and of a letter: together they take less than a question waits for its answer, which comes behind them.
const BANDWIDTH: usize = 256 * 1024;

#[tokio::test]
async fn letters_that_take_a_second_each_are_all_listed() -> Result<()> {
    const LETTERS: u32 = 3;
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("dead-slow").await?;
    vhost.declare_queue("graveyard", "quorum").await?;
    let letters = (0..LETTERS).map(|_| Message::new("x".repeat(BANDWIDTH)));
    vhost.publish_all("", "graveyard", letters).await?;
    let proxy = Proxy::start(broker.port())?;
    let toml = HiveToml::new().queue("letters", "");
    let toml = toml
        .component("reject", "")
        .consumer("letters", "reject", "");
    let file = HiveToml::write(
        &scratch("dead-slow"),
        &toml.text_for(&vhost.url_through(&proxy)),
    )?;
    proxy.bandwidth(BANDWIDTH as u64);
    let commands = Commands::on_file(&file, &[]);
    let arguments = ["graveyard", "--json"];
    let listed = commands.run(&["dead", "list"], &arguments).await?;
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert_eq!(listed.json_lines()?.len(), LETTERS as usize);
    Ok(())
}
