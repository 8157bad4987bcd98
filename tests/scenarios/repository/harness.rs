//! The harness by itself, with no host: what the other scenarios take for granted.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, Direction, Message, Proxy, eventually};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_message_comes_back_as_it_was_published() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    vhost.declare_queue("letters", "classic").await?;
    let sent = Message::new("one")
        .text_header("who", "me")
        .header("count", 3_i64);
    vhost.publish("", "letters", sent.clone()).await?;
    vhost.wait_ready("letters", 1).await?;
    let found = vhost.take_one("letters").await?;
    assert_eq!(found.body, sent.body);
    assert_eq!(found.properties, sent.properties);
    assert_eq!(found.text_of("who").as_deref(), Some("me"));
    assert_eq!(found.number_of("count"), Some(3));
    assert_eq!(vhost.ready("letters").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_vhost_sees_nothing_of_another() -> Result<()> {
    let broker = Broker::shared().await?;
    let (one, other) = (
        broker.vhost("harness").await?,
        broker.vhost("harness").await?,
    );
    one.declare_queue("letters", "quorum").await?;
    one.assert_queues(&["letters"])?;
    other.assert_queues(&[])
}

#[tokio::test]
async fn an_unroutable_message_is_told() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    let error = vhost.publish("", "nowhere", Message::new("lost")).await;
    let error = error.expect_err("no queue takes it").to_string();
    assert!(error.contains("`nowhere`"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_confirmed_message_outlives_a_kill_of_its_broker() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("harness").await?;
    // Not a quorum queue: killed within half a second of its declaration, RabbitMQ 3.10 leaves one
    // without a leader, since its register of queues has not been written by then.
    vhost.declare_queue("letters", "classic").await?;
    vhost.publish("", "letters", Message::new("kept")).await?;
    broker.kill9().await?;
    broker.restart().await?;
    assert_eq!(vhost.take_one("letters").await?.text(), "kept");
    Ok(())
}

#[tokio::test]
async fn the_broker_counts_what_went_through_a_queue() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("harness").await?;
    vhost.declare_queue("letters", "quorum").await?;
    // One channel does it all and stays open: what a channel did just before it closed may be counted nowhere.
    let channel = vhost.channel().await?;
    for number in 0..10 {
        let body = number.to_string();
        let (publish, properties) = <(BasicPublishOptions, BasicProperties)>::default();
        let publishing = channel.basic_publish(
            "".into(),
            "letters".into(),
            publish,
            body.as_bytes(),
            properties,
        );
        publishing.await?.await?;
    }
    vhost.wait_ready("letters", 10).await?;
    for _ in 0..10 {
        let get = channel.basic_get("letters".into(), BasicGetOptions::default());
        let message = get.await?.context("`letters` is empty")?;
        message.ack(BasicAckOptions::default()).await?;
    }
    let look = async || {
        let stats = &vhost.counters("letters")?["message_stats"];
        Ok(["publish", "get", "ack"].map(|name| stats[name].as_u64()))
    };
    eventually("ten came and went", look, |seen| *seen == [Some(10); 3]).await?;
    Ok(())
}

#[tokio::test]
async fn named_connections_are_seen_and_the_tests_own_is_not() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("harness").await?;
    vhost.declare_queue("letters", "classic").await?;
    assert!(broker.connections(&vhost)?.is_empty());
    let named = ConnectionProperties::default().with_connection_name("somebody".into());
    let connection = Connection::connect(&vhost.url(), named).await?;
    assert_eq!(broker.connections(&vhost)?.len(), 1);
    connection.close(200, "done".into()).await?;
    // RabbitMQ answers a close before it forgets the connection.
    let open = async || broker.connections(&vhost);
    eventually("the connection is gone", open, Vec::is_empty).await?;
    Ok(())
}

/// What a peer of the proxy sees.
#[derive(Debug, PartialEq)]
enum Seen {
    Bytes(usize),
    Fin,
    Rst,
    Nothing,
}

/// Someone who talks to an upstream that sends everything back.
struct Peer(TcpStream);

impl Peer {
    async fn connect(proxy: &Proxy) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await?;
        Ok(Self(stream))
    }

    /// One that the upstream has answered.
    async fn greeted(proxy: &Proxy) -> Result<Self> {
        let mut peer = Self::connect(proxy).await?;
        assert_eq!(peer.says("hello").await?, Seen::Bytes(5));
        Ok(peer)
    }

    async fn says(&mut self, text: &str) -> Result<Seen> {
        self.0.write_all(text.as_bytes()).await?;
        Ok(self.sees(text.len()).await)
    }

    /// What comes, up to so many bytes.
    async fn sees(&mut self, most: usize) -> Seen {
        let mut bytes = vec![0; most];
        match timeout(Duration::from_millis(500), self.0.read(&mut bytes)).await {
            Err(_) => Seen::Nothing,
            Ok(Ok(0)) => Seen::Fin,
            Ok(Ok(read)) => Seen::Bytes(read),
            Ok(Err(_)) => Seen::Rst,
        }
    }
}

/// Sends everything back to everyone, until the test ends.
async fn echoing() -> Result<(Proxy, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let proxy = Proxy::start(listener.local_addr()?.port())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut peers = JoinSet::new();
        while let Ok((mut peer, _)) = listener.accept().await {
            peers.spawn(async move {
                let (mut from, mut to) = peer.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Ok((proxy, tasks))
}

#[tokio::test]
async fn a_proxy_ends_connections_as_it_is_told() -> Result<()> {
    let (proxy, _upstream) = echoing().await?;
    let mut peer = Peer::greeted(&proxy).await?;
    assert_eq!((proxy.accepted(), proxy.connections()), (1, 1));
    proxy.cut();
    assert_eq!(peer.sees(1).await, Seen::Fin);
    let mut peer = Peer::greeted(&proxy).await?;
    proxy.reset();
    assert_eq!(peer.sees(1).await, Seen::Rst);
    let mut peer = Peer::greeted(&proxy).await?;
    proxy.reset_after(4);
    assert_eq!(peer.says("hello").await?, Seen::Bytes(4));
    assert_eq!(peer.sees(1).await, Seen::Rst);
    let mut peer = Peer::connect(&proxy).await?;
    assert_eq!(
        peer.says("hello").await?,
        Seen::Bytes(4),
        "new ones as well"
    );
    proxy.refuse();
    let mut peer = Peer::connect(&proxy).await?;
    assert_eq!(peer.sees(1).await, Seen::Fin);
    proxy.pass();
    let _peer = Peer::greeted(&proxy).await?;
    assert_eq!(proxy.accepted(), 6);
    let look = async || Ok(proxy.connections());
    eventually("one is open", look, |open| *open == 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_swallows_and_never_gives_back() -> Result<()> {
    let (proxy, _upstream) = echoing().await?;
    for direction in [Direction::ToBroker, Direction::ToClient, Direction::Both] {
        let mut old = Peer::greeted(&proxy).await?;
        proxy.black_hole(direction);
        let mut new = Peer::connect(&proxy).await?;
        assert_eq!(old.says("lost").await?, Seen::Nothing, "{direction:?}");
        assert_eq!(new.says("lost").await?, Seen::Nothing, "{direction:?}");
        proxy.pass();
        assert_eq!(old.says("lost").await?, Seen::Nothing, "{direction:?}");
        Peer::greeted(&proxy).await?;
        proxy.cut();
        assert_eq!(old.sees(1).await, Seen::Fin, "{direction:?}");
    }
    proxy.silent();
    let mut silent = Peer::connect(&proxy).await?;
    assert_eq!(silent.says("hello").await?, Seen::Nothing);
    proxy.pass();
    assert_eq!(silent.says("hello").await?, Seen::Nothing);
    let mut other = Peer::greeted(&proxy).await?;
    assert_eq!(other.says("hello").await?, Seen::Bytes(5));
    Ok(())
}

#[tokio::test]
async fn a_proxy_is_as_slow_as_it_is_told_and_loses_nothing() -> Result<()> {
    const BYTES: usize = 64 * 1024;
    let (proxy, _upstream) = echoing().await?;
    let mut peer = Peer::greeted(&proxy).await?;
    proxy.latency(Duration::from_millis(50));
    proxy.bandwidth(128 * 1024);
    let sent: Vec<u8> = (0..BYTES).map(|byte| byte.to_le_bytes()[0]).collect();
    let mut back = vec![0; BYTES];
    let begun = Instant::now();
    let (mut from, mut to) = peer.0.split();
    tokio::try_join!(to.write_all(&sent), from.read_exact(&mut back))?;
    assert!(back == sent, "other bytes came back");
    // Half a second for the bytes, and the latency twice; a loaded machine only adds to that.
    assert!(begun.elapsed() >= Duration::from_millis(600));
    Ok(())
}
