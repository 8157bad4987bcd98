//! One trace tells the whole life of a message: its publisher, each attempt, what became of it and what came of it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use hive_tests::{
    Broker, CollectedSpan, Collector, Commands, HiveToml, HostProcess, Message, Vhost, eventually,
    scratch, traced_client,
};
use tokio::net::TcpListener;

use crate::http::client::ready;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISHER: &str = "b7ad6b7169203331";

/// What a publisher with a tracer of its own writes.
fn traceparent() -> String {
    format!("00-{TRACE}-{PUBLISHER}-01")
}

/// Fails until an attempt that the message names, twice at most.
fn failing(collector: &Collector) -> HiveToml {
    HiveToml::new()
        .queue("letters", "type = \"classic\"")
        .queue("out", "type = \"classic\"")
        .component("fail-until", "")
        .consumer(
            "letters",
            "fail-until",
            "retry = { limit = 2, delays = [\"50ms\"] }",
        )
        .section("telemetry", &collector.section())
}

async fn process(collector: &Collector, count: usize) -> Result<Vec<CollectedSpan>> {
    collector.wait_for("process letters", count).await
}

/// The only span of this name below another one.
fn child<'a>(
    spans: &'a [CollectedSpan],
    name: &str,
    parent: &CollectedSpan,
) -> Result<&'a CollectedSpan> {
    let mut found = spans
        .iter()
        .filter(|span| span.name == name && span.parent == parent.span_id);
    found
        .next()
        .filter(|_| found.next().is_none())
        .with_context(|| format!("not one {name:?} below {parent:?} in {spans:#?}"))
}

#[tokio::test]
async fn from_the_publisher_through_retries_a_dead_letter_an_edit_and_a_replay() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = failing(&collector);
    let file = scratch("traces").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let letter = Message::new("{}")
        .with(|properties| {
            properties
                .with_message_id("l-1".into())
                .with_content_type("application/json".into())
        })
        .header("until", 9)
        .text_header("traceparent", &traceparent())
        .text_header("baggage", "tenant=a");
    vhost.publish("", "letters", letter).await?;
    edited_to_its_end(&vhost, &toml).await?;
    let out = vhost.take_one("out").await?;
    host.stop().await?;
    assert_whole_life(&collector, TRACE, PUBLISHER, &out).await?;
    assert_eq!(collector.resource()["service.name"], "hive-host");
    Ok(())
}

/// The message is dead-lettered; an edit lets it be handled.
async fn edited_to_its_end(vhost: &Vhost, toml: &HiveToml) -> Result<()> {
    vhost.wait_ready("letters.dead", 1).await?;
    let commands = Commands::on(vhost, toml)?;
    let edited = commands
        .run_with(
            &["dead", "edit"],
            &["letters", "l-1", "-H", "until=1", "--body", "-"],
            b"{\"edited\":true}",
        )
        .await?;
    assert_eq!(edited.code, Some(0), "{edited:?}");
    Ok(())
}

/// Every span of the message `l-1` that a publisher's span published, and of what came of it.
async fn assert_whole_life(
    collector: &Collector,
    trace: &str,
    publisher: &str,
    out: &Message,
) -> Result<()> {
    let attempts = process(collector, 4).await?;
    let spans = collector.spans();
    assert_eq!(attempts.len(), 4);
    for span in &spans {
        assert_eq!(span.trace_id, trace, "{span:?}");
    }
    for (number, (attempt, outcome)) in attempts
        .iter()
        .zip(["retried", "retried", "dead_lettered", "acked"])
        .enumerate()
    {
        assert_eq!(attempt.kind, "consumer");
        assert_eq!(attempt.parent, publisher);
        assert_eq!(attempt.get("hive.outcome"), Some(outcome));
        assert_eq!(attempt.is_error, outcome != "acked");
        let is_error = attempt.get("error.type") == Some("error");
        assert_eq!(is_error, outcome != "acked", "{attempt:?}");
        // After an edit and a replay it begins at its first attempt.
        let nth = [1, 2, 3, 1][number].to_string();
        assert_eq!(attempt.get("hive.attempt"), Some(&*nth));
        let first = (number > 0).then(|| attempts[0].span_id.clone());
        assert_eq!(attempt.links, Vec::from_iter(first));
        for (name, value) in [
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.type", "process"),
            ("messaging.operation.name", "process"),
            ("messaging.destination.name", "letters"),
            ("messaging.rabbitmq.destination.routing_key", "letters"),
            ("hive.consumer", "letters"),
            ("hive.component", "fail-until"),
            ("server.address", "127.0.0.1"),
        ] {
            assert_eq!(attempt.get(name), Some(value), "{name}");
        }
        let ack = child(&spans, "ack letters", attempt)?;
        assert_eq!(ack.kind, "client");
        assert_eq!(ack.get("messaging.operation.type"), Some("settle"));
    }
    assert_eq!(attempts[0].get("messaging.message.id"), Some("l-1"));

    let publish = child(&spans, "publish out", &attempts[3])?;
    assert_eq!(publish.kind, "producer");
    assert!(!publish.is_error);
    assert_eq!(publish.get("messaging.operation.type"), Some("send"));
    assert_eq!(publish.get("messaging.message.id"), Some(out.id()));
    // And so on, wherever it goes.
    assert_eq!(out.text_of("traceparent"), Some(publish.traceparent()));
    assert_eq!(out.text_of("baggage").as_deref(), Some("tenant=a"));
    Ok(())
}

/// OpenTelemetry's own SDK begins the trace, in a process of its own, and reports to the same collector.
#[tokio::test]
async fn a_client_over_http_with_opentelemetrys_sdk_begins_the_trace() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = failing(&collector)
        .section("http", "listen = \"127.0.0.1:0\"")
        .section(
            "http.routes.\"POST /orders\"",
            "exchange = \"\"\nrouting_key = \"letters\"\nheaders = { until = \"9\" }",
        );
    let file = scratch("traces").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let port = ready(&host).await?;
    let mut client = traced_client()?;
    client.args([
        format!("http://127.0.0.1:{port}/orders"),
        collector.url(),
        "l-1".to_owned(),
    ]);
    let posted = tokio::process::Command::from(client).output().await?;
    assert!(posted.status.success(), "{posted:?}");
    let ids = String::from_utf8(posted.stdout)?;
    let (trace, publisher) = ids.trim().split_once(' ').context("it prints two ids")?;
    edited_to_its_end(&vhost, &toml).await?;
    let out = vhost.take_one("out").await?;
    host.stop().await?;
    let own = collector.wait_for("POST /orders", 1).await?;
    assert_eq!((&*own[0].span_id, own[0].kind), (publisher, "client"));
    assert_whole_life(&collector, trace, publisher, &out).await
}

/// The host begins a trace for a message that came without one, and its copies are of that trace.
#[tokio::test]
async fn a_message_without_a_trace_gets_one_for_its_whole_life() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let mut host = HostProcess::run(&vhost, &failing(&collector)).await?;
    let letter = Message::new("a").header("until", 2);
    vhost.publish("", "letters", letter).await?;
    let out = vhost.take_one("out").await?;
    assert_eq!(out.text(), "attempt 2 of a");
    host.stop().await?;
    let attempts = process(&collector, 2).await?;
    let [first, second] = &*attempts else {
        panic!("{attempts:?}")
    };
    assert_eq!(first.parent, "");
    assert_eq!(second.parent, first.span_id);
    assert_eq!(second.trace_id, first.trace_id);
    assert!(second.links.is_empty(), "a parent is no link besides");
    Ok(())
}

/// A dead letter is what was published: nothing but the host's own notes is written on it.
#[tokio::test]
async fn a_trace_changes_no_header_of_a_message() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let _host = HostProcess::run(&vhost, &failing(&collector)).await?;
    let letter = Message::new("a").header("until", 9);
    vhost.publish("", "letters", letter.clone()).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.own_headers(), letter.headers());
    Ok(())
}

/// The spans of a batch: one for the call, linked to where each message comes from.
#[tokio::test]
async fn a_batch_is_linked_to_each_of_its_messages() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = HiveToml::new()
        .queue("letters", "type = \"classic\"")
        .queue("out", "type = \"classic\"")
        .component("batch", "")
        .consumer(
            "letters",
            "batch",
            "batch = { size = 2, wait = \"10s\" }\nprefetch = 10",
        )
        .section("telemetry", &collector.section());
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let other = "00f067aa0ba902b7";
    for span in [PUBLISHER, other] {
        let letter =
            Message::new("1 ack").text_header("traceparent", &format!("00-{TRACE}-{span}-01"));
        vhost.publish("", "letters", letter).await?;
    }
    process(&collector, 1).await?;
    host.stop().await?;
    let [batch]: [CollectedSpan; 1] = process(&collector, 1).await?.try_into().expect("one batch");
    assert_eq!(batch.links, [PUBLISHER, other]);
    assert_eq!(batch.get("messaging.batch.message_count"), Some("2"));
    assert_eq!(batch.parent, "");
    let acks = collector.wait_for("ack letters", 2).await?;
    assert!(acks.iter().all(|ack| ack.parent == batch.span_id));
    Ok(())
}

/// The vhost's messages are handled while nobody takes spans, and spans flow again when somebody does.
#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let port = collector.port();
    let toml = echoing().section("telemetry", &collector.section());
    drop(collector);
    let host = HostProcess::run(&vhost, &toml).await?;
    let dropped = async || {
        let series = r#"hive_spans_dropped_total{reason="collector"}"#;
        host.metric(series).await
    };
    // One batch of spans after the other.
    for _ in 0..2 {
        let before = dropped().await?;
        echoes(&vhost).await?;
        let are_more = |count: &f64| *count > before;
        eventually("spans are dropped", dropped, are_more).await?;
    }
    host.wait_for_event("otlp.failed", &[]).await?;
    let collector = Collector::start_at(port).await?;
    echoes(&vhost).await?;
    host.wait_for_event("otlp.restored", &[]).await?;
    assert_eq!(host.count_events("otlp.failed", &[]), 1, "it is told once");
    collector.wait_for("process letters", 1).await?;
    Ok(())
}

/// One that takes connections and never answers holds no message up, and a stop no longer than it may.
#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let keys = format!("otlp = \"http://{}\"", silent.local_addr()?);
    let toml = echoing().section("telemetry", &keys);
    let mut host = HostProcess::run(&vhost, &toml).await?;
    for _ in 0..3 {
        echoes(&vhost).await?;
    }
    host.stop().await?;
    assert_eq!(host.count_events("host.close_timed_out", &[]), 0);
    Ok(())
}

fn echoing() -> HiveToml {
    HiveToml::new()
        .queue("letters", "type = \"classic\"")
        .queue("out", "type = \"classic\"")
        .component("echo", "")
        .consumer("letters", "echo", "")
}

async fn echoes(vhost: &Vhost) -> Result<Message> {
    vhost.publish("", "letters", Message::new("a")).await?;
    vhost.take_one("out").await
}

/// Whoever began the trace decided that it is not sent. It goes on all the same, for those behind.
#[tokio::test]
async fn a_trace_that_is_not_sampled_is_carried_on_and_not_sent() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = echoing().section("telemetry", &collector.section());
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let letter =
        Message::new("a").text_header("traceparent", &format!("00-{TRACE}-{PUBLISHER}-00"));
    vhost.publish("", "letters", letter).await?;
    let out = vhost.take_one("out").await?;
    let carried = out.text_of("traceparent").unwrap_or_default();
    assert!(carried.starts_with(&format!("00-{TRACE}-")), "{carried}");
    assert!(carried.ends_with("-00"), "{carried}");
    // One that is sampled, so that there is something to wait for.
    echoes(&vhost).await?;
    host.stop().await?;
    let sent = process(&collector, 1).await?;
    assert_eq!(sent.len(), 1);
    assert_ne!(sent[0].trace_id, TRACE);
    Ok(())
}

#[tokio::test]
async fn metrics_have_the_names_of_the_conventions() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("traces").await?;
    let collector = Collector::start().await?;
    let toml = echoing().section("telemetry", &collector.section());
    let mut host = HostProcess::run(&vhost, &toml).await?;
    echoes(&vhost).await?;
    // They are sent once a minute, and at the end.
    host.stop().await?;
    let names: Vec<String> = collector.metrics().into_iter().collect();
    assert_eq!(
        names,
        [
            "messaging.client.consumed.messages",
            "messaging.client.operation.duration",
            "messaging.client.sent.messages",
            "messaging.process.duration",
        ]
    );
    Ok(())
}
