//! Further connections of a link, for more consumers, or publishers, than one connection has channels: [`Further`].
//!
//! The first connection is the link's own, on which everything is declared. A further one carries their channels only.
//! It is opened to the same broker when every seat is taken, and closed when it is empty. Its loss concerns those on
//! it and no others; they open it again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_config::plan::{ConnectionPlan, Endpoint};
use hive_core::codes::{Code, Reason};
use hive_lifecycle::Tasks;
use hive_telemetry::{LinkTelemetry, Role, Telemetry};
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::outage::TELL_EVERY;
use super::supervisor::STEADY_AFTER;
use super::{LinkParts, connection_name};
use crate::session::fault::ConnectFault;
use crate::session::runtime::LapinRuntime;
use crate::session::seats::{Seat, close_if_empty};
use crate::session::{Happening, Happenings, Session, SharedSession};

/// How often a further connection is looked at, whether it is empty.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The further connections of a link.
#[derive(Debug)]
pub(super) struct Further {
    host_name: Box<str>,
    role: Role,
    plan: Arc<ConnectionPlan>,
    lapin: Arc<LapinRuntime>,
    tasks: Tasks,
    telemetry: Telemetry,
    /// Those that are open, by number.
    open: Mutex<Vec<(usize, SharedSession)>>,
    /// One is opened at a time.
    opening: Arc<tokio::sync::Mutex<Opening>>,
}

/// What is known of earlier attempts.
#[derive(Debug)]
struct Opening {
    backoff: Backoff,
    /// Why and until when none is opened.
    rests: Option<Rest>,
    /// Connections that were lost and not opened again.
    lost: usize,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    reason: Reason,
    /// When this reason was logged.
    told: Instant,
}

impl Further {
    pub(super) fn new(role: Role, parts: &LinkParts<'_>) -> Self {
        let opening = Opening {
            backoff: Backoff::from(&parts.plan.reconnect),
            rests: None,
            lost: 0,
        };
        Self {
            host_name: parts.host_name.into(),
            role,
            plan: Arc::clone(parts.plan),
            lapin: Arc::clone(parts.lapin),
            tasks: parts.tasks.clone(),
            telemetry: parts.telemetry.clone(),
            open: Mutex::default(),
            opening: Arc::new(tokio::sync::Mutex::new(opening)),
        }
    }

    /// A seat on `first`, else on a further connection, which is opened if every seat is taken. An error says why none
    /// can be opened now.
    pub(super) async fn seat(self: &Arc<Self>, first: &SharedSession) -> Result<Seat, Reason> {
        loop {
            if let Some(seat) = self.take(first) {
                return Ok(seat);
            }
            let opening = Arc::clone(&self.opening).lock_owned().await;
            // One may have been opened meanwhile.
            if let Some(seat) = self.take(first) {
                return Ok(seat);
            }
            opening.may_begin(Instant::now())?;
            let (tell, opened) = oneshot::channel();
            // It does not end with the task that asked for it.
            let keeping = Arc::clone(self).keep(first.endpoint().clone(), opening, tell);
            self.tasks.spawn_service(keeping);
            let opened = opened.await;
            opened.unwrap_or_else(|_| Err("the connection has ended".into()))?;
        }
    }

    /// The connections are filled in their order.
    fn take(&self, first: &SharedSession) -> Option<Seat> {
        let open = self.open();
        let further = open.iter().map(|(_, session)| session);
        std::iter::once(first).chain(further).find_map(Seat::take)
    }

    /// Opens a connection, tells how that went, and keeps it until it is lost, empty or closed.
    async fn keep(
        self: Arc<Self>,
        endpoint: Endpoint,
        mut opening: OwnedMutexGuard<Opening>,
        tell: oneshot::Sender<Result<(), Reason>>,
    ) {
        let number = first_free(self.open().iter().map(|(number, _)| *number));
        let purpose = format!("{} {number}", self.role.as_str());
        let name = connection_name(&self.host_name, &self.plan, &purpose);
        let telemetry = self.telemetry.link(&self.plan.name, self.role, &name);
        let opened = tokio::select! {
            () = self.tasks.close().cancelled() => return,
            opened = Session::open(&self.plan, &endpoint, &name, &self.lapin) => opened,
        };
        let (session, happenings) = match opened {
            Ok((session, happenings)) => (Arc::new(session), happenings),
            Err(fault) => {
                // The task that asked may have ended.
                let _nobody_waits =
                    tell.send(Err(opening.failed(&fault, &telemetry, Instant::now())));
                return;
            }
        };
        telemetry.connected(opening.opened());
        self.put(number, &session);
        drop(opening);
        let _nobody_waits = tell.send(Ok(()));
        let since = Instant::now();
        let lost = self.serve(&session, happenings, &telemetry).await;
        self.open().retain(|(_, open)| !Arc::ptr_eq(open, &session));
        match lost {
            Some(reason) => {
                // Those who use it know of it at once, whoever opens another meanwhile.
                session.discard();
                let lasted = since.elapsed();
                let pause = self
                    .opening
                    .lock()
                    .await
                    .lost(lasted, &reason, Instant::now());
                let code = reason.code.map(Code::as_str);
                telemetry.lost(code, &reason.text, pause);
            }
            None => session.close().await,
        }
    }

    /// Serves a session until it is lost, as the result says, or is to be closed.
    async fn serve(
        &self,
        session: &SharedSession,
        mut happenings: Happenings,
        telemetry: &LinkTelemetry,
    ) -> Option<Reason> {
        let mut looks = tokio::time::interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                () = self.tasks.close().cancelled() => return None,
                happening = happenings.next(session) => match happening {
                    Happening::Lost(reason) => return Some(reason),
                    Happening::Blocked(reason) => telemetry.blocked(&reason),
                    Happening::Unblocked => telemetry.unblocked(),
                },
                _ = looks.tick() => {
                    if close_if_empty(session) {
                        tracing::debug!("closing a further connection, which is empty");
                        return None;
                    }
                }
            }
        }
    }

    fn put(&self, number: usize, session: &SharedSession) {
        let mut open = self.open();
        open.push((number, Arc::clone(session)));
        open.sort_by_key(|(number, _)| *number);
    }

    fn open(&self) -> MutexGuard<'_, Vec<(usize, SharedSession)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lowest number that is not taken; the link's own connection is the first.
fn first_free(taken: impl Iterator<Item = usize> + Clone) -> usize {
    let is_free = |number: &usize| taken.clone().all(|one| one != *number);
    (2..).find(is_free).unwrap_or(usize::MAX)
}

impl Opening {
    /// Why none is opened now, if so.
    fn may_begin(&self, now: Instant) -> Result<(), Reason> {
        match &self.rests {
            Some(rest) if now < rest.until => Err(rest.reason.clone()),
            _ => Ok(()),
        }
    }

    /// Whether it is open again.
    fn opened(&mut self) -> bool {
        self.rests = None;
        let is_again = self.lost > 0;
        self.lost = self.lost.saturating_sub(1);
        is_again
    }

    /// Notes a connection that was lost. The pause before another one is opened.
    fn lost(&mut self, lasted: Duration, reason: &Reason, now: Instant) -> Duration {
        self.lost += 1;
        if lasted >= STEADY_AFTER {
            self.backoff.reset();
        }
        self.rest(reason.clone(), now, now)
    }

    /// Notes one that cannot be opened, and logs it unless that was done a moment ago.
    fn failed(&mut self, fault: &ConnectFault, telemetry: &LinkTelemetry, now: Instant) -> Reason {
        let reason = Reason::new(fault.code(), fault);
        let told = self.rests.take().filter(|rest| rest.reason == reason);
        let told = told.map(|rest| rest.told);
        let told = told.filter(|told| now.duration_since(*told) < TELL_EVERY);
        let pause = self.rest(reason.clone(), told.unwrap_or(now), now);
        if told.is_none() {
            let code = fault.code().as_str();
            match fault.is_permanent() {
                true => telemetry.refused(code, &reason.text, pause, None),
                false => telemetry.unreachable(code, &reason.text, pause, None),
            }
        }
        reason
    }

    fn rest(&mut self, reason: Reason, told: Instant, now: Instant) -> Duration {
        let pause = self.backoff.fail();
        self.rests = Some(Rest {
            until: now + pause,
            reason,
            told,
        });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening {
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            rests: None,
            lost: 0,
        }
    }

    #[test]
    fn numbers_are_used_again() {
        let free = |taken: &[usize]| first_free(taken.iter().copied());
        assert_eq!(free(&[]), 2);
        assert_eq!(free(&[2, 3]), 4);
        assert_eq!(free(&[3, 4]), 2);
    }

    #[test]
    fn a_lost_connection_is_opened_again_after_a_pause() {
        let mut opening = opening();
        let now = Instant::now();
        assert!(opening.may_begin(now).is_ok());
        assert!(!opening.opened());
        let pause = opening.lost(STEADY_AFTER, &"reset".into(), now);
        assert_eq!(opening.may_begin(now).unwrap_err(), "reset".into());
        assert!(opening.may_begin(now + pause).is_ok());
        assert!(opening.opened());
        assert!(!opening.opened());
    }

    #[test]
    fn one_that_is_lost_at_once_again_and_again_is_opened_ever_more_slowly() {
        let mut opening = opening();
        let first = Duration::from_secs(1);
        let mut losses = |lasted| {
            let pauses = (0..20).map(|_| opening.lost(lasted, &"reset".into(), Instant::now()));
            pauses.max()
        };
        assert!(losses(Duration::ZERO) > Some(first));
        assert!(losses(STEADY_AFTER) <= Some(first));
    }
}
