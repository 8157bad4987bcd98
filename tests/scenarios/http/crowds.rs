//! Many requests: all at once, and one after the other at full rate. Each that is answered with 2xx is in the queue exactly
//! once, counted at the broker.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{self, BoxStream};
use hive_tests::{Post, Poster, Vhost, eventually_within};
use http_body_util::StreamBody;
use hyper::Request;
use hyper::body::{Bytes, Frame};
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::{serving, tracks, with_limits};
use super::streams::connected;

/// Requests at once: this many over HTTP/1.1, each on its own connection, and the others over HTTP/2.
const OVER_HTTP_1: usize = 560;
const CONNECTIONS_OF_HTTP_2: usize = 230;
/// As many as the host takes at once on a connection.
const STREAMS: usize = 128;
const ALL: usize = OVER_HTTP_1 + CONNECTIONS_OF_HTTP_2 * STREAMS;

/// Clients at full rate.
const CLIENTS: usize = 200;
/// How long, in seconds; scripts/nightly takes a minute.
const AT_FULL_RATE: u64 = 5;

/// How long the broker may take to count what it has confirmed.
const COUNTED: Duration = Duration::from_secs(60);

/// How long all of them may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Holds the ends of all requests back until each of them has begun.
struct Gate {
    begun: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicUsize::new(0),
            open: watch::Sender::new(false),
        })
    }

    /// Waits with a request that has begun.
    async fn pass(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let opened = self.open.subscribe().wait_for(|open| *open).await.is_ok();
        assert!(opened, "the gate is there as long as requests wait");
    }

    /// Opens once all have begun.
    async fn open(&self) -> Result<()> {
        let look = async || Ok(self.begun.load(Ordering::Relaxed));
        let all = |begun: &usize| *begun == ALL;
        eventually_within(PATIENCE, "all requests have begun", look, all).await?;
        self.open.send_replace(true);
        Ok(())
    }
}

/// The status of a request on a connection of its own.
async fn over_http_1(port: u16, number: usize, gate: &Gate) -> Result<u16> {
    let mut client = Poster::connect(port, 0).await?;
    let post = Post::json("/t", &body(number));
    client.begin(&post).await?;
    gate.pass().await;
    client.end(&post).await
}

/// The statuses of the requests from `first` on, all on one connection.
async fn over_http_2(port: u16, first: usize, gate: &Arc<Gate>) -> Result<Vec<u16>> {
    let (sender, connection) = connected(port).await?;
    let requests = (first..first + STREAMS).map(|number| {
        let (mut sender, gate) = (sender.clone(), Arc::clone(gate));
        async move {
            let answer = sender.send_request(held_back(number, gate)?).await?;
            anyhow::Ok(answer.status().as_u16())
        }
    });
    tokio::select! {
        statuses = try_join_all(requests) => statuses,
        ended = connection => {
            ended?;
            bail!("the connection ended before all was answered")
        }
    }
}

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A request whose last byte comes once the gate is open.
fn held_back(number: usize, gate: Arc<Gate>) -> Result<Request<Body>> {
    let body = Bytes::from(body(number));
    let length = body.len();
    let (most, last) = (body.slice(..length - 1), body.slice(length - 1..));
    let last = async move {
        gate.pass().await;
        Ok(Frame::data(last))
    };
    let most = stream::once(std::future::ready(Ok(Frame::data(most))));
    let body = most.chain(stream::once(last)).boxed();
    let request = Request::post("http://localhost/t")
        .header("content-type", "application/json")
        .header("content-length", length)
        .body(StreamBody::new(body))?;
    Ok(request)
}

fn body(number: usize) -> String {
    format!("\"{number}\"")
}

/// The queue has each of `count` numbers once, by the broker's count and by what it hands out.
async fn assert_each_once(vhost: &Vhost, count: usize) -> Result<()> {
    let wanted = u32::try_from(count)?;
    let look = async || vhost.ready("tracks").await;
    let what = "as many messages as answers with 2xx";
    eventually_within(COUNTED, what, look, |ready| *ready == wanted).await?;
    let mut numbers = BTreeSet::new();
    let mut others = Vec::new();
    let mut left = count;
    vhost
        .take_until("tracks", |message| {
            let text = message.text();
            let number = text.trim_matches('"').parse::<usize>();
            match number {
                Ok(number) if numbers.insert(number) => {}
                _ => others.push(text),
            }
            left -= 1;
            left == 0
        })
        .await?;
    assert!(others.is_empty(), "there twice, or never sent: {others:?}");
    assert_eq!(numbers.len(), count);
    assert_eq!(numbers.last().copied(), count.checked_sub(1));
    assert_eq!(vhost.ready("tracks").await?, 0);
    Ok(())
}

#[tokio::test]
async fn thirty_thousand_requests_at_once_are_in_the_queue_once_each() -> Result<()> {
    let limits = "timeout = \"5m\"";
    let (vhost, mut host, port) = serving("http-crowd", &with_limits(limits, "")).await?;
    let gate = Gate::new();
    let alone = (0..OVER_HTTP_1).map(|number| over_http_1(port, number, &gate));
    let together = (0..CONNECTIONS_OF_HTTP_2)
        .map(|connection| over_http_2(port, OVER_HTTP_1 + connection * STREAMS, &gate));
    let (alone, together, opened) = tokio::join!(join_all(alone), join_all(together), gate.open());
    opened?;
    let mut statuses = alone.into_iter().collect::<Result<Vec<u16>>>()?;
    for some in together {
        statuses.extend(some?);
    }
    let stored = statuses.iter().filter(|status| **status == 202).count();
    assert_eq!((stored, statuses.len()), (ALL, ALL));
    assert_each_once(&vhost, ALL).await?;
    let answered = r#"hive_http_requests_total{route="POST /t",status="202"}"#;
    assert_eq!(host.metric(answered).await?, f64::from(u32::try_from(ALL)?));
    host.stop().await
}

#[tokio::test]
async fn at_full_rate_each_2xx_is_in_the_queue_once() -> Result<()> {
    let seconds = match std::env::var("HIVE_HTTP_SECONDS") {
        Ok(seconds) => seconds.parse().context("HIVE_HTTP_SECONDS is a number")?,
        Err(_) => AT_FULL_RATE,
    };
    let (vhost, mut host, port) = serving("http-rate-full", &tracks("")).await?;
    let next = AtomicUsize::new(0);
    let over = Instant::now() + Duration::from_secs(seconds);
    let clients = (0..CLIENTS).map(|_| async {
        let mut client = Poster::connect(port, 0).await?;
        while Instant::now() < over {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let status = client.post(&Post::json("/t", &body(number))).await?;
            ensure!(status == 202, "{number} was answered with {status}");
        }
        Ok(())
    });
    try_join_all(clients).await?;
    // Each number that was taken was sent, and answered with 2xx.
    assert_each_once(&vhost, next.into_inner()).await?;
    host.stop().await
}
