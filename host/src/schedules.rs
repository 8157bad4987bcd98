//! Schedules: messages that are published at times of the day, each once, whatever number of hosts has the schedule.
//!
//! The broker decides which host fires: the schedule's own queue has a single active consumer, and a token that says
//! up to when the schedule was dealt with. A firing is published and confirmed first, then the new token, and the old
//! one is acknowledged last. A crash in between repeats a firing with the same message-id, and loses none.
//! What is decided over times and tokens is in hive-schedules; here are the clock and the broker.

mod firing;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Connection, Tokens};
use hive_config::plan::SchedulePlan;
use hive_core::codes::{Code, Reason};
use hive_core::moments;
use hive_core::pauses::Pauses;
use hive_lifecycle::Tasks;
use hive_schedules::{Due, Moment, Step, Token, Turn, due};
use hive_telemetry::{Fact, ScheduleResult, ScheduleTelemetry, Telemetry};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use self::firing::Firing;
pub(crate) use self::firing::{message, run_id};
pub(crate) use self::state::ScheduleState;
use crate::random;

/// The clock is looked at this often: it may be set, and the machine may have slept.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A token is published again before RabbitMQ ends a channel over a message that is not acknowledged for long
/// (`consumer_timeout`, 30 minutes).
const RENEW_EVERY: Duration = Duration::from_secs(10 * 60);

/// Between two attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A clock this far behind the last firing is reported.
const BEHIND: Duration = Duration::from_secs(60);

/// Why a host's turn is over.
enum Over {
    /// The host stops, or the schedule goes.
    Stopping,
    /// The channel that holds the token has ended, or the token cannot be published.
    Lost(Reason),
}

impl From<Reason> for Over {
    fn from(reason: Reason) -> Self {
        Self::Lost(reason)
    }
}

/// One schedule, at work.
pub(crate) struct Schedule {
    plan: Arc<SchedulePlan>,
    queue: Arc<str>,
    connection: Arc<Connection>,
    firing: Firing,
    tasks: Tasks,
    telemetry: ScheduleTelemetry,
    state: watch::Sender<ScheduleState>,
    /// Whether it was reported that the clock is behind.
    told_behind: bool,
}

impl Schedule {
    /// Starts it, until `tasks` drain. The result shows how it is doing.
    pub(crate) fn start(
        plan: &SchedulePlan,
        connection: &Arc<Connection>,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> watch::Receiver<ScheduleState> {
        let (state, watched) = watch::channel(ScheduleState::default());
        let plan = Arc::new(plan.clone());
        let telemetry = telemetry.schedule(&plan.name);
        let schedule = Self {
            queue: plan.queue(),
            firing: Firing::new(&plan, connection, tasks),
            plan,
            connection: Arc::clone(connection),
            tasks: tasks.clone(),
            telemetry,
            state,
            told_behind: false,
        };
        drop(tasks.spawn_work(schedule.run()));
        watched
    }

    async fn run(mut self) {
        let tasks = self.tasks.clone();
        let (first, longest) = PAUSES;
        let mut pauses = Pauses::new(first, longest);
        self.show_next();
        loop {
            let stood = tokio::select! {
                biased;
                () = tasks.drain().cancelled() => return,
                stood = self.connection.tokens(&self.queue) => stood,
            };
            let reason = match stood {
                None => return,
                Some(Err(reason)) => reason,
                Some(Ok(mut tokens)) => {
                    let over = tasks.unless_abandoned(self.turn(&mut tokens)).await;
                    self.state.send_modify(|state| state.is_active = false);
                    self.telemetry.active(false);
                    match over {
                        None => return,
                        Some(Err(Over::Lost(reason))) => {
                            tokens.leave().await;
                            reason
                        }
                        Some(Ok(()) | Err(Over::Stopping)) => {
                            tokens.leave().await;
                            return;
                        }
                    }
                }
            };
            if self.state.borrow().was_there {
                pauses.reset();
            }
            self.note_lost(reason);
            tokio::select! {
                () = tasks.drain().cancelled() => return,
                () = sleep(pauses.take()) => {}
            }
        }
    }

    /// Stands in the line for the token, and fires while it is this host's.
    async fn turn(&mut self, tokens: &mut Tokens) -> Result<(), Over> {
        let tasks = self.tasks.clone();
        let mut turn = Turn::default();
        let mut backlog = VecDeque::new();
        let mut renewed = Instant::now();
        let beginning = Token::beginning(random::id(), &self.plan.cron, now());
        self.publish_token(&mut turn, &beginning).await?;
        self.state.send_modify(|state| {
            state.was_there = true;
            state.waiting = None;
            state.failing = None;
        });
        loop {
            match turn.step() {
                Step::Wait if turn.is_active() => {}
                Step::Wait => self.stand_by(),
                Step::TakeOver(token) => {
                    backlog.clear();
                    self.note_times(&token);
                    let copy = token.taken_over(random::id(), &self.plan.cron, now());
                    self.publish_token(&mut turn, &copy).await?;
                    renewed = Instant::now();
                }
                Step::Hold(token, others) => {
                    for tag in others {
                        tokens.ack(tag).await?;
                    }
                    self.note_active(&token);
                    let next = self.fire(&token, &mut backlog, tokens).await?;
                    let is_old = renewed.elapsed() >= RENEW_EVERY;
                    let copy = || token.taken_over(random::id(), &self.plan.cron, now());
                    if let Some(next) = next.or_else(|| is_old.then(copy)) {
                        self.publish_token(&mut turn, &next).await?;
                        renewed = Instant::now();
                        continue;
                    }
                }
            }
            let until = self.wake_up(turn.is_active());
            tokio::select! {
                biased;
                () = tasks.drain().cancelled() => return Err(Over::Stopping),
                given = tokens.next() => {
                    let given = given?;
                    match Token::read(&given.body) {
                        Ok(token) => turn.given(token, given.tag),
                        Err(error) => {
                            let schedule = &self.plan.name;
                            Fact::ScheduleTokenIgnored { schedule, error: &error }.emit();
                            tokens.ack(given.tag).await?;
                        }
                    }
                }
                () = sleep_until(until) => {}
            }
        }
    }

    /// Fires what is due first, if anything is. The result is the token that follows from it.
    async fn fire(
        &mut self,
        token: &Token,
        backlog: &mut VecDeque<Moment>,
        tokens: &Tokens,
    ) -> Result<Option<Token>, Over> {
        let times = self.plan.cron.clone();
        let mut dealt_with = None;
        if backlog.is_empty() {
            let now = now();
            self.note_clock(token.last(), now);
            let Due {
                fire,
                left_out,
                newest,
            } = due(&times, self.plan.missed, token.last(), now);
            if left_out > 0 {
                self.telemetry.count(ScheduleResult::LeftOut, left_out);
                Fact::ScheduleLeftOut {
                    schedule: &self.plan.name,
                    firings: left_out,
                    last: &token.last(),
                }
                .emit();
            }
            dealt_with = newest;
            backlog.extend(fire);
        }
        let Some(planned) = backlog.pop_front() else {
            return Ok(dealt_with.map(|newest| Token::after(random::id(), newest, &times)));
        };
        // This host may have stood still, and the token may be another's by now.
        tokens.are_held().await?;
        self.fire_until_confirmed(planned, tokens).await?;
        Ok(Some(Token::after(random::id(), planned, &times)))
    }

    /// Publishes one firing, again and again until the broker has it.
    async fn fire_until_confirmed(&mut self, planned: Moment, tokens: &Tokens) -> Result<(), Over> {
        let (first, longest) = PAUSES;
        let mut pauses = Pauses::new(first, longest);
        loop {
            let Err(reason) = self.firing.publish(planned).await else {
                self.telemetry.count(ScheduleResult::Fired, 1);
                self.state.send_modify(|state| state.failing = None);
                Fact::ScheduleFired {
                    schedule: &self.plan.name,
                    planned: &planned,
                    late_ms: u64::try_from(now().since(planned).as_millis()).unwrap_or(u64::MAX),
                }
                .emit();
                return Ok(());
            };
            if self.tasks.drain().is_cancelled() {
                return Err(Over::Stopping);
            }
            let pause = pauses.take();
            self.telemetry.count(ScheduleResult::Failed, 1);
            Fact::ScheduleNotFired {
                schedule: &self.plan.name,
                planned: &planned,
                code: reason.code.map(Code::as_str),
                reason: &reason.text,
                again_in: pause,
            }
            .emit();
            self.state
                .send_modify(|state| state.failing = Some((planned, reason)));
            tokio::select! {
                () = self.tasks.drain().cancelled() => return Err(Over::Stopping),
                () = sleep(pause) => {}
            }
            tokens.are_held().await?;
        }
    }

    async fn publish_token(&self, turn: &mut Turn<u64>, token: &Token) -> Result<(), Over> {
        let published = self.firing.publish_token(&self.queue, token).await;
        if self.tasks.drain().is_cancelled() {
            return Err(Over::Stopping);
        }
        published?;
        turn.published(&token.id);
        Ok(())
    }

    /// When to look again.
    fn wake_up(&self, is_active: bool) -> Instant {
        let soon = Instant::now() + LOOK_EVERY;
        let next = self.state.borrow().next;
        match next {
            Some(next) if is_active => {
                let wait = next.since(now());
                // A due firing may wait for a token that is on its way.
                let wait = if wait.is_zero() { LOOK_EVERY } else { wait };
                soon.min(Instant::now() + wait)
            }
            _ => soon,
        }
    }

    /// Another host fires, or has not begun yet.
    fn stand_by(&self) {
        let is_over = self.state.borrow().next.is_none_or(|next| next <= now());
        if is_over {
            self.show_next();
        }
    }

    fn show_next(&self) {
        let next = self.plan.cron.next_after(now());
        self.telemetry.next(next.map(Moment::seconds));
        self.state.send_modify(|state| state.next = next);
    }

    fn note_active(&self, token: &Token) {
        let last = token.last();
        let next = self.plan.cron.next_after(last);
        self.telemetry.next(next.map(Moment::seconds));
        let was_active = self.state.borrow().is_active;
        self.state.send_modify(|state| {
            state.is_active = true;
            state.next = next;
            state.last = token.fired.then_some(last);
        });
        if !was_active {
            self.telemetry.active(true);
            let schedule = &self.plan.name;
            Fact::ScheduleActive {
                schedule,
                last: &last,
            }
            .emit();
        }
    }

    fn note_times(&self, token: &Token) {
        if !token.is_of(&self.plan.cron) {
            Fact::ScheduleTimesChanged {
                schedule: &self.plan.name,
                before: &token.cron,
                now: self.plan.cron.cron(),
            }
            .emit();
        }
    }

    fn note_clock(&mut self, last: Moment, now: Moment) {
        let is_behind = last.since(now) > BEHIND;
        if is_behind && !self.told_behind {
            let schedule = &self.plan.name;
            Fact::ScheduleClockBehind {
                schedule,
                last: &last,
            }
            .emit();
        }
        self.told_behind = is_behind;
    }

    fn note_lost(&self, reason: Reason) {
        let is_new = self.state.borrow().waiting.as_ref() != Some(&reason);
        if is_new {
            Fact::ScheduleUnavailable {
                schedule: &self.plan.name,
                queue: &self.queue,
                code: reason.code.map(Code::as_str),
                reason: &reason.text,
            }
            .emit();
        }
        self.state.send_modify(|state| {
            state.waiting = Some(reason);
            state.was_there = false;
        });
        self.show_next();
    }
}

fn now() -> Moment {
    moments::now().into()
}
