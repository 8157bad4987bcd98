//! Requests with an idempotency key that was seen before.

use anyhow::Result;
use hive_tests::HostProcess;

use super::client::{JSON, post, ready, request, serving, tracks};

const DEDUP: &str = "publish_dedup = { period = \"1h\" }";

fn keyed(key: &str) -> String {
    format!("{JSON}idempotency-key: {key}\r\n")
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_and_published_once_over_restarts() -> Result<()> {
    let folder = hive_tests::scratch("http-repeats");
    let file = folder.join("hive.toml");
    let vhost = hive_tests::Broker::shared()
        .await?
        .vhost("http-repeats")
        .await?;
    for _ in 0..2 {
        let mut host = HostProcess::run_file(&vhost, &tracks(DEDUP), &file).await?;
        let port = ready(&host).await?;
        for key in ["k-1", "k-1", "k-2", "\"k-1\""] {
            let answer = post(port, &keyed(key), "1").await?;
            let id = key.trim_matches('"');
            assert_eq!(answer.status, 202, "{answer:?}");
            assert_eq!(answer.body, format!("{{\"message_id\":\"{id}\"}}"));
        }
        host.stop().await?;
    }
    let stored = vhost.drain("tracks").await?;
    let ids: Vec<_> = stored
        .iter()
        .map(|message| message.id().to_owned())
        .collect();
    assert_eq!(ids, ["k-1", "k-2"]);
    Ok(())
}

#[tokio::test]
async fn two_at_once_with_one_key_are_one_publication() -> Result<()> {
    const AT_ONCE: usize = 20;
    let (vhost, mut host, port) = serving("http-at-once", &tracks(DEDUP)).await?;
    for round in 0..10 {
        let headers = keyed(&format!("k-{round}"));
        let sending = (0..AT_ONCE).map(|_| post(port, &headers, "1"));
        for answer in futures_util::future::try_join_all(sending).await? {
            assert_eq!(answer.status, 202, "{answer:?}");
        }
    }
    host.stop().await?;
    assert_eq!(vhost.drain("tracks").await?.len(), 10);
    Ok(())
}

#[tokio::test]
async fn a_key_whose_message_was_not_stored_is_new() -> Result<()> {
    let toml = tracks("").section(
        "http.routes.\"POST /later\"",
        &format!("exchange = \"\"\nrouting_key = \"later\"\n{DEDUP}"),
    );
    let (vhost, mut host, port) = serving("http-not-stored", &toml).await?;
    let send = async || request(port, "POST /later", &keyed("k-1"), "1").await;
    assert_eq!(send().await?.status, 422);
    vhost.declare_queue("later", "quorum").await?;
    for _ in 0..2 {
        assert_eq!(send().await?.status, 202);
    }
    host.stop().await?;
    assert_eq!(vhost.drain("later").await?.len(), 1);
    Ok(())
}
