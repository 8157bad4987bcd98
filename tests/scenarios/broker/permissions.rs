//! Rights that are taken from a consumer's user, and given back.

use anyhow::Result;
use hive_tests::{Broker, Event, HostProcess, Message, User, eventually};

use crate::broker::healing::{assert_consumes, echo};

/// A right of RabbitMQ's, the pattern that is left of it, and what the host then cannot do.
const REVOKED: [[&str; 4]; 4] = [
    // Declaring its queues.
    ["configure", "^$", ".*", ".*"],
    // A queue that dead-letters, as the delay queues do, is declared with the right to write there.
    ["write", ".*", "^$", ".*"],
    // Consuming, from a queue that is declared all the same.
    ["read", ".*", ".*", r"^letters\.retry"],
    ["all", "^$", "^$", "^$"],
];

#[tokio::test]
async fn a_consumer_whose_rights_are_revoked_goes_on_when_they_are_back() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("rights").await?;
    let user = User::new(broker, &vhost)?;
    let host = HostProcess::run_at(&user.url(), &echo()).await?;
    for [right, configure, write, read] in REVOKED {
        let before = format!("before {right}");
        assert_consumes(&vhost, &before).await?;
        let told = refusals(&host);
        user.permit(configure, write, read)?;
        user.close_connections().await?;
        vhost.publish("", "letters", Message::new(right)).await?;
        let what = format!("the host tells that `{right}` is missing");
        let look = async || Ok((refusals(&host), host.readiness().await?.1.to_string()));
        let is_told = |(now, readiness): &(usize, String)| {
            assert!(!readiness.contains(User::PASSWORD), "{readiness}");
            *now > told || readiness.contains("ACCESS_REFUSED")
        };
        eventually(&what, look, is_told).await?;
        let is_handled = |came: &Message| came.text() == right;
        let came = vhost.drain("out").await?;
        assert!(!came.iter().any(is_handled), "handled without {right}");
        user.permit(".*", ".*", ".*")?;
        // One comes again whose connection was closed before its confirm or its ack was there. It may be after others: each
        // is tried again in its own time.
        loop {
            let came = vhost.take_one("out").await?;
            if is_handled(&came) {
                break;
            }
            assert!(came.text().starts_with("before "), "{}", came.text());
        }
    }
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    assert!(!host.mentions(User::PASSWORD), "the password is in the log");
    Ok(())
}

fn refusals(host: &HostProcess) -> usize {
    let events = host.events();
    let is_told = |event: &&Event| ["ERROR", "WARN"].contains(&event.level());
    let refused = events.iter().filter(is_told);
    refused
        .filter(|event| event.names("ACCESS_REFUSED"))
        .count()
}
