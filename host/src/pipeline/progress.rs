//! The position in a stream, kept in the store: read before the first delivery, written as deliveries are
//! handled, and once more at the end.
//!
//! The stored position is the lowest unhandled offset. It lags behind by [`WRITE_INTERVAL`] at most; after a crash, the
//! messages of that time are repeated besides those in flight.

use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Reading, Subscription};
use hive_config::plan::StreamPlan;
use hive_lifecycle::Tasks;
use hive_sandbox::Slot;
use hive_store::{Bucket, Namespace, StoreFault, Value};
use hive_telemetry::StreamTelemetry;
use tokio::sync::{Mutex, OnceCell};

use super::services::Common;

/// Between two writes, so that a fast stream does not write for each message.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);

/// Between two tries of a store that fails.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// For the last write of a host that does not wait any more.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The progress of one consumer.
pub(super) struct Progress {
    reading: Arc<Reading>,
    group: Arc<str>,
    bucket: Bucket,
    /// The position in the store; `None` if it has none.
    stored: Mutex<Option<u64>>,
    resumed: OnceCell<()>,
    begun: OnceCell<()>,
    telemetry: StreamTelemetry,
    tasks: Tasks,
}

impl Progress {
    /// `None` if the consumer reads no stream.
    pub(super) fn of(common: &Common<'_>) -> Option<Arc<Self>> {
        let Common { plan, services, .. } = common;
        let StreamPlan { group, .. } = plan.stream.as_ref()?;
        let reading = common.subscription.reading()?;
        let vhost = services.connection.vhost();
        let bucket = Bucket::new(&services.store, Namespace::stream(vhost, &plan.queue));
        let telemetry = services.telemetry.stream(&plan.name, &plan.queue, group);
        let progress = Self::new(reading, group, bucket, &services.tasks, telemetry);
        Some(Arc::new(progress))
    }

    fn new(
        reading: &Arc<Reading>,
        group: &Arc<str>,
        bucket: Bucket,
        tasks: &Tasks,
        telemetry: StreamTelemetry,
    ) -> Self {
        Self {
            reading: Arc::clone(reading),
            group: Arc::clone(group),
            bucket,
            stored: Mutex::default(),
            resumed: OnceCell::new(),
            begun: OnceCell::new(),
            telemetry,
            tasks: tasks.clone(),
        }
    }

    /// Starts to store the position, and to resume with other code where the component stopped the consumer.
    pub(super) fn start(self: &Arc<Self>, slot: Option<&Arc<Slot>>) {
        let progress = Arc::clone(self);
        self.tasks
            .spawn_work(async move { progress.keep_writing().await });
        if let Some(slot) = slot.cloned() {
            let progress = Arc::clone(self);
            self.tasks
                .spawn_service(async move { progress.go_on_after_swaps(&slot).await });
        }
    }

    /// Goes on where an earlier host of the group was. Waits for a store that fails, and gives false if
    /// the host drains meanwhile.
    pub(super) async fn resume(&self, subscription: &Subscription) -> bool {
        while let Err(fault) = self.resumed.get_or_try_init(|| self.look_up()).await {
            let reason = format!("the stored offset cannot be read: {fault}");
            self.telemetry.store_failed(&reason);
            subscription.waits(&reason);
            tokio::select! {
                () = self.tasks.drain().cancelled() => return false,
                () = tokio::time::sleep(STORE_PAUSE) => {}
            }
        }
        true
    }

    async fn look_up(&self) -> Result<(), StoreFault> {
        let standing = self.standing().await?;
        *self.stored.lock().await = standing;
        if let Some(position) = standing {
            self.reading.resume(position);
            self.telemetry.resumed(position);
        }
        Ok(())
    }

    /// Makes sure that the store knows where the stream was begun, before anything of it is handled: a
    /// host that dies over the first message would begin behind it with `offset = "next"`.
    pub(super) async fn begun(&self) -> Result<(), StoreFault> {
        self.begun
            .get_or_try_init(|| async {
                match self.reading.position() {
                    Some(position) => self.write(position).await,
                    None => Ok(()),
                }
            })
            .await
            .copied()
    }

    async fn keep_writing(&self) {
        let drain = self.tasks.drain();
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                () = self.reading.moved() => {}
            }
            let pause = match self.write_position().await {
                Ok(()) => WRITE_INTERVAL,
                Err(fault) => {
                    self.telemetry.store_failed(&fault.to_string());
                    STORE_PAUSE
                }
            };
            let _elapsed_or_draining = tokio::time::timeout(pause, drain.cancelled()).await;
        }
        self.reading.close();
        while !self.reading.is_idle() {
            tokio::select! {
                biased;
                () = self.tasks.abandon().cancelled() => break,
                () = self.reading.moved() => {}
            }
        }
        match tokio::time::timeout(LAST_WRITE_TIMEOUT, self.write_position()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => self.telemetry.store_failed(&fault.to_string()),
            Err(_) => self.telemetry.store_failed("it does not answer"),
        }
    }

    async fn write_position(&self) -> Result<(), StoreFault> {
        match self.reading.position() {
            Some(position) => {
                self.telemetry.handled_up_to(position);
                self.write(position).await
            }
            None => Ok(()),
        }
    }

    /// Writes it down, unless the store is further already: another host of the group got there.
    async fn write(&self, position: u64) -> Result<(), StoreFault> {
        let mut stored = self.stored.lock().await;
        while stored.is_none_or(|stored| stored < position) {
            let expected = stored.map(written);
            let value = Value::lasting(written(position));
            let key = self.group.as_bytes();
            if self.bucket.swap(key, expected, value).await? {
                *stored = Some(position);
            } else {
                *stored = self.standing().await?;
                self.telemetry.moved_by_another(*stored);
            }
        }
        if let Some(stored) = *stored {
            self.telemetry.stored(stored);
        }
        Ok(())
    }

    async fn standing(&self) -> Result<Option<u64>, StoreFault> {
        let standing = self.bucket.get(self.group.as_bytes()).await?;
        let Some(bytes) = standing else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        text.parse().map(Some).map_err(|_| {
            StoreFault::Failed(format!(
                "the offset of the group {:?} is {text:?}",
                self.group
            ))
        })
    }

    /// Other code may handle what this one failed on.
    async fn go_on_after_swaps(&self, slot: &Slot) {
        let mut stopped = self.reading.stopped();
        let swaps = async {
            loop {
                let before = slot.current();
                if stopped.wait_for(Option::is_some).await.is_err() {
                    return;
                }
                slot.takes_over_from(&before).await;
                self.telemetry.goes_on();
                self.reading.go_on();
            }
        };
        tokio::select! {
            () = self.tasks.drain().cancelled() => {}
            () = swaps => {}
        }
    }
}

/// The position as the store keeps it.
fn written(position: u64) -> Vec<u8> {
    position.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use hive_config::plan::StreamOffset;
    use hive_store::{Clock, Memory, Store};
    use hive_telemetry::Telemetry;

    use super::*;

    /// The progress of one host of the group `group`.
    fn progress(store: &Arc<dyn Store>) -> Progress {
        let telemetry = Telemetry::new().unwrap();
        let name: Arc<str> = "events".into();
        Progress::new(
            &Arc::new(Reading::new(StreamOffset::First)),
            &"group".into(),
            Bucket::new(store, Namespace::stream("/", "events")),
            &Tasks::new(),
            telemetry.stream(&name, &name, &name),
        )
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(Memory::new(Clock::system()))
    }

    #[tokio::test]
    async fn a_host_goes_on_where_another_of_its_group_was() {
        let store = store();
        let first = progress(&store);
        first.look_up().await.unwrap();
        assert_eq!(first.reading.position(), None);
        first.write(7).await.unwrap();
        let second = progress(&store);
        second.look_up().await.unwrap();
        assert_eq!(second.reading.position(), Some(7));
    }

    #[tokio::test]
    async fn two_hosts_at_once_never_move_the_offset_back() {
        let store = store();
        let (ahead, behind) = (progress(&store), progress(&store));
        behind.write(3).await.unwrap();
        ahead.write(10).await.unwrap();
        behind.write(5).await.unwrap();
        assert_eq!(behind.standing().await.unwrap(), Some(10));
        behind.write(12).await.unwrap();
        ahead.write(11).await.unwrap();
        assert_eq!(ahead.standing().await.unwrap(), Some(12));
    }

    #[tokio::test]
    async fn what_is_no_offset_is_not_taken_for_one() {
        let store = store();
        let bucket = Bucket::new(&store, Namespace::stream("/", "events"));
        bucket.set(b"group", Value::lasting("x")).await.unwrap();
        let fault = progress(&store).look_up().await.unwrap_err();
        assert!(fault.to_string().contains("\"x\""), "{fault}");
    }
}
