//! Whether a consumer consumes now: paused by hand, paused because its component fails, or not.
//!
//! The decision is pure (`breaker`); this module carries it out. A paused consumer has no subscription at the
//! broker: deliveries in flight are finished, and other prefetched deliveries go back to the queue.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use hive_amqp::{ConsumerWatch, Intake, Subscription};
use hive_config::plan::PauseOnPlan;
use hive_core::policy::Performance;
use hive_lifecycle::Tasks;
use hive_telemetry::{ConsumerPaused, ConsumerResumed, ConsumerTelemetry, PausedBy};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breaker, Pass, Stand};
use super::by_key::ByKey;
use super::order::Order;
use super::services::Common;
use crate::status::Pause;

/// The flow of one consumer.
#[derive(Debug)]
pub struct Flow {
    /// Lent by the pipeline.
    subscription: Arc<Subscription>,
    order: Option<Arc<Order>>,
    by_key: Option<Arc<ByKey>>,
    pause_on: Option<PauseOnPlan>,
    state: Mutex<State>,
    /// The breaker stands elsewhere.
    turned: Notify,
    telemetry: Arc<ConsumerTelemetry>,
}

#[derive(Debug)]
struct State {
    by_hand: Option<SystemTime>,
    breaker: Option<Breaker>,
    /// Since when the breaker is not closed, and what it saw.
    tripped: Option<Tripped>,
    /// Distinguishes the single probe deliveries.
    probes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Tripped {
    since: SystemTime,
    failed: usize,
    of: usize,
}

/// A delivery that the breaker waits to hear about. Dropped, nothing is known of how it ended.
#[derive(Debug)]
pub(super) struct Watched {
    flow: Arc<Flow>,
    pass: Pass,
    is_told: bool,
}

impl Flow {
    pub(super) fn new(
        common: &Common<'_>,
        order: Option<&Arc<Order>>,
        by_key: Option<&Arc<ByKey>>,
    ) -> Arc<Self> {
        let pause_on = common.plan.pause_on;
        Arc::new(Self {
            subscription: Arc::clone(common.subscription),
            order: order.map(Arc::clone),
            by_key: by_key.map(Arc::clone),
            pause_on,
            state: Mutex::new(State {
                by_hand: None,
                breaker: pause_on.map(Breaker::new),
                tripped: None,
                probes: 0,
            }),
            turned: Notify::new(),
            telemetry: Arc::clone(common.telemetry),
        })
    }

    /// Whether its consumer consumes, apart from pauses.
    pub fn watch(&self) -> ConsumerWatch {
        self.subscription.watch()
    }

    /// What a delivery that is handed over now carries for the breaker.
    pub(super) fn watched(self: &Arc<Self>) -> Option<Watched> {
        self.pause_on?;
        let pass = self.lock().breaker.as_ref()?.pass();
        Some(Watched {
            flow: Arc::clone(self),
            pass,
            is_told: false,
        })
    }

    /// A delivery came to nothing before it was handed over. It may have been the one to decide by.
    pub(super) fn missed(self: &Arc<Self>) {
        drop(self.watched());
    }

    /// Stops consuming until the consumer is resumed. False if it is already paused by hand.
    pub fn pause(&self) -> bool {
        let mut state = self.lock();
        if state.by_hand.is_some() {
            return false;
        }
        state.by_hand = Some(SystemTime::now());
        self.carry_out(&mut state);
        ConsumerPaused::ByHand.emit(&self.telemetry);
        true
    }

    /// Resumes, whatever the reason for the pause was. False if it was not paused.
    pub fn resume(&self) -> bool {
        let mut state = self.lock();
        let by_hand = state.by_hand.take();
        let tripped = state.tripped.take();
        if by_hand.is_none() && tripped.is_none() {
            return false;
        }
        if let Some(breaker) = &mut state.breaker {
            breaker.reset();
        }
        self.carry_out(&mut state);
        ConsumerResumed::ByHand.emit(&self.telemetry);
        true
    }

    /// The pause, if there is one.
    pub fn paused(&self) -> Option<Pause> {
        let state = self.lock();
        if let Some(since) = state.by_hand {
            return Some(Pause {
                by: PausedBy::Hand,
                reason: "paused by an operator; `hive-host resume` resumes it".into(),
                since,
            });
        }
        let (tripped, breaker) = (state.tripped?, state.breaker.as_ref()?);
        let next = match breaker.stand() {
            Stand::Open(until) => {
                let left = until.saturating_duration_since(Instant::now());
                format!("one is tried in {:?}", Duration::from_secs(left.as_secs()))
            }
            Stand::HalfOpen | Stand::Closed => "one is being tried".to_owned(),
        };
        Some(Pause {
            by: PausedBy::Failures,
            reason: format!("{tripped}; {next}").into(),
            since: tripped.since,
        })
    }

    /// Has the breaker try a probe delivery when its time has come, until the host drains.
    pub(super) async fn keep_time(self: Arc<Self>, tasks: Tasks) {
        loop {
            let turned = self.turned.notified();
            let stand = self.lock().breaker.as_ref().map(Breaker::stand);
            let until = async {
                match stand {
                    Some(Stand::Open(until)) => tokio::time::sleep_until(until).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tasks.drain().cancelled() => return,
                () = turned => {}
                () = until => self.wake(),
            }
        }
    }

    fn wake(&self) {
        let mut state = self.lock();
        let is_time = |breaker: &mut Breaker| breaker.wake(Instant::now());
        if state.breaker.as_mut().is_some_and(is_time) {
            self.carry_out(&mut state);
        }
    }

    /// A delivery has ended.
    fn ended(&self, pass: Pass, performance: Performance) {
        let mut state = self.lock();
        let Some(breaker) = &mut state.breaker else {
            return;
        };
        if !breaker.ended(pass, performance, Instant::now()) {
            return;
        }
        let (failed, of) = breaker.tally();
        match breaker.stand() {
            Stand::Closed => {
                state.tripped = None;
                ConsumerResumed::Works.emit(&self.telemetry);
            }
            Stand::Open(_) => {
                let pause = self.pause_on.map(|rule| rule.pause).unwrap_or_default();
                let told = match state.tripped {
                    None => ConsumerPaused::Fails { failed, of, pause },
                    Some(_) => ConsumerPaused::StillFails { pause },
                };
                let since = SystemTime::now();
                state.tripped.get_or_insert(Tripped { since, failed, of });
                told.emit(&self.telemetry);
            }
            Stand::HalfOpen => {}
        }
        self.carry_out(&mut state);
    }

    /// Applies the wanted demand to the subscription.
    fn carry_out(&self, state: &mut State) {
        let stand = state.breaker.as_ref().map(Breaker::stand);
        let intake = match (state.by_hand, stand) {
            (None, None | Some(Stand::Closed)) => Intake::All,
            (None, Some(Stand::HalfOpen)) => {
                state.probes += 1;
                Intake::One(state.probes)
            }
            (Some(_), _) | (None, Some(Stand::Open(_))) => Intake::Nothing,
        };
        if let Some(order) = &self.order {
            match intake {
                Intake::Nothing => order.close(),
                Intake::All | Intake::One(_) => order.open(),
            }
        }
        if let Some(by_key) = &self.by_key {
            match intake {
                Intake::Nothing => by_key.close(),
                Intake::All | Intake::One(_) => by_key.open(),
            }
        }
        self.subscription.take_in(intake);
        self.telemetry
            .is_paused(state.by_hand.is_some(), state.tripped.is_some());
        self.turned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failed, of, .. } = self;
        write!(f, "{failed} of the last {of} deliveries failed")
    }
}

impl Watched {
    /// How it ended.
    pub(super) fn tell(mut self, performance: Performance) {
        self.is_told = true;
        self.flow.ended(self.pass, performance);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_told {
            self.flow.ended(self.pass, Performance::Unknown);
        }
    }
}
