//! The state is told: health, readiness and metrics, as a probe and a Prometheus see them.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually};
use serde_json::Value;

use crate::consuming;

#[tokio::test]
async fn a_host_whose_broker_goes_away_is_not_ready_until_it_is_back() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("health").await?;
    let toml = HiveToml::one("letters", "ack", "");
    let host = HostProcess::run(&vhost, &toml).await?;
    let look = async || host.readiness().await;
    let is = |code: u16| move |(status, _): &(u16, Value)| *status == code;
    let (_, ready) = eventually("ready", look, is(200)).await?;
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["consumers"]["consuming"], 1);
    broker.stop().await?;
    let (_, down) = eventually("not ready", look, is(503)).await?;
    assert_eq!(down["missing"][0]["consumer"], "letters");
    assert!(down["missing"][0]["reason"].is_string(), "{down}");
    assert_eq!(host.admin("/livez").await?.status, 200);
    let state = |state: &str| {
        format!(r#"hive_connection_state{{connection="main",role="consume",state="{state}"}}"#)
    };
    assert_eq!(host.metric(&state("open")).await?, 0.0);
    let up = r#"hive_consumer_up{consumer="letters",queue="letters"}"#;
    assert_eq!(host.metric(up).await?, 0.0);
    broker.restart().await?;
    eventually("ready again", look, is(200)).await?;
    assert_eq!(host.metric(&state("open")).await?, 1.0);
    assert_eq!(host.metric(up).await?, 1.0);
    let reconnects = r#"hive_reconnects_total{connection="main",role="consume"}"#;
    assert!(host.metric(reconnects).await? >= 1.0);
    Ok(())
}

#[tokio::test]
async fn metrics_count_what_becomes_of_deliveries() -> Result<()> {
    let toml = HiveToml::one("letters", "fail-until", r#"retry = { delays = ["50ms"] }"#)
        .queue("out", "")
        .component("trap", "")
        .queue("bombs", "")
        .consumer("bombs", "trap", "retry = { limit = 0 }");
    let (vhost, host) = consuming("metrics", toml).await?;
    let twice = (0..3).map(|number| Message::new(number.to_string()).header("until", 2_i64));
    vhost.publish_all("", "letters", twice).await?;
    vhost.publish("", "bombs", Message::new("boom")).await?;
    vhost.wait_ready("out", 3).await?;
    vhost.wait_ready("bombs.dead", 1).await?;
    let expected = [
        (
            r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#,
            3.0,
        ),
        (
            r#"hive_deliveries_total{consumer="letters",outcome="retried"}"#,
            3.0,
        ),
        (
            r#"hive_deliveries_total{consumer="bombs",outcome="dead_lettered"}"#,
            1.0,
        ),
        (r#"hive_retries_total{consumer="letters"}"#, 3.0),
        (r#"hive_dead_letters_total{consumer="bombs"}"#, 1.0),
        (
            r#"hive_failures_total{class="error",consumer="letters"}"#,
            3.0,
        ),
        (r#"hive_failures_total{class="trap",consumer="bombs"}"#, 1.0),
        (
            r#"hive_publications_total{consumer="letters",result="confirmed"}"#,
            6.0,
        ),
        (
            r#"hive_handling_seconds_count{component="fail-until",consumer="letters"}"#,
            6.0,
        ),
        (r#"hive_deliveries_in_flight{consumer="letters"}"#, 0.0),
        (r#"hive_traps_total{component="trap"}"#, 1.0),
        (
            r#"hive_consumer_up{consumer="letters",queue="letters"}"#,
            1.0,
        ),
    ];
    for (series, value) in expected {
        let look = async || host.metric(series).await;
        eventually(&format!("{series} is {value}"), look, |seen| *seen == value).await?;
    }
    assert!(
        host.metric(r#"hive_instances{component="fail-until"}"#)
            .await?
            >= 1.0
    );
    assert!(
        host.metric(r#"hive_confirm_seconds_count{consumer="letters"}"#)
            .await?
            >= 1.0
    );
    assert!(host.metric("process_open_fds").await? > 0.0);
    Ok(())
}
