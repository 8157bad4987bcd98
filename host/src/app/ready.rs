//! Commands in two steps: first whatever could refuse one is found out, then it is carried out.
//!
//! A host of a group is asked for the first step by another one, and for the second when all hosts are ready. Between
//! the two it holds one command.

use std::sync::Arc;

use hive_sandbox::Trial;

use super::bounds::ReadyBounds;
use super::reload::ReadyReload;
use super::running::Running;
use super::swap::ReadySwap;
use crate::control::{Answer, Command, Refusal, Ticket};

/// A command that nothing is known to refuse any more.
pub(super) enum Ready {
    Swap(ReadySwap),
    Reload(Box<ReadyReload>),
    Pause { consumer: String },
    Resume { consumer: String },
    Rescale(ReadyBounds),
}

/// The command that waits to be carried out, if there is one.
#[derive(Default)]
pub(super) struct Held(Option<(Ticket, Ready)>);

impl Held {
    /// Takes the place of what was held before.
    pub(super) fn hold(&mut self, ticket: Ticket, ready: Ready) {
        self.0 = Some((ticket, ready));
    }

    /// Another command is carried out: what is held was made ready for a host that is not the same any more.
    pub(super) fn drop_stale(&mut self) {
        self.0 = None;
    }

    /// The command of this ticket.
    pub(super) fn take(&mut self, ticket: &Ticket) -> Result<Ready, Refusal> {
        let held = self.0.take_if(|(of, _)| of == ticket);
        held.map(|(_, ready)| ready).ok_or_else(|| {
            Refusal::Conflict(
                "another command has changed this host since it was ready; give the command again"
                    .to_owned(),
            )
        })
    }

    pub(super) fn give_up(&mut self, ticket: &Ticket) {
        self.0.take_if(|(of, _)| of == ticket);
    }
}

impl Running {
    /// Finds out whatever could refuse a command. Changes nothing.
    pub(super) async fn make_ready(&self, command: Command) -> Result<Ready, Refusal> {
        match command {
            Command::Swap {
                component,
                code,
                trial,
            } => {
                let ready = self.swap_ready(&component, code, trial).await;
                ready.map(Ready::Swap)
            }
            Command::EndTrial { component, verdict } => {
                let ready = self.trial_ready(&component, verdict).await;
                ready.map(Ready::Swap)
            }
            Command::Reload => {
                let ready = self.reload_ready().await;
                ready.map(|ready| Ready::Reload(Box::new(ready)))
            }
            Command::Rescale { consumer, to } => {
                self.bounds_ready(&consumer, to).map(Ready::Rescale)
            }
            Command::Pause { consumer } => self.flow(&consumer).map(|_| Ready::Pause { consumer }),
            Command::Resume { consumer } => {
                self.flow(&consumer).map(|_| Ready::Resume { consumer })
            }
        }
    }

    /// Carries out what is ready. `conclude` is called with a canary that is now on trial.
    pub(super) async fn carry_out(
        &mut self,
        ready: Ready,
        conclude: impl FnOnce(Arc<str>, Arc<Trial>),
    ) -> Answer {
        match ready {
            Ready::Swap(ready) => Ok(self.swap(ready, conclude)),
            Ready::Reload(ready) => self.reload(*ready).await,
            Ready::Pause { consumer } => self.pause(&consumer),
            Ready::Resume { consumer } => self.resume(&consumer),
            Ready::Rescale(ready) => Ok(ready.set()),
        }
    }
}
