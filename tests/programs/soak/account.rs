//! Where every message came to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use hive_tests::{HostProcess, Message, Vhost};
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::traffic::{Behaviour, QUEUES, Traffic};

/// A broker that is well hands out what it has at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often each number was seen, and where.
#[derive(Debug, Default)]
pub(crate) struct Account {
    handled: HashMap<usize, u32>,
    handed_on: HashMap<usize, u32>,
    dead: HashMap<usize, u32>,
    /// Why those are dead, in the words of the dead letter.
    reasons: HashMap<usize, String>,
    left: HashMap<usize, u32>,
}

/// The fate of all messages.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// By the behaviour that they asked for: how many there were, and how many of them ended in the right
    /// place.
    pub(crate) arrived: BTreeMap<&'static str, (usize, usize)>,
    /// Nowhere.
    pub(crate) lost: Vec<usize>,
    /// Where they did not ask to go.
    pub(crate) astray: Vec<usize>,
    /// Why those of them are dead that are.
    pub(crate) reasons: Vec<String>,
    /// Seen more than once at their end.
    pub(crate) repeated: usize,
    /// Sent more than once by the soak itself, which explains a repeat.
    pub(crate) sent_again: usize,
}

impl Account {
    /// Reads from the log of a host that has ended what only the component can report.
    pub(crate) fn add_log(&mut self, host: &mut HostProcess) {
        host.lines_to_the_end();
        for line in host.printed() {
            if let Some(number) = number_after(&line, "handled ") {
                *self.handled.entry(number).or_default() += 1;
            }
        }
    }

    /// Empties every queue that messages can have come to.
    pub(crate) async fn add_queues(&mut self, vhost: &Vhost) -> Result<()> {
        for queue in vhost.queues()? {
            let seen = match &*queue {
                "out" => &mut self.handed_on,
                dead if dead.ends_with(".dead") => &mut self.dead,
                own if QUEUES.iter().any(|(name, _)| own.starts_with(name)) => &mut self.left,
                _ => bail!("nothing was to make the queue `{queue}`"),
            };
            for message in empty(vhost, &queue).await? {
                let text = message.text();
                let number = text
                    .split(' ')
                    .next()
                    .and_then(|number| number.parse().ok());
                let number = number.with_context(|| format!("`{text}` was never sent"))?;
                *seen.entry(number).or_default() += 1;
                if let Some(reason) = death(&message) {
                    self.reasons.insert(number, reason);
                }
            }
        }
        Ok(())
    }

    /// Compares the results with what the messages asked for.
    pub(crate) fn judge(&self, traffic: &Traffic) -> Verdict {
        let mut verdict = Verdict {
            sent_again: traffic.sent_again(),
            ..Verdict::default()
        };
        for (number, behaviour) in traffic.asked().iter().enumerate() {
            let (what, there, elsewhere) = match behaviour {
                Behaviour::Ack => ("acknowledged", &self.handled, [&self.handed_on, &self.dead]),
                Behaviour::Publish => ("published", &self.handed_on, [&self.handled, &self.dead]),
                Behaviour::Retry => (
                    "retried, then published",
                    &self.handed_on,
                    [&self.handled, &self.dead],
                ),
                Behaviour::Reject => ("rejected", &self.dead, [&self.handled, &self.handed_on]),
                Behaviour::Trap => ("trapped on", &self.dead, [&self.handled, &self.handed_on]),
                Behaviour::Hang => ("timed out", &self.dead, [&self.handled, &self.handed_on]),
            };
            let times = there.get(&number).copied().unwrap_or_default();
            let (asked, arrived) = verdict.arrived.entry(what).or_default();
            *asked += 1;
            *arrived += usize::from(times > 0);
            if times == 0 && !self.left.contains_key(&number) {
                verdict.lost.push(number);
            }
            if elsewhere.iter().any(|seen| seen.contains_key(&number)) {
                verdict.astray.push(number);
                verdict.reasons.extend(self.reasons.get(&number).cloned());
            }
            verdict.repeated += usize::from(times > 1);
        }
        verdict
    }
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.lost.is_empty() && self.astray.is_empty()
    }

    pub(crate) fn complaint(&self) -> String {
        let some = |numbers: &[usize]| numbers.iter().take(20).copied().collect::<Vec<_>>();
        format!(
            "lost: {} {:?}; went astray: {} {:?}; dead because: {:#?}",
            self.lost.len(),
            some(&self.lost),
            self.astray.len(),
            some(&self.astray),
            self.reasons.iter().take(20).collect::<Vec<_>>()
        )
    }
}

/// The reason and the error of a dead letter.
fn death(message: &Message) -> Option<String> {
    let reason = message.text_of("x-hive-reason")?;
    let error = message.text_of("x-hive-error").unwrap_or_default();
    Some(format!("{}: {reason}: {error}", message.text()))
}

/// The number that follows `word` in a line of the log.
fn number_after(line: &str, word: &str) -> Option<usize> {
    let (_, rest) = line.split_once(word)?;
    rest.split(' ').next()?.parse().ok()
}

/// Removes all messages from a queue that has no other consumer, and returns them.
async fn empty(vhost: &Vhost, queue: &str) -> Result<Vec<Message>> {
    let count = vhost.ready(queue).await? as usize;
    let channel = vhost.channel().await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let mut deliveries = channel
        .basic_consume(queue.into(), "".into(), options, FieldTable::default())
        .await?;
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let next = timeout(PATIENCE, deliveries.next()).await;
        let next = next.with_context(|| format!("`{queue}` keeps back what it counts"))?;
        let delivery = next.context("the consumer ended")??;
        messages.push(delivery.into());
    }
    channel.close(200, "emptied".into()).await?;
    Ok(messages)
}
