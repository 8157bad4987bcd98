//! `hive-host dev`: built, run, built again.

use std::path::Path;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, guest, scratch};

/// Nobody listens there: `--broker` wins over it.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

#[tokio::test]
async fn a_changed_source_is_built_and_swapped_and_deliveries_are_shown() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dev").await?;
    let folder = scratch("dev");
    let source = folder.join("source.txt");
    let point_at = |guest: &Path| std::fs::write(&source, guest.display().to_string());
    point_at(&guest("ack"))?;
    let build = "build = 'cp \"$(cat source.txt)\" made.wasm'";
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component_at("scribe", &folder.join("made.wasm"), build)
        .consumer("letters", "scribe", "");
    let file = folder.join("hive.toml");
    std::fs::write(&file, toml.text_for(NO_BROKER))?;
    let feed = folder.join("feed.jsonl");
    std::fs::write(&feed, "{\"message-id\": \"first\", \"body\": \"hello\"}\n")?;

    let (url, file) = (vhost.url(), file.to_string_lossy().into_owned());
    let feed = feed.to_string_lossy().into_owned();
    let arguments = ["dev", &file, "--broker", &url, "--feed", &feed];
    let mut host = HostProcess::launch_command(&arguments)?;
    host.wait_for_output("built scribe in ").await?;
    host.wait_for_output("fed 1 messages").await?;
    host.wait_for_output("letters first: ack (").await?;

    std::fs::write(&source, "no-such-file")?;
    host.wait_for_output("what was built before stays").await?;
    let letter = |id: &str| Message::new("hello").with(|all| all.with_message_id(id.into()));
    vhost.publish("", "letters", letter("second")).await?;
    host.wait_for_output("letters second: ack (").await?;

    point_at(&guest("publish"))?;
    host.wait_for_output(" before=1 generation=2").await?;
    vhost.publish("", "letters", letter("third")).await?;
    host.wait_for_output("letters third: publish 1 (").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "hello");
    host.stop().await
}

#[tokio::test]
async fn a_component_that_cannot_run_is_told_and_waited_for() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dev-broken").await?;
    let folder = scratch("dev-broken");
    let source = folder.join("source.txt");
    std::fs::write(&source, "no component")?;
    let build = "build = 'cp source.txt made.wasm'";
    let toml = HiveToml::new()
        .queue("letters", "")
        .component_at("scribe", &folder.join("made.wasm"), build)
        .consumer("letters", "scribe", "");
    let file = folder.join("hive.toml");
    std::fs::write(&file, toml.text(&vhost))?;
    let mut host = HostProcess::launch_command(&["dev", &file.to_string_lossy()])?;
    host.wait_for_output("it is not WebAssembly").await?;
    host.wait_for_output("waiting for a change of the sources")
        .await?;
    std::fs::copy(guest("ack"), &source)?;
    host.wait_for_output("consumer=letters queue=letters")
        .await?;
    host.stop().await
}
