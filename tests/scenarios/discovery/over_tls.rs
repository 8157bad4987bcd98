//! The management interface over TLS: whom the host trusts there.

use anyhow::Result;
use hive_tests::{Authority, HiveToml, HostProcess, TlsBroker, eventually_within};

use super::queues::{PATIENCE, discovery, echoes, is_consumed};
use crate::connection::tls::trusting;

/// Over AMQP without TLS, so that `tls` is for the management interface alone.
fn tenants(broker: &TlsBroker, keys: &str) -> HiveToml {
    let port = broker.management_port();
    let keys = format!(
        "management = \"https://guest:guest@localhost:{port}\"\ndiscover_every = \"1s\"\ntls = {{ {keys} }}"
    );
    HiveToml::new()
        .connection(&keys)
        .queue("out", "")
        .component("echo", "")
        .section(
            "consumers.tenants",
            "queues = \"tenant.*\"\ncomponent = \"echo\"",
        )
}

#[tokio::test]
async fn queues_are_found_where_the_authority_is_named() -> Result<()> {
    let broker = TlsBroker::shared().await?;
    let vhost = broker.broker().vhost("discovery-tls").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    let toml = tenants(broker, &trusting(broker.authority()));
    let _host = HostProcess::run(&vhost, &toml).await?;
    is_consumed(&vhost, "tenant.a").await?;
    echoes(&vhost, "tenant.a").await
}

#[tokio::test]
async fn nothing_is_asked_of_an_interface_that_a_stranger_signed() -> Result<()> {
    let broker = TlsBroker::shared().await?;
    let vhost = broker.broker().vhost("discovery-tls").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    let stranger = Authority::new("a stranger")?;
    let toml = tenants(broker, &trusting(&stranger));
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let look = async || Ok(discovery(&host).await?.1["reason"].to_string());
    let told = |reason: &String| reason.contains("certificate");
    let reason = eventually_within(PATIENCE, "it says why", look, told).await?;
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert!(!reason.contains("guest:"), "{reason}");
    assert_eq!(vhost.consumers("tenant.a").await?, 0);
    Ok(())
}
