//! An object store that is away, slow, full, missing or forbidden: nothing is acknowledged, no retry is spent, and the
//! reason is in the log and in readiness.

use anyhow::Result;
use hive_tests::{BUCKET, Broker, HostProcess, Message, S3Server, Vhost, eventually, scratch};

use super::containers::{launch, obedient};

/// A message whose call fails if its store does.
async fn publish(vhost: &Vhost) -> Result<()> {
    publish_request(vhost, "put a content").await
}

async fn publish_request(vhost: &Vhost, request: &str) -> Result<()> {
    let message = Message::new(format!("fail box {request}"));
    vhost.publish("", "letters", message).await
}

/// The delivery is kept, and the reason is reported wherever somebody looks for it.
async fn kept(host: &HostProcess) -> Result<String> {
    host.wait_for_event("objects.away", &[("container", "box")])
        .await?;
    host.wait_for_event("delivery.kept", &[]).await?;
    let look = async || Ok(host.readiness().await?.1["keeping"].clone());
    let is_kept = |keeping: &serde_json::Value| keeping[0]["reason"].is_string();
    let keeping = eventually("readiness has the reason", look, is_kept).await?;
    let reason = keeping[0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(
        reason.contains("the object store of container \"box\""),
        "{reason}"
    );
    assert_eq!(host.count_events("delivery.settled", &[]), 0);
    Ok(reason)
}

/// The store is back: the same delivery is handled, at its first attempt.
async fn handled(vhost: &Vhost, host: &HostProcess) -> Result<()> {
    answered(vhost, host, "done").await
}

async fn answered(vhost: &Vhost, host: &HostProcess, answer: &str) -> Result<()> {
    assert_eq!(vhost.take_one("out").await?.text(), answer);
    assert_eq!(host.count_events("delivery.settled", &[]), 0, "a retry");
    host.wait_for_event("objects.back", &[("container", "box")])
        .await?;
    Ok(())
}

async fn with_a_bucket(server: &S3Server, timeout: &str) -> Result<(Vhost, HostProcess)> {
    let vhost = Broker::shared().await?.vhost("outages").await?;
    let toml = obedient(
        &format!("box = \"s3://{BUCKET}/a\""),
        &format!("timeout = \"{timeout}\""),
    );
    let host = launch(&vhost, &toml, &server.variables()).await?;
    Ok((vhost, host))
}

#[tokio::test]
async fn a_store_that_is_away() -> Result<()> {
    let server = S3Server::start().await?;
    server.kill9()?;
    let (vhost, mut host) = with_a_bucket(&server, "5s").await?;
    publish(&vhost).await?;
    kept(&host).await?;
    server.restart().await?;
    handled(&vhost, &host).await?;
    host.stop().await
}

#[tokio::test]
async fn a_store_that_does_not_answer() -> Result<()> {
    let server = S3Server::start().await?;
    server.stall()?;
    let (vhost, mut host) = with_a_bucket(&server, "2s").await?;
    publish(&vhost).await?;
    let reason = kept(&host).await?;
    assert!(reason.contains("did not answer"), "{reason}");
    server.wake()?;
    handled(&vhost, &host).await?;
    host.stop().await
}

#[tokio::test]
async fn a_bucket_that_is_missing() -> Result<()> {
    let server = S3Server::start().await?;
    server.remove_bucket()?;
    let (vhost, mut host) = with_a_bucket(&server, "5s").await?;
    // This server would make the bucket for an object that is written.
    publish_request(&vhost, "names").await?;
    let reason = kept(&host).await?;
    assert!(reason.contains("NoSuchBucket"), "{reason}");
    server.make_bucket()?;
    answered(&vhost, &host, "").await?;
    host.stop().await
}

#[tokio::test]
async fn a_store_that_refuses_the_credentials() -> Result<()> {
    let server = S3Server::start().await?;
    let vhost = Broker::shared().await?.vhost("outages").await?;
    let toml = obedient(&format!("box = \"s3://{BUCKET}/a\""), "");
    let mut host = launch(&vhost, &toml, &server.variables_with("another-one")).await?;
    publish(&vhost).await?;
    let reason = kept(&host).await?;
    assert!(reason.contains("SignatureDoesNotMatch"), "{reason}");
    assert!(!host.mentions("another-one"), "the secret is in the log");
    host.stop().await?;
    // It is back in its queue, and nothing was spent.
    let host = launch(&vhost, &toml, &server.variables()).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "done");
    assert_eq!(host.count_events("delivery.settled", &[]), 0, "a retry");
    Ok(())
}

#[tokio::test]
async fn a_directory_that_is_full() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("outages").await?;
    let folder = scratch("box");
    let containers = format!("box = \"file:{}\"", folder.display());
    let mut host = launch(&vhost, &obedient(&containers, ""), &[]).await?;
    // No file of the host may grow any more, which is what a full disk does to it.
    host.limit_files(Some(0))?;
    publish(&vhost).await?;
    kept(&host).await?;
    assert!(!folder.join("a").exists());
    host.limit_files(None)?;
    handled(&vhost, &host).await?;
    assert_eq!(std::fs::read_to_string(folder.join("a"))?, "content");
    host.stop().await
}
