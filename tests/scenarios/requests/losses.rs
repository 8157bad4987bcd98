//! Requests whose connection goes, or whose host stops, while they wait.

use anyhow::Result;
use hive_tests::{Broker, HostProcess, Message, Proxy, User, eventually};

use super::{GRANTED, asking, ended, reply, reply_to};
use crate::consuming;

#[tokio::test]
async fn a_connection_that_goes_is_an_error_at_once_and_the_next_request_works() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("requests").await?;
    let proxy = Proxy::start(Broker::shared().await?.port())?;
    let toml = asking(GRANTED, "").text_for(&vhost.url_through(&proxy));
    let host = HostProcess::launch(&toml)?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let first = vhost.take_one("rpc.a").await?;
    proxy.cut();
    let lost = || async { host.metric(&ended("disconnected")).await };
    eventually("the request has ended", lost, |seen| *seen == 1.0).await?;
    proxy.pass();

    host.wait_for_printed(
        "one: Disconnected: the connection to the broker was lost while the reply was awaited",
    )
    .await?;

    // Its delivery was lost with the connection, so it comes once more and asks again by itself.
    let second = vhost.take_one("rpc.a").await?;
    assert_ne!(reply_to(&second)?, reply_to(&first)?);
    reply(&vhost, &second, "1").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "one: 1 (1)");
    assert_eq!(host.metric(&ended("answered")).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn a_host_that_stops_lets_a_request_have_its_reply() -> Result<()> {
    let (vhost, mut host) = consuming("requests", asking(GRANTED, "")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let request = vhost.take_one("rpc.a").await?;
    host.sigterm();
    host.wait_for_event("host.stopping", &[]).await?;
    reply(&vhost, &request, "1").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "one: 1 (1)");
    assert!(host.wait().await?.success());
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}

/// Replies come over the other connection.
#[tokio::test]
async fn a_connection_for_publications_that_goes_keeps_no_reply_back() -> Result<()> {
    let keys = format!("timeout = \"60s\"\n{GRANTED}");
    let (vhost, host) = consuming("requests", asking(&keys, "")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let request = vhost.take_one("rpc.a").await?;
    let given = "tests: main (publish)";
    let close = async || Ok(vhost.close_host_connection(given).is_ok());
    eventually("the connection is closed", close, |closed| *closed).await?;
    host.wait_for_event("link.lost", &[("link", given)]).await?;
    reply(&vhost, &request, "1").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "one: 1 (1)");
    assert_eq!(host.metric(&ended("answered")).await?, 1.0);
    Ok(())
}

/// Without the rights a request fails with what is missing, and the host consumes as ever.
#[tokio::test]
async fn a_user_without_rights_to_the_queue_of_replies_is_told_so() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("requests").await?;
    let user = User::new(broker, &vhost)?;
    let own = r"^(letters.*|out|other|rpc\.a|hive\.retries.*|amq\.default)?$";
    user.permit(own, own, own)?;
    let host = HostProcess::launch(&asking(GRANTED, "").text_for(&user.url()))?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let told = vhost.take_one("out").await?.text();
    assert!(
        told.contains("Disconnected") && told.contains("hive.replies."),
        "{told}"
    );
    let denied = host.wait_for_event("replies.unavailable", &[]).await?;
    assert_eq!(denied.field("code").as_deref(), Some("HIVE-0222"));
    Ok(())
}
