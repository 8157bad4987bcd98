//! A broker that is short of memory: requests are told to come again.

use anyhow::Result;
use hive_tests::{Broker, HostProcess, eventually};

use super::client::{JSON, post, ready, tracks};

#[tokio::test]
async fn a_broker_that_takes_nothing_is_told_at_once_and_again_when_it_does() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("http-alarm").await?;
    let mut host = HostProcess::run(&vhost, &tracks("")).await?;
    let port = ready(&host).await?;
    assert_eq!(post(port, JSON, "\"before\"").await?.status, 202);
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0"])?;
    // The broker says that it blocks at the first publication, which then waits at the broker.
    let first = post(port, JSON, "\"first\"").await?;
    assert_eq!(first.status, 503, "{first:?}");
    host.wait_for_event("link.blocked", &[]).await?;
    let refused = post(port, JSON, "\"refused\"").await?;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.code(), "HIVE-0612");
    broker.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"])?;
    let look = async || Ok(post(port, JSON, "\"after\"").await?.status);
    eventually("requests are taken again", look, |status| *status == 202).await?;
    host.stop().await?;
    let stored = vhost.drain("tracks").await?;
    let texts: Vec<_> = stored.iter().map(|message| message.text()).collect();
    assert!(!texts.contains(&"\"refused\"".to_owned()), "{texts:?}");
    let after = texts.iter().filter(|text| *text == "\"after\"").count();
    assert_eq!(after, 1, "{texts:?}");
    Ok(())
}
