//! A broker that tells of queues as they come and go: nobody waits for the next look.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, User, Version, Vhost, eventually_within};
use serde_json::Value;

use super::queues::{PATIENCE, discovery, echoes, is_consumed};

/// The exchange of the events is in one vhost of the broker.
const CONFIGURATION: &str = "default_vhost = shop\nevent_exchange.vhost = shop\n";

/// A host that looks at the queues once an hour.
fn seldom_looking(vhost: &Vhost) -> HiveToml {
    let keys = format!(
        "management = \"http://guest:guest@127.0.0.1:{}\"\ndiscover_every = \"1h\"",
        vhost.management().port()
    );
    let tenants = "queues = \"tenant.*\"\ncomponent = \"echo\"\nprefetch = 1";
    HiveToml::new()
        .connection(&keys)
        .queue("out", "")
        .component("echo", "")
        .section("consumers.tenants", tenants)
}

async fn comes_to(host: &HostProcess, key: &str, value: impl Into<Value>) -> Result<()> {
    let value = value.into();
    let look = async || Ok(discovery(host).await?.1);
    let is_there = |view: &Value| view[key] == value;
    eventually_within(PATIENCE, &format!("{key} is {value}"), look, is_there).await?;
    Ok(())
}

#[tokio::test]
async fn a_queue_is_found_and_let_go_when_the_broker_says_so() -> Result<()> {
    let plugins = ["rabbitmq_event_exchange"];
    let broker = Broker::private_with(Version::of_run()?, CONFIGURATION, &plugins).await?;
    let vhost = broker.default_vhost("shop");
    let mut host = HostProcess::run(&vhost, &seldom_looking(&vhost)).await?;
    comes_to(&host, "events", true).await?;
    for queue in ["tenant.a", "tenant.ü /%2f?&#\"'*"] {
        vhost.declare_queue(queue, "quorum").await?;
        is_consumed(&vhost, queue).await?;
        echoes(&vhost, queue).await?;
    }
    vhost.delete_queue("tenant.a").await?;
    comes_to(&host, "discovered", 1).await?;

    // What comes while nobody listens is found when somebody listens again.
    broker.close_connections(&vhost)?;
    vhost.declare_queue("tenant.b", "quorum").await?;
    is_consumed(&vhost, "tenant.b").await?;
    comes_to(&host, "events", true).await?;
    vhost.delete_queue("tenant.b").await?;
    comes_to(&host, "discovered", 1).await?;
    host.stop().await?;

    // Whoever may not read the events looks at the queues, as without them.
    let user = User::new(&broker, &vhost)?;
    let all_but_events = r"^(?!amq\.rabbitmq).*$";
    user.permit(".*", ".*", all_but_events)?;
    let host = HostProcess::run_at(&user.url(), &seldom_looking(&vhost)).await?;
    is_consumed(&vhost, "tenant.ü /%2f?&#\"'*").await?;
    comes_to(&host, "events", false).await?;
    assert_eq!(host.count_events("link.lost", &[]), 0);
    Ok(())
}
