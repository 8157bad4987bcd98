//! Conversations of a client with a broker: generated, held with two brokers step by step, and compared in all that
//! the client sees.

mod carry;
mod client;
mod heard;
mod step;
mod strategy;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use carry::Talk;
pub use step::Step;
pub use strategy::conversation;

const POLL: Duration = Duration::from_millis(5);

/// A vhost of a broker, for clients by hand.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The name of the broker, for a difference.
    pub name: &'static str,
    /// The address at which it speaks AMQP.
    pub address: SocketAddr,
    /// The vhost.
    pub vhost: String,
}

/// Holds a conversation with both brokers, and gives its course up to where they differ, or `None`. The names of
/// queues and exchanges begin with `prefix`. What RabbitMQ does for a step, such as a dead letter, may come later than
/// its answer: only a difference waits for `patience` to pass.
///
/// # Errors
/// When one of them cannot be spoken with.
pub async fn difference(
    reference: &Speaker,
    examined: &Speaker,
    prefix: &str,
    steps: &[Step],
    patience: Duration,
) -> Result<Option<String>> {
    let mut one = Talk::begin(reference, prefix).await?;
    let mut other = Talk::begin(examined, prefix).await?;
    let mut course = String::new();
    for (number, step) in steps.iter().enumerate() {
        writeln!(course, "{number}: {step:?}")?;
        let wanted = other.take(number, step).await;
        let wanted = wanted.with_context(|| format!("{}\n{course}", examined.name))?;
        let mut heard = one.take(number, step).await;
        let start = Instant::now();
        while heard.as_ref().is_ok_and(|heard| *heard != wanted)
            && start.elapsed() < patience
            && !one.has_ended()
        {
            sleep(POLL).await;
            heard = one.look().await;
        }
        let heard = heard.with_context(|| format!("{}\n{course}", reference.name))?;
        if heard != wanted {
            let (reference, examined) = (reference.name, examined.name);
            write!(course, "   {reference}: {heard}\n   {examined}: {wanted}")?;
            return Ok(Some(course));
        }
        writeln!(course, "   {heard}")?;
        if one.has_ended() {
            break;
        }
    }
    one.end().await?;
    other.end().await?;
    Ok(None)
}
