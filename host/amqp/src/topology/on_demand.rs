//! Delay queues that are made when a component asks for a delay that no policy names.

use std::collections::HashSet;
use std::sync::MutexGuard;
use std::time::Duration;

use hive_config::plan::DelayQueues;
use hive_core::message::Publication;
use hive_core::moments::{day, now};
use lapin::types::ShortString;

use super::delay_queue::{Home, delay_queue};
use super::names::LONGEST_NAME;
use super::{EnsureFault, Topology};
use crate::message::delay::{
    DelayQueue, compact, delay_queue_name, delayed_publications_name, rung,
};
use crate::session::Session;

/// How long a queue that was made on demand outlives the longest stay of a message in it.
const LEASE: Duration = Duration::from_secs(48 * 60 * 60);

impl Topology {
    /// The delay queue for `delay` after a failure on `queue`, which exists when this returns.
    ///
    /// One that a consumer's `delays` name was declared when the connection opened. Any other is
    /// made now, on the ladder, and expires when it is unused for long.
    ///
    /// A queue that expires is deleted with the messages in it, so none may be in it by then. A
    /// quorum queue's lease is not renewed by declaring it again, nor by publishing to it: it runs
    /// from the day it is made. So its name has that day in it, and it is used on that day only.
    /// A message goes in at most a day after the queue was made and leaves after `rung`, while the
    /// queue stays for `rung` and [`LEASE`], two days: there is a whole day in hand for clocks
    /// that differ, and for a broker that is late or down.
    pub(crate) async fn delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
        among: DelayQueues,
    ) -> Result<DelayQueue, EnsureFault> {
        if among == DelayQueues::Shared {
            return self.shared_delay_queue(session, queue, delay).await;
        }
        if let Some(delay) = self.configured(queue, delay, among) {
            return Ok(own(delay_queue_name(queue, delay), delay));
        }
        let delay = rung(delay);
        let today = day(now());
        let name = format!("{}.{today}", delay_queue_name(queue, delay));
        if self.is_made(&name) {
            return Ok(own(name, delay));
        }
        let home = Home::Queue(queue);
        let declaration = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        self.ensure(session, declaration).await?;
        self.made(&name, &today);
        Ok(own(name, delay))
    }

    /// Makes sure of a delay queue that a copy did not reach.
    pub(crate) async fn ensure_delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
        among: DelayQueues,
    ) -> Result<DelayQueue, EnsureFault> {
        if among == DelayQueues::Own
            && let Some(delay) = self.configured(queue, delay, among)
        {
            let name = delay_queue_name(queue, delay);
            let home = Home::Queue(queue);
            let declaration = delay_queue(session.broker(), &name, home, delay, None);
            self.ensure(session, declaration).await?;
            return Ok(own(name, delay));
        }
        self.lock_made().clear();
        self.delay_queue(session, queue, delay, among).await
    }

    /// The delay that serves `delay` and needs no queue on demand: itself, or its rung.
    pub(super) fn configured(
        &self,
        queue: &str,
        delay: Duration,
        among: DelayQueues,
    ) -> Option<Duration> {
        let mut served_by = [delay, rung(delay)].into_iter();
        served_by.find(|delay| self.is_configured(queue, *delay, among))
    }

    /// An exchange that holds what is published to it for `delay`, or the next rung of the ladder,
    /// and hands it on to the exchange of `publication` with the routing key that it came with.
    ///
    /// It is a fanout with one delay queue behind it, for one day, as in [`Self::delay_queue`].
    /// Publishing to the queue itself would lose the routing key, which dead-lettering goes by.
    pub(crate) async fn delaying_exchange(
        &self,
        session: &Session,
        publication: &Publication,
        delay: Duration,
    ) -> Result<ShortString, EnsureFault> {
        let exchange = publication.exchange.as_str();
        let delay = rung(delay);
        let today = day(now());
        let name = delayed_publications_name(exchange, delay, &today);
        let Ok(short_name) = ShortString::try_new(name.as_str()) else {
            return Err(EnsureFault::Impossible(format!(
                "the exchange's name has {} bytes, and can have {} for a delay of {}",
                exchange.len(),
                LONGEST_NAME + exchange.len() - name.len(),
                compact(delay),
            )));
        };
        self.destinations.find(session, publication).await?;
        if self.is_made(&name) {
            return Ok(short_name);
        }
        let home = Home::Exchange(exchange);
        let queue = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        self.ensure_behind_exchange(session, queue).await?;
        self.made(&name, &today);
        Ok(short_name)
    }

    /// The same after a publication was returned, because its exchange or queue was deleted.
    pub(crate) async fn ensure_delaying_exchange(
        &self,
        session: &Session,
        publication: &Publication,
        delay: Duration,
    ) -> Result<ShortString, EnsureFault> {
        self.lock_made().clear();
        self.destinations.forget();
        self.delaying_exchange(session, publication, delay).await
    }

    pub(crate) fn is_made(&self, name: &str) -> bool {
        self.lock_made().contains(name)
    }

    pub(super) fn made(&self, name: &str, today: &str) {
        let mut made = self.lock_made();
        made.retain(|name| name.ends_with(today));
        made.insert(name.to_owned());
    }

    fn lock_made(&self) -> MutexGuard<'_, HashSet<String>> {
        self.made_today
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }
}

fn own(name: String, delay: Duration) -> DelayQueue {
    DelayQueue {
        name,
        delay,
        is_shared: false,
    }
}
