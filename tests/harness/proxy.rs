//! A TCP proxy that does to a connection what networks do: it cuts, resets, swallows and slows.
//!
//! It runs on its own thread, so that a scenario that blocks does not hold it up. The kernel carries out every
//! fault on a real socket: a host cannot distinguish it from a bad link.

mod line;
mod pump;
mod rules;

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::line::Line;
pub use self::rules::Direction;
use self::rules::{Door, Rules};

/// A proxy in front of one port of this machine, for as long as it is kept.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    /// Dropped with the proxy, which ends its thread and every connection.
    rules: watch::Sender<Rules>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
}

impl Proxy {
    /// A proxy on a free port, which hands everything on to `upstream_port`.
    pub fn start(upstream_port: u16) -> Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (rules, followed) = watch::channel(Rules::default());
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(serve(listener, upstream_port, followed, counted)))
            .context("no thread for a proxy")?;
        Ok(Self {
            port,
            rules,
            counts,
        })
    }

    /// The port that it listens on, on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every open connection, as a peer that ends does (FIN).
    pub fn cut(&self) {
        self.rule(|rules, accepted| rules.cut_before = accepted);
    }

    /// Breaks every open connection, as a peer that is gone does (RST).
    pub fn reset(&self) {
        self.rule(|rules, accepted| rules.reset_before = accepted);
    }

    /// Breaks each connection, new ones as well, after that many more bytes from the broker: as a
    /// rule, in the middle of a frame.
    pub fn reset_after(&self, bytes: u64) {
        self.rule(|rules, _| rules.allow(bytes));
    }

    /// Swallows everything in one direction, the end of a connection too: neither peer notices.
    pub fn black_hole(&self, direction: Direction) {
        self.rule(|rules, accepted| rules.swallow(Some(direction), accepted));
    }

    /// Delays what goes in each direction, without making it slower.
    pub fn latency(&self, latency: Duration) {
        self.rule(|rules, _| rules.latency = latency);
    }

    /// Lets no more through than that, for each connection and each direction.
    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.rule(|rules, _| rules.bandwidth = Some(bytes_per_second.max(1)));
    }

    /// Closes new connections as soon as they are there.
    pub fn refuse(&self) {
        self.rule(|rules, _| rules.door = Door::Refusing);
    }

    /// Takes new connections, and never says a word on them.
    pub fn silent(&self) {
        self.rule(|rules, _| rules.door = Door::Silent);
    }

    /// Ends every fault. A connection that lost bytes in a black hole, or was never answered, stays broken:
    /// continuing would deliver a stream with a hole in it.
    pub fn pass(&self) {
        self.rule(Rules::pass);
    }

    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// How many connections were made since the start.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    fn rule(&self, change: impl FnOnce(&mut Rules, u64)) {
        let accepted = self.accepted();
        self.rules.send_modify(|rules| change(rules, accepted));
    }
}

/// Takes connections until the proxy is dropped.
async fn serve(
    listener: StdListener,
    upstream_port: u16,
    mut rules: watch::Receiver<Rules>,
    counts: Arc<Counts>,
) {
    let listener = TcpListener::from_std(listener).expect("the listener does not block");
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("there are descriptors left");
                let number = counts.accepted.fetch_add(1, Ordering::SeqCst);
                counts.open.fetch_add(1, Ordering::SeqCst);
                let line = Line { number, upstream_port, rules: rules.clone() };
                let counts = Arc::clone(&counts);
                lines.spawn(async move {
                    let parting = line.serve(client).await;
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                    parting.finish().await;
                });
            }
            Some(ended) = lines.join_next() => ended.expect("no connection of a proxy panics"),
            changed = rules.changed() => if changed.is_err() { return },
        }
    }
}
