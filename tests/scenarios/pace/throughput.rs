//! Many messages: every one acked, none lost, none twice.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{HiveToml, Message, eventually_within};

use crate::consuming;

const MESSAGES: u64 = 100_000;
const BODY: [u8; 1024] = [b'x'; 1024];
const PATIENCE: Duration = Duration::from_secs(180);

/// The broker is the judge: it handed out each message once, and got an acknowledgement for each.
#[tokio::test]
async fn a_hundred_thousand_messages_are_acked_once_each() -> Result<()> {
    let toml = HiveToml::one("letters", "ack", "prefetch = 500");
    let (vhost, mut host) = consuming("throughput", toml).await?;
    let messages = (0..MESSAGES).map(|_| Message::new(BODY));
    vhost.publish_all("", "letters", messages).await?;
    let look = async || {
        let counters = vhost.counters("letters")?;
        let count = |name: &str| counters["message_stats"][name].as_u64().unwrap_or(0);
        Ok(["deliver", "ack", "redeliver"].map(count))
    };
    let all = [MESSAGES, MESSAGES, 0];
    let what = "all were delivered once, acked, and none redelivered";
    eventually_within(PATIENCE, what, look, |seen| *seen == all).await?;
    host.stop().await?;
    assert_eq!(vhost.ready("letters").await?, 0);
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}
