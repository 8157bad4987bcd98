//! Declarations on a connection of their own, which the broker may end without harm to the consumers of the link.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::IndexedRandom;

use super::Supervisor;
use super::opening::AFTER_A_HANG_UP;
use crate::session::Session;
use crate::session::fault::ConnectFault;
use crate::topology::{DeclareFault, HANG_UPS};

/// How long declarations on a separate connection may take.
const ASIDE_TIMEOUT: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Declares new entities on a separate connection first: if the broker ends that one over an entity, the
    /// consumers of this one are not affected.
    pub(super) async fn rehearse(&self, new: &BTreeSet<Arc<str>>) {
        let Some(topology) = self.topology.as_ref().map(|topology| topology.load_full()) else {
            return;
        };
        let rehearsing = async {
            let mut in_a_row = 0;
            while in_a_row <= HANG_UPS {
                let session = self.open_aside().await?;
                let rehearsed = topology.rehearse(&session, new).await;
                session.close().await;
                match rehearsed {
                    Ok(()) => break,
                    Err(DeclareFault::Connect(fault)) => return Err(fault),
                    Err(DeclareFault::HungUp { is_left_out, .. }) => {
                        in_a_row = if is_left_out { 0 } else { in_a_row + 1 };
                        tokio::time::sleep(AFTER_A_HANG_UP).await;
                    }
                }
            }
            Ok(())
        };
        self.aside(rehearsing).await;
    }

    /// Retries the entities that are left out because the broker ends the connection over them, each on a
    /// separate connection.
    pub(super) async fn try_left_out(&self) {
        let Some(topology) = self.topology.as_ref().map(|topology| topology.load_full()) else {
            return;
        };
        for entity in topology.fatal().all_left_out() {
            let entity = BTreeSet::from([entity]);
            let trying = async {
                let session = self.open_aside().await?;
                let tried = topology.try_left_out(&session, &entity).await;
                session.close().await;
                match tried {
                    Err(DeclareFault::Connect(fault)) => Err(fault),
                    Ok(()) | Err(DeclareFault::HungUp { .. }) => Ok(()),
                }
            };
            self.aside(trying).await;
        }
    }

    /// A connection besides the one in use.
    async fn open_aside(&self) -> Result<Session, ConnectFault> {
        let endpoint = self.plan.endpoints.choose(&mut rand::rng());
        let endpoint = endpoint.ok_or_else(|| self.no_host())?;
        let name = format!("{} (declares)", self.name);
        let opened = Session::open(&self.plan, endpoint, &name, &self.lapin);
        opened.await.map(|(session, _)| session)
    }

    async fn aside(&self, doing: impl Future<Output = Result<(), ConnectFault>>) {
        match tokio::time::timeout(ASIDE_TIMEOUT, doing).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(%fault, "cannot declare on a connection of its own"),
            Err(_) => tracing::debug!("declaring on a connection of its own takes too long"),
        }
    }
}
