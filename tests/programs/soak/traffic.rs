//! The traffic: numbered messages, each with the behaviour that it asks for.

use std::time::Duration;

use hive_tests::{HiveToml, Message, Vhost};
use rand::Rng;
use rand::rngs::StdRng;

use anyhow::{Context, Result};
use tokio::time::timeout;

/// The queues that are consumed, and their types.
pub(crate) const QUEUES: [(&str, &str); 4] = [
    ("parcels", "quorum"),
    ("letters", "quorum"),
    ("notes", "classic"),
    ("cards", "classic"),
];

/// Messages for each wait for the broker's confirmations; unconfirmed messages are sent again.
const WINDOW: usize = 200;

/// How long the broker may take for those. A node that has lost the others neither answers nor says so.
const CONFIRMED: Duration = Duration::from_secs(60);

/// The behaviour that a message asks of the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Ack,
    Publish,
    Retry,
    Reject,
    Trap,
    Hang,
}

impl Behaviour {
    /// How many of a thousand messages ask for each. Few hang: each keeps a worker for the whole `timeout`.
    const SHARES: [(Self, u32); 6] = [
        (Self::Ack, 301),
        (Self::Publish, 380),
        (Self::Retry, 200),
        (Self::Reject, 88),
        (Self::Trap, 30),
        (Self::Hang, 1),
    ];

    fn draw(rng: &mut StdRng) -> Self {
        let mut rest = rng.random_range(0..1000);
        for (behaviour, share) in Self::SHARES {
            if rest < share {
                return behaviour;
            }
            rest -= share;
        }
        Self::Ack
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Publish => "publish",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Trap => "trap",
            Self::Hang => "hang",
        }
    }
}

/// The messages, and how far they are sent.
pub(crate) struct Traffic {
    asked: Vec<Behaviour>,
    /// The number of the next one.
    next: usize,
    /// Windows that the broker did not confirm, to be sent once more, whole.
    unconfirmed: Vec<Vec<usize>>,
    /// Messages that may be in their queue twice, since they were sent again.
    sent_again: usize,
}

impl Traffic {
    pub(crate) fn new(messages: u32, rng: &mut StdRng) -> Self {
        Self {
            asked: (0..messages).map(|_| Behaviour::draw(rng)).collect(),
            next: 0,
            unconfirmed: Vec::new(),
            sent_again: 0,
        }
    }

    /// The behaviour of each message; the index is its number.
    pub(crate) fn asked(&self) -> &[Behaviour] {
        &self.asked
    }

    /// How many were sent more than once, because the broker went away over them.
    pub(crate) fn sent_again(&self) -> usize {
        self.sent_again
    }

    /// Sends the next `count`. What the broker does not confirm is sent again by a later call.
    pub(crate) async fn publish(&mut self, vhost: &Vhost, count: usize) {
        let end = (self.next + count).min(self.asked.len());
        let numbers: Vec<usize> = (self.next..end).collect();
        self.next = end;
        let mut windows: Vec<Vec<usize>> = numbers.chunks(WINDOW).map(<[usize]>::to_vec).collect();
        let again = std::mem::take(&mut self.unconfirmed);
        self.sent_again += again.iter().map(Vec::len).sum::<usize>();
        windows.extend(again);
        for window in windows {
            // A window goes to one queue, the next one to another.
            let (queue, _) = QUEUES[window[0] / WINDOW % QUEUES.len()];
            let messages = window.iter().map(|&number| self.message(number));
            let sent = vhost.publish_all("", queue, messages.collect::<Vec<_>>());
            if !matches!(timeout(CONFIRMED, sent).await, Ok(Ok(()))) {
                self.unconfirmed.push(window);
            }
        }
    }

    /// Sends whatever is left, on a broker that is well.
    pub(crate) async fn publish_rest(&mut self, vhost: &Vhost) -> Result<()> {
        for _ in 0..10 {
            self.publish(vhost, self.asked.len()).await;
            if self.unconfirmed.is_empty() {
                return Ok(());
            }
        }
        Err(anyhow::anyhow!("{} windows", self.unconfirmed.len()))
            .context("the broker does not confirm what the soak itself sends")
    }

    fn message(&self, number: usize) -> Message {
        let text = format!("{number} {}", self.asked[number].as_str());
        Message::new(text).with(|properties| {
            properties
                .with_message_id(format!("soak-{number}").into())
                .with_delivery_mode(2)
        })
    }
}

/// The values between which a reload changes the prefetch.
pub(crate) const PREFETCHES: [u16; 2] = [200, 100];

/// A host that consumes all of it, from queues as they are by default. The component's `timeout` is far above what a call
/// takes even while all nodes of a cluster start at once: what is timed out twice is dead-lettered, and would count as lost.
pub(crate) fn hive_toml(prefetch: u16) -> HiveToml {
    let toml = HiveToml::new()
        .host(
            r#"log = "error,guest=info,hive::app=info,hive::consumer=info,hive::connection=info""#,
        )
        .connection(
            r#"heartbeat = "2s"
connect_timeout = "2s"
"#,
        )
        .component("soak", r#"timeout = "2s""#)
        .queue("out", "");
    QUEUES.iter().fold(toml, |toml, (queue, kind)| {
        toml.queue(queue, &format!("type = \"{kind}\"")).consumer(
            queue,
            "soak",
            &format!(
                "prefetch = {prefetch}\nconcurrency = 2\nretry = {{ limit = 1, delays = [\"200ms\"] }}"
            ),
        )
    })
}
