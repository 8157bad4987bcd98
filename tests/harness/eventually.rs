//! Waiting for something that the broker or the host will show, without guessing how long it takes.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Longer than the three minutes after which a quorum queue tries once more to dead-letter what its target did not take
/// (RabbitMQ, "Quorum Queues", at-least-once dead lettering): a broker that is busy may not take the first from a delay
/// queue that is new. A test that passes never waits for it.
const DEADLINE: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(20);

/// Asks `look` again and again until `is_so` holds, and gives the value that it held for.
pub async fn eventually<T, F>(
    what: &str,
    look: impl FnMut() -> F,
    is_so: impl Fn(&T) -> bool,
) -> Result<T>
where
    T: Debug,
    F: Future<Output = Result<T>>,
{
    eventually_within(DEADLINE, what, look, is_so).await
}

/// As [`eventually`], with a deadline of the caller's; fails with the value that was seen last.
pub async fn eventually_within<T, F>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
    is_so: impl Fn(&T) -> bool,
) -> Result<T>
where
    T: Debug,
    F: Future<Output = Result<T>>,
{
    let start = Instant::now();
    loop {
        let seen = look().await;
        match &seen {
            Ok(value) if is_so(value) => return seen,
            _ if start.elapsed() < deadline => sleep(POLL).await,
            Ok(value) => bail!("not so after {deadline:?}: {what}; last seen: {value:?}"),
            Err(error) => bail!("not so after {deadline:?}: {what}; last seen: {error:#}"),
        }
    }
}
