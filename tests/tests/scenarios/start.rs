//! Starts that cannot succeed say why, with both sides named, and end.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess};

/// Waits for the end of a host that cannot start, and checks what it said.
async fn assert_gives_up(toml: &str, told: &[&str]) -> Result<HostProcess> {
    let mut host = HostProcess::launch(toml)?;
    let status = host.wait().await?;
    assert_eq!(
        status.code(),
        Some(1),
        "failed while running, not a wrong file"
    );
    let log = host.lines().join("\n");
    for word in told {
        assert!(log.contains(word), "`{word}` is not told:\n{log}");
    }
    Ok(host)
}

#[tokio::test]
async fn s31_wrong_credentials_are_a_clear_error() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let url = vhost.url_as("guest", "wr0ng-secret");
    let host = assert_gives_up(&toml.text_for(&url), &["guest", "127.0.0.1"]).await?;
    assert_eq!(host.count("wr0ng-secret"), 0, "the password is told");
    assert_eq!(vhost.queues()?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn s31_an_unknown_vhost_is_a_clear_error() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let url = vhost.url().replace(vhost.name(), "no-such-vhost");
    assert_gives_up(&toml.text_for(&url), &["no-such-vhost"]).await?;
    Ok(())
}

#[tokio::test]
async fn s31_mismatched_queue_arguments_are_an_error_that_names_both_sides() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    vhost.declare_queue("letters", "classic").await?;
    let toml = HiveToml::new()
        .queue("letters", r#"type = "quorum""#)
        .component("ack", "")
        .consumer("letters", "ack", "");
    assert_gives_up(&toml.text(&vhost), &["letters", "quorum", "classic"]).await?;
    Ok(())
}
