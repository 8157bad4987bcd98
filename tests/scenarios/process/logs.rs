//! The log never stops, slows or fails a delivery, whatever becomes of its reader.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually};
use tokio::time::Instant;

use crate::{assert_settled, consuming};

/// A message whose text the component prints to both of its outputs, in lines of 8 KiB: sixty of them are
/// more than the host keeps of its log.
const BODY: usize = 64 * 1024;
const MESSAGES: u32 = 60;

const ACKED: &str = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
const DROPPED: &str = "hive_log_lines_dropped_total";

/// The most that a busy machine takes to answer a probe. A reader that stalls would hold it up for ever.
const PROBE: Duration = Duration::from_secs(10);

fn toml() -> HiveToml {
    HiveToml::one("letters", "stdout", "").host("log_format = \"text\"")
}

async fn publish(vhost: &Vhost) -> Result<()> {
    let messages = (0..MESSAGES).map(|_| Message::new("x".repeat(BODY)));
    vhost.publish_all("", "letters", messages).await
}

/// Waits until the component has handled so many messages, while every probe is answered in time.
async fn handled(host: &HostProcess, count: u32) -> Result<()> {
    let look = async || {
        for probe in ["/livez", "/readyz"] {
            let asked = Instant::now();
            host.admin(probe).await?;
            assert!(
                asked.elapsed() < PROBE,
                "{probe} took {:?}",
                asked.elapsed()
            );
        }
        host.metric(ACKED).await
    };
    let is_all = |acked: &f64| *acked >= f64::from(count);
    let acked = eventually("every message is handled", look, is_all).await?;
    assert_eq!(acked, f64::from(count));
    Ok(())
}

/// Everything that a host owes its broker, with nobody there who takes its lines.
async fn works_unheard(vhost: &Vhost, mut host: HostProcess) -> Result<()> {
    publish(vhost).await?;
    handled(&host, MESSAGES).await?;
    // What the broker has not heard of when the connection is closed would be handled once more.
    let look = async || {
        let counters = vhost.counters("letters")?;
        Ok(counters["message_stats"]["ack"].as_u64().unwrap_or(0))
    };
    let all = |acked: &u64| *acked == u64::from(MESSAGES);
    eventually("the broker has every acknowledgement", look, all).await?;
    // The management plugin lists a connection a while after it is opened.
    let close = async || vhost.close_host_connections();
    eventually("a connection was closed", close, |closed| *closed > 0).await?;
    let reconnects = r#"hive_reconnects_total{connection="main",role="consume"}"#;
    let look = async || host.metric(reconnects).await;
    eventually("connected again", look, |count| *count >= 1.0).await?;
    publish(vhost).await?;
    handled(&host, 2 * MESSAGES).await?;
    let look = async || host.readiness().await;
    eventually("ready", look, |(status, _)| *status == 200).await?;
    assert!(host.metric(DROPPED).await? > 0.0);
    assert_settled(vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_concerns_no_delivery() -> Result<()> {
    let (vhost, host) = consuming("log-closed", toml()).await?;
    host.close_log();
    works_unheard(&vhost, host).await
}

#[tokio::test]
async fn a_log_whose_reader_stalls_concerns_no_delivery() -> Result<()> {
    let (vhost, host) = consuming("log-stalled", toml()).await?;
    host.stall_log();
    works_unheard(&vhost, host).await
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_on_a_full_disk_concerns_no_delivery() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("log-disk").await?;
    let host = HostProcess::run_on_full_disk(&vhost, &toml()).await?;
    works_unheard(&vhost, host).await
}

#[tokio::test]
async fn a_log_that_is_read_again_says_what_it_lacks_and_is_written_to_its_end() -> Result<()> {
    let (vhost, mut host) = consuming("log-late", toml()).await?;
    host.stall_log();
    publish(&vhost).await?;
    handled(&host, MESSAGES).await?;
    let dropped = host.metric(DROPPED).await?;
    assert!(dropped > 0.0);
    host.read_log();
    let line = host.wait_for_output(&format!(" lines={dropped}")).await?;
    assert!(line.contains("WARN hive::host:"), "{line}");
    host.stop().await?;
    let lines = host.lines_to_the_end();
    let last = lines.last().map_or("", String::as_str);
    assert!(last.contains("INFO hive::host:"), "{last}");
    // Each line is whole, or not there.
    let is_torn = |line: &&String| {
        let is_guests = line.contains(" guest: ");
        !line.starts_with("20") || (is_guests && !line.contains(" delivery="))
    };
    assert_eq!(lines.iter().find(is_torn), None);
    Ok(())
}
