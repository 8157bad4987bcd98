//! The load of a cluster whose nodes come and go: numbered messages to several queues, all along. A host takes each to
//! the queue `out`, where its number has to come.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{Cluster, HiveToml, Message, Version, Vhost, eventually};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Messages for each wait for the broker's confirmations.
const WINDOW: usize = 20;

/// A pause after each of them: two cores carry three nodes and a host besides.
const PACE: Duration = Duration::from_millis(20);

/// How long the broker may take for those. A window that takes longer is sent again.
const CONFIRMED: Duration = Duration::from_secs(20);

/// The queues that a host consumes, one of each type.
pub(super) const QUEUES: [&str; 3] = ["parcels", "notes", "events"];

/// The cluster of all these scenarios, for one of them at a time, and whole. None on a version whose clusters the tests do
/// not know.
pub(super) async fn cluster(
    test: &str,
) -> Result<Option<tokio::sync::MutexGuard<'static, Cluster>>> {
    let versions = [Version::V4_0, Version::V4_3];
    if !Version::of_run()?.is_one_of(&versions, test, "clusters are tested on 4.0 and later") {
        return Ok(None);
    }
    static CLUSTER: OnceCell<tokio::sync::Mutex<Cluster>> = OnceCell::const_new();
    let start = async || {
        let cluster = Cluster::start(Version::of_run()?).await?;
        anyhow::Ok(tokio::sync::Mutex::new(cluster))
    };
    let cluster = CLUSTER.get_or_try_init(start).await?.lock().await;
    // The scenario before may have failed, and left it in any state.
    cluster.mend().await?;
    Ok(Some(cluster))
}

/// A host that hands each message on: from a quorum queue, a classic queue and a stream.
pub(super) fn carrying() -> HiveToml {
    let toml = HiveToml::new()
        .connection("heartbeat = \"2s\"\nconnect_timeout = \"2s\"")
        .component("soak", "")
        .queue("out", "");
    let [parcels, notes, events] = QUEUES;
    toml.queue(parcels, "type = \"quorum\"")
        .consumer(parcels, "soak", "")
        .queue(notes, "type = \"classic\"")
        .consumer(notes, "soak", "")
        .queue(events, "type = \"stream\"")
        .consumer(events, "soak", "stream = { offset = \"first\" }")
}

/// Publishes from its start until [`Load::account`].
pub(super) struct Load {
    books: Arc<Books>,
    publishing: JoinSet<()>,
    _taking: JoinSet<()>,
}

/// What was sent, and what came out.
struct Books {
    /// The queues that get the next messages.
    fed: Mutex<Vec<&'static str>>,
    /// The queue of each window that the broker confirmed. The first has the messages from 0 on.
    confirmed: Mutex<Vec<&'static str>>,
    out: Mutex<BTreeSet<usize>>,
}

impl Load {
    /// Feeds these queues.
    pub(super) fn start(vhost: &Arc<Vhost>, queues: &[&'static str]) -> Self {
        let books = Arc::new(Books {
            fed: Mutex::new(queues.to_vec()),
            confirmed: Mutex::default(),
            out: Mutex::default(),
        });
        let (mut publishing, mut taking) = (JoinSet::new(), JoinSet::new());
        publishing.spawn(publish(Arc::clone(vhost), Arc::clone(&books)));
        taking.spawn(take(Arc::clone(vhost), Arc::clone(&books)));
        Self {
            books,
            publishing,
            _taking: taking,
        }
    }

    /// Feeds these queues from now on.
    pub(super) fn feed(&self, queues: &[&'static str]) {
        *held(&self.books.fed) = queues.to_vec();
    }

    /// Waits until of each queue that is fed a message has come out that was sent after this moment.
    pub(super) async fn flows(&self) -> Result<()> {
        let from = held(&self.books.confirmed).len();
        let look = async || {
            let fed = held(&self.books.fed);
            let (confirmed, out) = (held(&self.books.confirmed), held(&self.books.out));
            let flows = |queue: &&&str| {
                let windows = confirmed.iter().enumerate().skip(from);
                let mut of_queue = windows.filter(|(_, sent_to)| *sent_to == *queue);
                of_queue.any(|(window, _)| numbers(window).any(|number| out.contains(&number)))
            };
            let missing = fed.iter().filter(|queue| !flows(queue)).copied();
            Ok(missing.collect::<Vec<_>>())
        };
        eventually("each queue flows", look, Vec::is_empty).await?;
        Ok(())
    }

    /// Publishes no more, and waits until each message that the broker confirmed has come out.
    pub(super) async fn account(mut self) -> Result<()> {
        self.publishing.shutdown().await;
        let look = async || {
            let (confirmed, out) = (held(&self.books.confirmed), held(&self.books.out));
            let mut sent = (0..confirmed.len()).flat_map(numbers).peekable();
            ensure!(sent.peek().is_some(), "nothing was sent");
            Ok(sent
                .filter(|number| !out.contains(number))
                .collect::<Vec<_>>())
        };
        eventually("no message is lost", look, Vec::is_empty).await?;
        Ok(())
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().expect("no holder of this lock panics")
}

fn numbers(window: usize) -> std::ops::Range<usize> {
    window * WINDOW..(window + 1) * WINDOW
}

/// Sends one window after the other. What the broker does not confirm is sent again, so it may come out twice.
async fn publish(vhost: Arc<Vhost>, books: Arc<Books>) {
    loop {
        let (queue, window) = {
            let (fed, confirmed) = (held(&books.fed), held(&books.confirmed));
            (fed[confirmed.len() % fed.len()], confirmed.len())
        };
        let messages = numbers(window).map(|number| Message::new(format!("{number} publish")));
        let messages = messages.collect::<Vec<_>>();
        if let Ok(Ok(())) = timeout(CONFIRMED, vhost.publish_all("", queue, messages)).await {
            held(&books.confirmed).push(queue);
        }
        sleep(PACE).await;
    }
}

/// Takes what comes out. What is taken and not acknowledged comes again.
async fn take(vhost: Arc<Vhost>, books: Arc<Books>) {
    loop {
        let note = |message: Message| {
            let number = message
                .text()
                .parse()
                .expect("the component hands on numbers");
            held(&books.out).insert(number);
            false
        };
        // It ends when its node goes.
        drop(vhost.take_until("out", note).await);
        sleep(PACE).await;
    }
}
