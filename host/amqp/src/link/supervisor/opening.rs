//! Opening a session at one of the hosts, with everything declared.

use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::Endpoint;
use hive_core::codes::Code;
use rand::seq::SliceRandom;

use super::Supervisor;
use crate::session::fault::ConnectFault;
use crate::session::{Happenings, Session, SharedSession};
use crate::topology::{DeclareFault, HANG_UPS, Withheld};

/// The pause before a connection is opened again that the broker ended over a declaration.
pub(super) const AFTER_A_HANG_UP: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Tries every endpoint once, in random order: a dead one only costs its time. One that took connections and fell
    /// silent is the last.
    pub(super) async fn open(&self) -> Result<(SharedSession, Happenings, Withheld), ConnectFault> {
        let mut endpoints = self.plan.endpoints.clone();
        endpoints.shuffle(&mut rand::rng());
        endpoints.sort_by_key(|endpoint| self.silent.as_ref() == Some(endpoint));
        let mut worst: Option<ConnectFault> = None;
        for endpoint in &endpoints {
            match self.open_at(endpoint).await {
                Ok((session, happenings, Ok(withheld))) => {
                    return Ok((session, happenings, withheld));
                }
                Ok((session, _, Err(fault))) => {
                    session.discard();
                    return Err(fault);
                }
                Err(fault) => {
                    // Later rounds would say the same every second.
                    if endpoints.len() > 1 && self.failing.is_none() {
                        self.telemetry.trying_next_host(&fault);
                    }
                    // Of several faults, one that needs an operator matters most.
                    if worst.as_ref().is_none_or(|worst| !worst.is_permanent()) {
                        worst = Some(fault);
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(|| self.no_host()))
    }

    /// Opens a session at one endpoint and declares. Where the broker ends it over an entity, it is opened
    /// again, until the broker takes that or the entity is known and left out.
    async fn open_at(
        &self,
        endpoint: &Endpoint,
    ) -> Result<(SharedSession, Happenings, Result<Withheld, ConnectFault>), ConnectFault> {
        let mut in_a_row = 0;
        loop {
            let opened = Session::open(&self.plan, endpoint, &self.name, &self.lapin);
            let (session, happenings) = opened.await?;
            let session = Arc::new(session);
            let Some(topology) = &self.topology else {
                return Ok((session, happenings, Ok(Withheld::default())));
            };
            let topology = topology.load_full();
            let fault = match topology.declare(&session).await {
                Ok(withheld) => return Ok((session, happenings, Ok(withheld))),
                Err(DeclareFault::Connect(fault)) => fault,
                Err(DeclareFault::HungUp {
                    reason,
                    is_left_out,
                    ..
                }) => {
                    in_a_row = if is_left_out { 0 } else { in_a_row + 1 };
                    if in_a_row <= HANG_UPS {
                        session.discard();
                        tokio::time::sleep(AFTER_A_HANG_UP).await;
                        continue;
                    }
                    topology.lost_while_declaring(&reason)
                }
            };
            return Ok((session, happenings, Err(fault)));
        }
    }

    pub(super) fn no_host(&self) -> ConnectFault {
        ConnectFault::Unreachable {
            connection: self.plan.name.clone(),
            address: "any host".into(),
            reason: "the url names no host".into(),
            code: Code::BrokerUnreachable,
            nobody_there: false,
        }
    }
}
