//! Starts that cannot succeed by themselves say why, with both sides named, and go on trying.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, eventually};

/// Waits until a host that cannot consume has told this code and these words in its log, and the words as the
/// reason why it is not ready.
async fn assert_tells(toml: &str, code: &str, told: &[&str]) -> Result<HostProcess> {
    let host = HostProcess::launch(toml)?;
    let error = host.wait_for_level("ERROR").await?;
    let look = async || host.readiness().await;
    let has_a_reason = |(_, readiness): &(u16, serde_json::Value)| {
        let reason = readiness["missing"][0]["reason"].to_string();
        told.iter().all(|word| reason.contains(word))
    };
    assert!(error.names(code), "`{code}` is not told: {error}");
    let (status, readiness) = eventually("readiness tells the reason", look, has_a_reason).await?;
    assert_eq!(status, 503, "{readiness}");
    assert_eq!(readiness["missing"][0]["code"], code, "{readiness}");
    let whole = host.admin("/v1/status").await?.body;
    let whole: serde_json::Value = serde_json::from_str(&whole)?;
    assert_eq!(whole["consumers"][0]["code"], code, "{whole}");
    assert_eq!(readiness["consumers"]["wanted"], 1);
    assert_eq!(readiness["consumers"]["consuming"], 0);
    for word in told {
        assert!(error.names(word), "`{word}` is not told: {error}");
    }
    assert_eq!(host.admin("/livez").await?.status, 200);
    Ok(host)
}

/// Waits for the end of a host that may give up.
async fn assert_gives_up(toml: HiveToml, url: &str) -> Result<()> {
    let toml = toml.connection(r#"reconnect = { first = "10ms", max = "100ms", attempts = 3 }"#);
    let mut host = HostProcess::launch(&toml.text_for(url))?;
    let status = host.wait().await?;
    assert_eq!(status.code(), Some(1), "failed, not a wrong file");
    host.lines_to_the_end();
    assert_eq!(host.count_events("host.gave_up", &[]), 1);
    Ok(())
}

#[tokio::test]
async fn s31_wrong_credentials_are_a_clear_error() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let url = vhost.url_as("guest", "wr0ng-secret");
    let host = assert_tells(
        &toml.text_for(&url),
        "HIVE-0203",
        &["guest", "127.0.0.1", "refuse"],
    )
    .await?;
    assert!(!host.mentions("wr0ng-secret"), "the password is told");
    let readiness = host.admin("/readyz").await?.body;
    assert!(!readiness.contains("wr0ng-secret"), "{readiness}");
    assert_eq!(vhost.queues()?, Vec::<String>::new());
    assert_gives_up(toml, &url).await
}

#[tokio::test]
async fn s31_an_unknown_vhost_is_a_clear_error() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let url = vhost.url().replace(vhost.name(), "no-such-vhost");
    assert_tells(&toml.text_for(&url), "HIVE-0204", &["no-such-vhost"]).await?;
    assert_gives_up(toml, &url).await
}

#[tokio::test]
async fn s31_mismatched_queue_arguments_are_an_error_that_names_both_sides() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s31").await?;
    vhost.declare_queue("letters", "classic").await?;
    let toml = HiveToml::new()
        .queue("letters", r#"type = "quorum""#)
        .component("ack", "")
        .consumer("letters", "ack", "");
    let told = [
        "letters",
        "quorum",
        "classic",
        "match the existing queue, remove the table, or set `passive = true`",
        "deleting the queue would lose its messages",
    ];
    let host = assert_tells(&toml.text(&vhost), "HIVE-0221", &told).await?;
    // Whoever mends it need not restart the host.
    vhost.delete_queue("letters").await?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "letters")])
        .await?;
    vhost.delete_queue("letters").await?;
    vhost.declare_queue("letters", "classic").await?;
    assert_gives_up(toml, &vhost.url()).await
}

#[tokio::test]
async fn a_queue_that_does_not_fit_keeps_nobody_else_waiting() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("mismatch").await?;
    vhost.declare_queue("letters", "classic").await?;
    let toml = HiveToml::new()
        .component("ack", "")
        .queue("letters", r#"type = "quorum""#)
        .consumer("letters", "ack", "")
        .queue("parcels", "")
        .consumer("parcels", "ack", "")
        .consumer("telegrams", "ack", "");
    let host = HostProcess::launch(&toml.text(&vhost))?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "parcels")])
        .await?;
    let look = async || host.readiness().await;
    let two_are_missing =
        |(_, readiness): &(u16, serde_json::Value)| readiness["consumers"]["consuming"] == 1;
    let (status, readiness) = eventually("one of three consumes", look, two_are_missing).await?;
    assert_eq!(status, 503);
    let missing = readiness["missing"].as_array().expect("a list of them");
    let queues: Vec<_> = missing.iter().map(|one| one["queue"].as_str()).collect();
    assert_eq!(queues, [Some("letters"), Some("telegrams")]);
    assert!(readiness.to_string().contains("NOT_FOUND"), "{readiness}");
    // A queue that is not there yet is waited for.
    vhost.declare_queue("telegrams", "quorum").await?;
    host.wait_for_event("consumer.subscribed", &[("consumer", "telegrams")])
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_admin_address_that_is_taken_is_an_error_where_it_was_named() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("admin").await?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let admin = format!(r#"admin = "{}""#, taken.local_addr()?);
    let toml = HiveToml::one("letters", "ack", "").host(&admin);
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    assert_eq!(host.wait().await?.code(), Some(1));
    host.lines_to_the_end();
    assert!(host.mentions("error[HIVE-0501]: "));
    assert!(host.mentions("`host.admin`"));
    Ok(())
}
