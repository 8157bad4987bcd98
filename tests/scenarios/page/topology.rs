//! The way of messages: `/v1/topology`, and its view in Chromium. The stories are in `tests/page`.

use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually};
use serde_json::Value;

use super::browser::Story;

/// A name that acts on a page that takes it for more than text.
const FORGED: &str = "<b>x</b>";

/// An exchange with a queue, its consumer, retries, dead letters and publications; and a queue that the broker has with
/// other arguments.
async fn host(vhost: &Vhost) -> Result<HostProcess> {
    vhost.declare_queue("bent", "classic").await?;
    let forged = format!("exchanges.{FORGED:?}");
    let toml = HiveToml::new()
        .exchange("events", "type = \"topic\"")
        .section(&forged, "type = \"fanout\"")
        .queue(
            "letters",
            "bindings = [{ exchange = \"events\", routing_key = \"letter.*\" }]",
        )
        .queue("out", "")
        .queue("bent", "type = \"quorum\"")
        .component("publish", "allow = { publish = [\":out\"] }")
        .component("ack", "")
        .consumer("letters", "publish", "retry = { delays = [\"1h\"] }")
        .consumer("bent", "ack", "")
        .section(
            "schedules.nightly",
            "cron = \"0 3 * * *\"\npublish = { exchange = \"events\", routing_key = \"letter.nightly\" }",
        );
    let host = HostProcess::launch(&toml.text(vhost))?;
    host.wait_for_start_of("letters").await?;
    Ok(host)
}

async fn topology(host: &HostProcess) -> Result<Value> {
    let answer = host.admin("/v1/topology").await?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    Ok(serde_json::from_str(&answer.body)?)
}

fn node<'a>(graph: &'a Value, id: &str) -> Result<&'a Value> {
    let nodes = graph["nodes"].as_array().context("nodes")?;
    let found = nodes.iter().find(|node| node["id"] == id);
    found.with_context(|| format!("{id} of {nodes:#?}"))
}

fn edge<'a>(graph: &'a Value, from: &str, way: &str, to: &str) -> Result<&'a Value> {
    let edges = graph["edges"].as_array().context("edges")?;
    let is_it = |edge: &&Value| {
        (&edge["from"], &edge["way"], &edge["to"]) == (&from.into(), &way.into(), &to.into())
    };
    let found = edges.iter().find(is_it);
    found.with_context(|| format!("{from} {way} {to} of {edges:#?}"))
}

#[tokio::test]
async fn each_way_of_a_message_is_given_with_its_rate_and_with_what_does_not_fit() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("topology").await?;
    let host = host(&vhost).await?;
    let bent = async || Ok(node(&topology(&host).await?, "queue/main/bent")?["problems"].clone());
    let problems = eventually("the mismatch is known", bent, |now| now.is_array()).await?;
    let problem = &problems[0];
    assert_eq!(problem["code"], "HIVE-0221", "{problem}");
    let graph = topology(&host).await?;
    let binding = edge(
        &graph,
        "exchange/main/events",
        "binding",
        "queue/main/letters",
    )?;
    assert_eq!(binding["label"], "letter.*");
    edge(&graph, "consumer//letters", "handles", "component//publish")?;
    edge(&graph, "component//publish", "publishes", "queue/main/out")?;
    edge(
        &graph,
        "consumer//letters",
        "dead_letters",
        "queue/main/letters.dead",
    )?;
    edge(
        &graph,
        "consumer//letters",
        "retries",
        "retries/main/letters",
    )?;
    edge(
        &graph,
        "schedule//nightly",
        "publishes",
        "exchange/main/events",
    )?;
    assert_eq!(node(&graph, "consumer//letters")?["state"], "consuming");
    assert_eq!(node(&graph, "consumer//bent")?["state"], "waiting");
    assert_eq!(node(&graph, "exchange/main/events")?["detail"], "topic");
    assert!(
        node(&graph, "queue/main/letters")?
            .get("problems")
            .is_none()
    );

    let flows = async || {
        let some = (0..20).map(|_| Message::new("x"));
        vhost.publish_all("events", "letter.new", some).await?;
        let graph = topology(&host).await?;
        let way = edge(
            &graph,
            "queue/main/letters",
            "delivers",
            "consumer//letters",
        )?;
        Ok(way["rate"].as_f64())
    };
    eventually("deliveries have a rate", flows, |rate| {
        rate.is_some_and(|rate| rate > 0.0)
    })
    .await?;

    vhost.delete_queue("bent").await?;
    let mended = async || {
        Ok(node(&topology(&host).await?, "queue/main/bent")?
            .get("problems")
            .cloned())
    };
    eventually("it fits", mended, Option::is_none).await?;
    Ok(())
}

#[tokio::test]
async fn the_way_of_messages_is_drawn_and_walked_and_red_where_it_does_not_fit() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-topology").await?;
    let host = host(&vhost).await?;
    let mut story = Story::begin("topology.mjs", &host, &[]).await?;
    story.at("chosen").await?;
    story.go_on().await?;
    {
        let mut flowing = std::pin::pin!(story.at("flowing"));
        loop {
            tokio::select! {
                there = &mut flowing => break there?,
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    let some = (0..20).map(|_| Message::new("x"));
                    vhost.publish_all("events", "letter.new", some).await?;
                }
            }
        }
    }
    story.go_on().await?;
    story.at("mended").await?;
    vhost.delete_queue("bent").await?;
    host.wait_for_start_of("bent").await?;
    story.go_on().await?;
    story.end().await
}

#[tokio::test]
async fn a_topology_of_a_thousand_consumers_is_searched_and_drawn_in_part() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-many").await?;
    let names: Vec<_> = (0..1000)
        .map(|number| format!("tenant-{number:04}"))
        .collect();
    let toml = HiveToml::new()
        .component("ack", "")
        .host("max_instances = 64");
    let toml = names.iter().fold(toml, |toml, name| {
        let toml = toml.queue(name, "type = \"classic\"");
        toml.consumer(name, "ack", "retry = \"none\"\nprefetch = 1")
    });
    let host = HostProcess::launch(&toml.text(&vhost))?;
    host.wait_for_start_of("tenant-0777").await?;
    let graph = topology(&host).await?;
    let nodes = graph["nodes"].as_array().context("nodes")?;
    assert!(nodes.len() > 3000, "{}", nodes.len());
    let story = Story::begin("many.mjs", &host, &[]).await?;
    story.end().await
}
