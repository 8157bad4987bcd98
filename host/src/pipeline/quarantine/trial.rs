//! The way of a suspect: it leaves its worker, waits its turn, and is tried alone.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use hive_amqp::CameBack;
use hive_store::Value;
use hive_telemetry::{Fact, QuarantineTold};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::marker::{Fate, Marker};
use super::verdict::{DEATHS_ALONE, Deaths, Treatment, is_suspect, treatment};
use super::{
    MARKER_LIFETIME, Marked, Order, SETTLING_TIMEOUT, Suspect, Watcher, last_reader, nameless,
};
use crate::pipeline::Pipeline;
use crate::pipeline::held::Held;

impl Pipeline {
    /// The delivery, if its worker may handle it; `None` if it waits for its trial.
    pub(in crate::pipeline) async fn unsuspected(self: &Arc<Self>, held: Held) -> Option<Held> {
        let quarantine = &self.quarantine;
        let is_suspected = match &self.plan.stream {
            None => Some(is_suspect(held.delivery.came_back)),
            Some(_) => quarantine.last_reader.is_suspected(),
        };
        if !quarantine.host.is_on {
            return Some(held);
        }
        if is_suspected == Some(false) {
            // Behind those on trial, in the order of the stream. It is not parked with the others: as long as a
            // stream has more to read, there would always be another one.
            if self.tries_in_order() {
                quarantine.is_empty().boxed().await;
            }
            return Some(held);
        }
        // Apart, so that what every delivery goes through does not carry the room that this takes.
        self.suspected(held).boxed().await
    }

    /// Whether what comes now is to wait for those on trial, since all come from a stream.
    fn tries_in_order(&self) -> bool {
        self.plan.stream.is_some() && self.quarantine.lock().is_trying
    }

    async fn suspected(self: &Arc<Self>, mut held: Held) -> Option<Held> {
        let quarantine = &self.quarantine;
        let came_back = match &self.plan.stream {
            None => held.delivery.came_back,
            Some(stream) => {
                let died = pin!(self.last_reader_died(&stream.group));
                if !self.unless_abandoned([&held], died).await? {
                    return Some(held);
                }
                CameBack::Uncounted
            }
        };
        let envelope = &held.delivery.envelope;
        let original = &held.delivery.original;
        let key = original.fingerprint(&envelope.message.body);
        let standing = self
            .unless_abandoned([&held], pin!(quarantine.standing(&key)))
            .await?;
        let is_owned = standing
            .as_ref()
            .is_some_and(|standing| standing.owner.is_some());
        let deaths = standing.as_ref().map(|standing| standing.deaths);
        let deaths = deaths.unwrap_or_default();
        let treated = treatment(came_back, deaths, quarantine.host.forgets);
        if !is_owned && treated == Treatment::Marked && !self.tries_in_order() {
            self.watch(&mut held, key, deaths).await;
            return Some(held);
        }
        quarantine.telemetry.entered_quarantine();
        let order = match (&self.plan.stream, quarantine.host.forgets) {
            (Some(_), _) => Order::AsTheyCame,
            (None, true) => Order::ByChance,
            (None, false) => Order::ByDeaths,
        };
        // It is tried alone on its consumer, so no limit is needed; meanwhile others of its key go on.
        held.place = None;
        let begins = {
            let mut parked = quarantine.lock();
            let order = parked.place(order, standing.as_ref());
            parked.add(Suspect {
                held,
                key,
                came_back,
                standing,
                order,
            })
        };
        quarantine.arrived.notify_one();
        if begins {
            let pipeline = Arc::clone(self);
            self.tasks.spawn_calls(pipeline.try_suspects());
        }
        None
    }

    /// Whether the last reader of the stream died. From the first look on this one has a marker.
    async fn last_reader_died(self: &Arc<Self>, group: &str) -> bool {
        let quarantine = &self.quarantine;
        let look_up = async {
            let key = last_reader::key(group);
            let standing = quarantine.standing(&key).await;
            let died = match standing.and_then(|marker| marker.owner) {
                None => false,
                Some(owner) => {
                    let fate = quarantine.asked(quarantine.host.fate(&owner)).await;
                    fate == Some(Fate::Died)
                }
            };
            if let Some(marked) = quarantine.mark(key, Deaths::default(), false).await {
                let pipeline = Arc::clone(self);
                self.tasks.spawn_work(async move {
                    pipeline.tasks.drain().cancelled().await;
                    pipeline.quarantine.take_name_off(&marked).await;
                });
            }
            died
        };
        quarantine.last_reader.look_up(look_up).await
    }

    /// Marks a delivery that is handled among others.
    async fn watch(self: &Arc<Self>, held: &mut Held, key: [u8; 32], deaths: Deaths) {
        if let Some(marked) = self.quarantine.mark(key, deaths, false).await {
            held.watcher = Some(self.follow(marked).0);
        }
    }

    /// Starts a task that keeps a marker up to date. Returns the handle that notifies it, and the one that
    /// waits for its end.
    fn follow(self: &Arc<Self>, marked: Marked) -> (Watcher, tokio::task::JoinHandle<()>) {
        let (watcher, ended) = oneshot::channel();
        let pipeline = Arc::clone(self);
        let following = self.tasks.spawn_work(async move {
            let drain = pipeline.tasks.drain();
            pipeline.quarantine.follow(marked, ended, drain).await;
        });
        (Watcher(watcher), following)
    }

    /// Tries one suspect after the other, for as long as there is one.
    async fn try_suspects(self: Arc<Self>) {
        let drain = self.tasks.drain();
        while let Some(suspect) = self.quarantine.next(drain).await {
            let trial = AssertUnwindSafe(self.try_alone(suspect)).catch_unwind();
            if trial.await.is_err() {
                let consumer = self.telemetry.consumer();
                Fact::TrialPanicked { consumer }.emit();
            }
            self.quarantine.telemetry.left_quarantine(1);
        }
    }

    /// Tries one suspect while nothing else is handled for its consumer.
    async fn try_alone(self: &Arc<Self>, suspect: Suspect) {
        let Suspect {
            mut held,
            key,
            came_back,
            standing,
            ..
        } = suspect;
        let quarantine = &self.quarantine;
        let drain = self.tasks.drain();
        let Some(deaths) = drain
            .run_until_cancelled(self.deaths(&held, standing))
            .await
        else {
            return;
        };
        match treatment(came_back, deaths, quarantine.host.forgets) {
            Treatment::Crash => return self.dead_letter_killer(held, key, deaths).await,
            // The owner of the marker is alive after all.
            Treatment::Marked | Treatment::Alone => {}
        }
        let rights = async {
            (
                quarantine.host.trial(deaths).await,
                quarantine.gate.write().await,
            )
        };
        let Some(_rights) = drain.run_until_cancelled(rights).await else {
            return;
        };
        if !held.delivery.settlement.is_wanted() {
            return;
        }
        QuarantineTold::TriedAlone {
            delivery: &held.label(),
            deaths: deaths.alone,
        }
        .emit(&quarantine.telemetry);
        let acks = held.delivery.settlement.acks();
        let following = match quarantine.mark(key, deaths, true).await {
            Some(marked) => {
                let (watcher, following) = self.follow(marked);
                held.watcher = Some(watcher);
                Some(following)
            }
            None => None,
        };
        tokio::select! {
            biased;
            () = self.call_now(held) => {}
            // The channel is gone: the result of the call does not count, and the broker delivers the message
            // again. The consumer's other deliveries do not wait for the call.
            () = acks.gone() => {}
        }
        if let Some(following) = following {
            // A panic of it was logged by then; a slower task continues by itself.
            let _settled_or_not = timeout(SETTLING_TIMEOUT, following).await;
        }
        // The ack goes out now: if the next message ends the host, this one must not come back.
        acks.send().await;
    }

    /// The deaths behind a delivery, once the fate of the marker's owner is known.
    async fn deaths(&self, held: &Held, standing: Option<Marker>) -> Deaths {
        let quarantine = &self.quarantine;
        let Some(marker) = standing else {
            return Deaths::default();
        };
        let Some(owner) = &marker.owner else {
            return marker.deaths;
        };
        let fate = quarantine.asked(quarantine.host.fate(owner)).await;
        let fate = fate.unwrap_or(Fate::Lives);
        if fate == Fate::Died {
            QuarantineTold::HostDied {
                delivery: &held.label(),
                host: &owner.host,
                was_alone: owner.is_alone,
            }
            .emit(&quarantine.telemetry);
        }
        marker.deaths_after(fate)
    }

    /// The end of a message that ended the host too often. It is not called.
    async fn dead_letter_killer(self: &Arc<Self>, mut held: Held, key: [u8; 32], deaths: Deaths) {
        // The marker stays until the message is in the dead-letter queue; its count is the valid one from now
        // on, should the host die on the way.
        let marker = nameless(deaths);
        let value = Value::passing(marker.written(), MARKER_LIFETIME);
        self.quarantine
            .asked(self.quarantine.markers.set(&key, value))
            .await;
        held.watcher = Some(self.follow(Marked { key, marker }).0);
        let error = format!(
            "the host died {DEATHS_ALONE} times while it handled this message and nothing else of the \
             consumer: it is taken for the cause, and was not handled again"
        );
        self.settle(held, self.plan.policy().decide_killer(error));
    }
}
