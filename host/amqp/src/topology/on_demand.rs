//! Delay queues that are made when a component asks for a delay that no policy names.

use std::collections::HashSet;
use std::sync::MutexGuard;
use std::time::{Duration, SystemTime};

use hive_config::plan::{Arguments, BindingPlan, ExchangePlan};
use hive_core::message::Publication;
use hive_core::moments;
use lapin::types::ShortString;

use super::declarer::Declarer;
use super::delay_queue::{Home, delay_queue};
use super::implied::ensured;
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
    ) -> Result<DelayQueue, EnsureFault> {
        if let Some(delay) = self.configured(queue, delay) {
            let name = delay_queue_name(queue, delay);
            return Ok(DelayQueue { name, delay });
        }
        let delay = rung(delay);
        let today = today(SystemTime::now());
        let name = format!("{}.{today}", delay_queue_name(queue, delay));
        if self.is_made(&name) {
            return Ok(DelayQueue { name, delay });
        }
        let home = Home::Queue(queue);
        let declaration = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        self.ensure(session, declaration).await?;
        self.made(&name, &today);
        Ok(DelayQueue { name, delay })
    }

    /// Makes sure of a delay queue that a copy did not reach.
    pub(crate) async fn ensure_delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
    ) -> Result<DelayQueue, EnsureFault> {
        if let Some(delay) = self.configured(queue, delay) {
            let name = delay_queue_name(queue, delay);
            let home = Home::Queue(queue);
            let declaration = delay_queue(session.broker(), &name, home, delay, None);
            self.ensure(session, declaration).await?;
            return Ok(DelayQueue { name, delay });
        }
        self.lock_made().clear();
        self.delay_queue(session, queue, delay).await
    }

    /// The delay that serves `delay` and needs no queue on demand: itself, or its rung.
    fn configured(&self, queue: &str, delay: Duration) -> Option<Duration> {
        let mut served_by = [delay, rung(delay)].into_iter();
        served_by.find(|delay| self.is_configured(queue, *delay))
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
        let today = today(SystemTime::now());
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
        let fanout = ExchangePlan {
            name: name.clone(),
            kind: "fanout".into(),
            passive: false,
            durable: true,
            // It goes when its queue expires.
            auto_delete: true,
            internal: false,
            arguments: Arguments::new(),
            bindings: Vec::new(),
        };
        let binding = BindingPlan {
            exchange: name.clone(),
            routing_key: String::new(),
            arguments: Arguments::new(),
        };
        let home = Home::Exchange(exchange);
        let queue = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        let mut declarer = Declarer::new(session, &self.known);
        let declared = async {
            declarer.exchange(&fanout).await?;
            declarer.queue(&queue).await?;
            declarer.bind_queue(&name, &binding).await
        }
        .await;
        ensured(&name, declarer, declared).await?;
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

    fn is_made(&self, name: &str) -> bool {
        self.lock_made().contains(name)
    }

    fn made(&self, name: &str, today: &str) {
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

/// The day of `now`, in UTC, as in "2026-11-21".
pub(super) fn today(now: SystemTime) -> String {
    let mut text = moments::to_the_second(now);
    text.truncate("2026-11-21".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_in_utc() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_243_796);
        assert_eq!(today(now), "2026-11-21");
        // A clock that was never set must not cost a delivery.
        let never_set = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(today(never_set), "1970-01-01");
    }
}
