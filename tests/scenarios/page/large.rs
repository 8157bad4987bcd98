//! A dead letter as large as few brokers let one be.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Version};
use serde_json::{Value, json};

/// RabbitMQ since 4.0 takes 16 MiB unless it is told otherwise.
const CONFIGURATION: &str = "max_message_size = 134217728\n";

const MIB: usize = 64;

#[tokio::test]
async fn a_dead_letter_of_64_mib_is_shown_cut_and_republished_whole() -> Result<()> {
    let broker = Broker::private_with(Version::of_run()?, CONFIGURATION, &[]).await?;
    let vhost = broker.vhost("page-large").await?;
    let toml = HiveToml::one("letters", "ack", "").queue("aside", "");
    let host = HostProcess::run(&vhost, &toml).await?;
    let body = "ä".repeat(MIB << 19);
    let large = Message::new(body.clone()).text_header("x-hive-queue", "letters");
    vhost.publish("", "letters.dead", large).await?;
    vhost.wait_ready("letters.dead", 1).await?;
    let before = host.usage()?.resident_kib;
    for _ in 0..4 {
        let answer = host.admin("/v1/dead/letters/show").await?;
        let shown: Value = serde_json::from_str(&answer.body)?;
        let message = &shown["messages"][0];
        assert_eq!(
            (&message["cut"], &message["bytes"]),
            (&json!(true), &json!(MIB << 20))
        );
        let text = message["body"]["text"].as_str().unwrap_or_default();
        assert!(text.len() <= 64 << 10, "{}", text.len());
        assert!(text.starts_with("ää"));
    }
    // What one look held the next one does not.
    let grown = usize::try_from((host.peak_kib()? - before) >> 10)?;
    assert!(grown < 4 * MIB, "{grown} MiB more");
    let path = "/v1/dead/letters/republish?expect=1&to=aside";
    let sent = host.command(path, super::JSON).await?;
    assert_eq!(sent.status, 200, "{sent:?}");
    let whole = vhost.take_one("aside").await?;
    assert!(whole.text() == body, "{} bytes", whole.text().len());
    vhost.wait_ready("letters.dead", 0).await
}
