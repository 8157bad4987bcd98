//! A component is inside the trace: it sees the span, its lines name it, and its requests carry it on.

use anyhow::Result;
use hive_tests::{Broker, Collector, HiveToml, HostProcess, Message, WebServer};

fn consuming(collector: &Collector, component: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "type = \"classic\"")
        .queue("out", "type = \"classic\"")
        .component(component, keys)
        .consumer("letters", component, "")
        .section("telemetry", &collector.section())
}

#[tokio::test]
async fn its_requests_over_http_carry_the_span_on() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let server = WebServer::start().await?;
    let host = format!("127.0.0.1:{}", server.port());
    let allow = format!("allow = {{ http = [{host:?}] }}");
    let mut running = HostProcess::run(&vhost, &consuming(&collector, "fetch", &allow)).await?;
    let letter = Message::new(format!("http://{host}/trace"));
    vhost.publish("", "letters", letter).await?;
    let out = vhost.take_one("out").await?;
    running.stop().await?;
    let span = &collector.wait_for("process letters", 1).await?[0];
    assert_eq!(out.text(), format!("200 {}", span.traceparent()));
    Ok(())
}

#[tokio::test]
async fn its_lines_name_the_span_and_its_headers_have_it() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = consuming(&collector, "slow", "");
    let mut running = HostProcess::run(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new("1")).await?;
    let line = running.wait_for_printed("started").await?;
    running.stop().await?;
    let span = &collector.wait_for("process letters", 1).await?[0];
    assert_eq!(line.field("trace_id"), Some(span.trace_id.clone()));
    assert_eq!(line.field("span_id"), Some(span.span_id.clone()));
    Ok(())
}
