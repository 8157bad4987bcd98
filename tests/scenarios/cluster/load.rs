//! What a cluster carries while its nodes come and go: numbered messages to several queues, all along, each of which has to
//! come out.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Cluster, HiveToml, Message, Version, Vhost, eventually_within};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::timeout;

/// Messages for each wait for the broker's confirmations.
const WINDOW: usize = 20;

/// How long a broker that is well may take for those. A window that takes longer is sent again.
const CONFIRMED: Duration = Duration::from_secs(30);

/// How long it may take until everything is handled, with a delay queue's second try after three minutes.
const HANDLED: Duration = Duration::from_secs(300);

/// The cluster of all these scenarios, for one of them at a time, and whole.
pub(super) async fn cluster() -> Result<MutexGuard<'static, Cluster>> {
    static CLUSTER: OnceCell<Mutex<Cluster>> = OnceCell::const_new();
    let start = async || anyhow::Ok(Mutex::new(Cluster::start(Version::of_run()?).await?));
    let cluster = CLUSTER.get_or_try_init(start).await?;
    let cluster = cluster.lock().await;
    // One that failed may have left it in any state.
    cluster.mend().await?;
    Ok(cluster)
}

/// A host that takes the number of each message on to the queue `out`: from a quorum queue, a classic queue and a stream.
pub(super) fn carrying() -> HiveToml {
    let toml = HiveToml::new()
        .connection("heartbeat = \"2s\"\nconnect_timeout = \"2s\"")
        .component("soak", "")
        .queue("out", "");
    let queues = [("parcels", "quorum", ""), ("notes", "classic", ""), ("events", "stream", "stream = { offset = \"first\" }")];
    queues.into_iter().fold(toml, |toml, (queue, kind, keys)| {
        toml.queue(queue, &format!("type = \"{kind}\"")).consumer(queue, "soak", keys)
    })
}

/// The messages of one scenario.
pub(super) struct Load<'a> {
    vhost: &'a Vhost,
    queues: &'a [&'a str],
    /// The broker has confirmed those below this number.
    confirmed: usize,
    /// What has come out.
    out: Mutex<BTreeSet<usize>>,
}

impl<'a> Load<'a> {
    pub(super) fn new(vhost: &'a Vhost, queues: &'a [&'a str]) -> Self {
        Self {
            vhost,
            queues,
            confirmed: 0,
            out: Mutex::default(),
        }
    }

    /// Publishes for as long as `fault` takes.
    pub(super) async fn during<T>(&mut self, fault: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(fault);
        loop {
            tokio::select! {
                over = &mut fault => return over,
                () = self.publish() => {}
            }
        }
    }

    /// Publishes one window. If the broker does not confirm it, the next call sends it again.
    pub(super) async fn publish(&mut self) {
        let queue = self.queues[self.confirmed / WINDOW % self.queues.len()];
        let numbers = self.confirmed..self.confirmed + WINDOW;
        let messages = numbers.map(|number| Message::new(format!("{number} publish")));
        let sent = self.vhost.publish_all("", queue, messages.collect::<Vec<_>>());
        match timeout(CONFIRMED, sent).await {
            Ok(Ok(())) => self.confirmed += WINDOW,
            // A node that has gone refuses at once.
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }

    /// Waits until something that was published after this moment has come out.
    pub(super) async fn flows(&mut self) -> Result<()> {
        let from = self.confirmed;
        let began = tokio::time::Instant::now();
        loop {
            self.publish().await;
            if self.take().await.is_ok_and(|last| last >= from) {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < HANDLED, "nothing came out for {HANDLED:?}");
        }
    }

    /// Takes what has come out, and gives the highest number of all so far.
    async fn take(&self) -> Result<usize> {
        let mut out = self.out.lock().await;
        let taken = timeout(CONFIRMED, self.vhost.drain("out")).await??;
        for message in taken {
            out.insert(message.text().parse().context("a number")?);
        }
        Ok(out.last().copied().unwrap_or_default())
    }

    /// Waits until each message that the broker confirmed has come out.
    pub(super) async fn account(&self) -> Result<usize> {
        let look = async || {
            self.take().await?;
            let out = self.out.lock().await;
            let missing = (0..self.confirmed).filter(|number| !out.contains(number));
            Ok(missing.collect::<Vec<_>>())
        };
        eventually_within(HANDLED, "nothing is lost", look, Vec::is_empty).await?;
        Ok(self.confirmed)
    }
}
