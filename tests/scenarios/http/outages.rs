//! Brokers that go away and hosts that stop under load: no 2xx is lost, and nothing is called stored that is not.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::{try_join, try_join_all};
use hive_tests::{Broker, HiveToml, HostProcess, Vhost, eventually, eventually_within};
use tokio::time::Instant;

use super::client::{
    Answer, Client, JSON, port, post, ready, serving, to_queue, tracks, with_limits,
};

/// Clients at once.
const CLIENTS: usize = 20;

/// RabbitMQ forgets a quorum queue, and what is in it, that is killed within half a second of its declaration.
const OLD_ENOUGH: Duration = Duration::from_secs(5);

/// Requests from several clients, and which of them were answered with 2xx.
struct Load {
    next: AtomicUsize,
    stored: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Sends numbers for as long as `happening` takes; gives those that were answered with 2xx.
    async fn during(
        port: u16,
        happening: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<BTreeSet<usize>> {
        let load = Self {
            next: AtomicUsize::new(0),
            stored: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        };
        let clients = (0..CLIENTS).map(|_| load.client(port));
        let happening = async {
            happening(&load).await?;
            load.is_over.store(true, Ordering::Relaxed);
            Ok(())
        };
        let (stored, ()) = try_join(try_join_all(clients), happening).await?;
        Ok(stored.into_iter().flatten().collect())
    }

    async fn client(&self, port: u16) -> Result<Vec<usize>> {
        let mut stored = Vec::new();
        let mut client = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let mut open = match client.take() {
                Some(open) => open,
                None => match Client::connect(port).await {
                    Ok(open) => open,
                    // The host has stopped.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Ok(answer) = open.send("POST /t", JSON, &number.to_string()).await else {
                continue;
            };
            match answer.status {
                202 => {
                    stored.push(number);
                    self.stored.fetch_add(1, Ordering::Relaxed);
                }
                503 => {
                    ensure!(answer.header("retry-after").is_some(), "{answer:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => anyhow::bail!("answered with {other}: {answer:?}"),
            }
            client = Some(open);
        }
        Ok(stored)
    }

    /// Waits until so many more are stored.
    async fn more(&self, count: usize) -> Result<()> {
        let before = self.stored.load(Ordering::Relaxed);
        let look = async || Ok(self.stored.load(Ordering::Relaxed));
        let wanted = |stored: &usize| *stored >= before + count;
        eventually_within(Duration::from_secs(120), "more are stored", look, wanted).await?;
        Ok(())
    }
}

/// Each number of a 2xx is in the queue.
async fn assert_none_lost(vhost: &Vhost, stored: &BTreeSet<usize>) -> Result<()> {
    let there = vhost.drain("tracks").await?;
    let there: BTreeSet<usize> = there
        .iter()
        .map(|message| message.text().parse())
        .collect::<Result<_, _>>()?;
    let lost: Vec<_> = stored.difference(&there).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        stored.len()
    );
    Ok(())
}

#[tokio::test]
async fn a_broker_that_dies_under_load_loses_no_request_that_was_answered() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("http-killed").await?;
    let toml = to_queue("type = \"quorum\"", "timeout = \"5s\"", "")
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let port = ready(&host).await?;
    tokio::time::sleep(OLD_ENOUGH).await;
    let stored = Load::during(port, async |load| {
        for _ in 0..2 {
            load.more(200).await?;
            broker.kill9().await?;
            broker.restart().await?;
        }
        load.more(200).await?;
        Ok(())
    })
    .await?;
    host.stop().await?;
    assert_none_lost(&vhost, &stored).await
}

#[tokio::test]
async fn connections_that_are_lost_under_load_lose_no_request_that_was_answered() -> Result<()> {
    let toml = tracks("").connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, mut host, port) = serving("http-lost", &toml).await?;
    let stored = Load::during(port, async |load| {
        for _ in 0..5 {
            load.more(100).await?;
            vhost.close_host_connections()?;
        }
        load.more(100).await?;
        Ok(())
    })
    .await?;
    host.stop().await?;
    assert_none_lost(&vhost, &stored).await
}

#[tokio::test]
async fn a_host_that_stops_under_load_has_stored_what_it_answered() -> Result<()> {
    let (vhost, mut host, port) = serving("http-stop", &tracks("")).await?;
    let stored = Load::during(port, async |load| {
        load.more(500).await?;
        host.stop().await?;
        Ok(())
    })
    .await?;
    assert_none_lost(&vhost, &stored).await
}

#[tokio::test]
async fn a_host_that_is_killed_under_load_has_stored_what_it_answered() -> Result<()> {
    let (vhost, mut host, port) = serving("http-kill9", &tracks("")).await?;
    let stored = Load::during(port, async |load| {
        load.more(500).await?;
        host.kill9()?;
        Ok(())
    })
    .await?;
    assert_none_lost(&vhost, &stored).await
}

#[tokio::test]
async fn a_client_that_is_slow_does_not_hold_a_stop_up() -> Result<()> {
    let (_vhost, mut host, port) =
        serving("http-slow-stop", &with_limits("timeout = \"1h\"", "")).await?;
    let mut half = Client::connect(port).await?;
    let head = "POST /t HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    half.write(format!("{head}content-length: 10\r\n\r\n1").as_bytes())
        .await?;
    let mut half_head = Client::connect(port).await?;
    half_head.write(head.as_bytes()).await?;
    let stopped = Instant::now();
    host.stop().await?;
    // Less than `shutdown_timeout`.
    assert!(
        stopped.elapsed() < Duration::from_secs(25),
        "{:?}",
        stopped.elapsed()
    );
    // Had its head been read by then, it is told.
    if let Ok(answer) = half.answer().await {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_at_once() -> Result<()> {
    let mut host = HostProcess::launch(&tracks("").text_for("amqp://127.0.0.1:1"))?;
    let port = super::client::port(&host).await?;
    // From the first moment on, also before the host knows its routes.
    let look = async || {
        let answer = post(port, JSON, "1").await?;
        assert_eq!(answer.status, 503, "{answer:?}");
        Ok(answer)
    };
    let told = |answer: &Answer| answer.code() == "HIVE-0612";
    let answer = eventually("it is said that the broker is away", look, told).await?;
    assert_eq!(answer.header("retry-after"), Some("5"));
    host.stop().await
}

#[tokio::test]
async fn an_exchange_that_is_not_there_is_the_fault_of_its_route_alone() -> Result<()> {
    let toml = tracks("").section(
        "http.routes.\"POST /nowhere\"",
        "exchange = \"nowhere\"\nrouting_key = \"tracks\"",
    );
    let (vhost, mut host, port) = serving("http-nowhere", &toml).await?;
    for _ in 0..3 {
        let answer = super::client::request(port, "POST /nowhere", JSON, "1").await?;
        assert_eq!(answer.status, 500, "{answer:?}");
        assert!(!answer.body.contains("nowhere"), "{answer:?}");
        assert_eq!(post(port, JSON, "1").await?.status, 202);
    }
    host.wait_for_event("http.refused_by_broker", &[("route", "POST /nowhere")])
        .await?;
    host.stop().await?;
    assert_eq!(vhost.drain("tracks").await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_full_is_no_success() -> Result<()> {
    let toml = tracks("")
        .queue(
            "full",
            "arguments = { x-max-length = 1, x-overflow = \"reject-publish\" }",
        )
        .section(
            "http.routes.\"POST /full\"",
            "exchange = \"\"\nrouting_key = \"full\"",
        );
    let (vhost, mut host, port) = serving("http-full", &toml).await?;
    let mut stored = 0;
    let mut refused = 0;
    while refused < 3 {
        let answer = super::client::request(port, "POST /full", JSON, "1").await?;
        match answer.status {
            202 => stored += 1,
            503 => refused += 1,
            _ => panic!("{answer:?}"),
        }
        // A quorum queue refuses some time after it is full.
        assert!(stored < 1000, "it is never full");
    }
    host.stop().await?;
    assert_eq!(vhost.drain("full").await?.len(), stored);
    Ok(())
}

/// A host that has begun is asked at once, and its queue is the last of many that it declares.
async fn assert_stored_or_told_to_wait(handled: &str) -> Result<()> {
    const QUEUES: usize = 500;
    let vhost = Broker::shared().await?.vhost("http-start").await?;
    let mut toml = HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .component("publish", "")
        .section("http", "listen = \"127.0.0.1:0\"")
        .section("http.routes.\"POST /t\"", handled);
    for number in 0..QUEUES {
        toml = toml.queue(&format!("a{number:03}"), "type = \"classic\"");
    }
    let host = HostProcess::launch(&toml.queue("last", "type = \"classic\"").text(&vhost))?;
    let port = port(&host).await?;
    let mut before = BTreeSet::new();
    loop {
        let answer = post(port, "", "\"a\"").await?;
        match answer.status {
            202 => break,
            503 => before.insert(answer.body),
            other => anyhow::bail!("answered with {other}: {answer:?}"),
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(
        before.iter().any(|told| told.contains("not declared")),
        "{before:?}"
    );
    assert_eq!(vhost.take_one("last").await?.text(), "\"a\"");
    Ok(())
}

#[tokio::test]
async fn what_comes_before_the_queue_is_declared_is_to_come_again() -> Result<()> {
    let route = "exchange = \"\"\nrouting_key = \"last\"\naccept = [\"raw\"]";
    assert_stored_or_told_to_wait(route).await
}

#[tokio::test]
async fn no_component_is_asked_before_the_queues_are_declared() -> Result<()> {
    let route = "component = \"publish\"\naccept = [\"raw\"]\n\
                 headers = { routing-key = \"last\", exchange = \"\" }";
    assert_stored_or_told_to_wait(route).await
}
