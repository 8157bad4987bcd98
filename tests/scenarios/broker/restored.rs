//! What somebody takes away from the broker's topology while a host runs comes back within a minute.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually_within};
use lapin::ExchangeKind;
use lapin::types::FieldTable;

/// A minute, and what a machine with other things to do takes on top.
const SOON: Duration = Duration::from_secs(90);

fn bound() -> HiveToml {
    HiveToml::new()
        .exchange("post", "type = \"topic\"")
        .queue(
            "letters",
            "bindings = [{ exchange = \"post\", routing_key = \"letter.#\" }]",
        )
        .queue(
            "audit",
            "bindings = [{ exchange = \"post\", routing_key = \"#\" }]",
        )
        .component("ack", "")
        .consumer("letters", "ack", "")
}

/// Waits until what is published to the exchange is in this queue, which nobody consumes.
async fn wait_until_bound(vhost: &Vhost, queue: &str) -> Result<()> {
    let look = async || {
        vhost
            .publish("post", "letter.one", Message::new("hello"))
            .await?;
        vhost.ready(queue).await
    };
    eventually_within(SOON, "the queue is bound again", look, |ready| *ready > 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_binding_that_was_removed_comes_back() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("restored").await?;
    let _host = HostProcess::run(&vhost, &bound()).await?;
    let channel = vhost.channel().await?;
    channel
        .queue_unbind(
            "audit".into(),
            "post".into(),
            "#".into(),
            FieldTable::default(),
        )
        .await?;
    wait_until_bound(&vhost, "audit").await
}

#[tokio::test]
async fn a_queue_and_an_exchange_that_were_deleted_come_back() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("restored").await?;
    let _host = HostProcess::run(&vhost, &bound()).await?;
    vhost.delete_queue("audit").await?;
    let channel = vhost.channel().await?;
    channel
        .exchange_delete("post".into(), Default::default())
        .await?;
    let look = async || Ok(vhost.queues()?.contains(&"audit".to_owned()));
    eventually_within(SOON, "the queue is there again", look, |is_there| *is_there).await?;
    wait_until_bound(&vhost, "audit").await
}

/// One that only has to exist is somebody else's.
#[tokio::test]
async fn a_passive_exchange_is_left_alone() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("restored").await?;
    vhost
        .declare_exchange("theirs", ExchangeKind::Topic)
        .await?;
    let toml = bound().exchange("theirs", "type = \"topic\"\npassive = true");
    let host = HostProcess::run(&vhost, &toml).await?;
    let channel = vhost.channel().await?;
    channel
        .exchange_delete("theirs".into(), Default::default())
        .await?;
    channel
        .queue_unbind(
            "audit".into(),
            "post".into(),
            "#".into(),
            FieldTable::default(),
        )
        .await?;
    // The same round that makes the binding again leaves the exchange.
    wait_until_bound(&vhost, "audit").await?;
    let exchanges = vhost
        .management()
        .get(&format!("/exchanges/{}", vhost.name()))?;
    assert!(!exchanges.to_string().contains("theirs"), "{exchanges}");
    assert_eq!(host.readiness().await?.0, 200);
    Ok(())
}

/// rabbitmq/messaging-topology-operator#1007: by hand, so without its bindings. 3.10 says nothing to its
/// consumer, goes on counting it, and gives it nothing.
#[tokio::test]
async fn a_consumed_queue_that_was_made_again_by_hand_is_bound() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("restored").await?;
    let toml = HiveToml::new()
        .exchange("post", "type = \"topic\"")
        .queue(
            "letters",
            "bindings = [{ exchange = \"post\", routing_key = \"#\" }]",
        )
        .queue("out", "")
        .component("echo", "")
        .consumer("letters", "echo", "");
    let _host = HostProcess::run(&vhost, &toml).await?;
    vhost.delete_queue("letters").await?;
    // It may be there already, from the host.
    drop(vhost.declare_queue("letters", "quorum").await);
    wait_until_bound(&vhost, "out").await
}
