//! The commands that an operator may give to a running host: a closed set, carried out one at a time.
//!
//! Sources of commands ([`crate::admin`], a signal, a file that changed) hold a [`Control`]; `app` holds the
//! [`Orders`] and carries them out.

mod all_hosts;

use std::fmt;
use std::sync::Arc;

use hive_core::canary::{CanaryRule, Verdict};
use hive_core::codes::{Code, Coded};
use hive_core::scaling::{Bounds, NewBounds};
use hive_core::shadow::ShadowRule;
use tokio::sync::{mpsc, oneshot};

pub use self::all_hosts::{FromAll, FromHost, Outcome};
use crate::status::Version;

/// The largest code that a running host is sent, in bytes. What its files hold may be larger.
pub const LARGEST_CODE: usize = 256 << 20;

/// Commands that may wait for the one before them.
const WAITING: usize = 64;

/// The command.
#[derive(Debug)]
pub enum Command {
    /// Replaces the code of a component.
    Swap {
        /// The component's name.
        component: String,
        /// The new code.
        code: NewCode,
        /// On trial first; `None` is at once.
        trial: Option<TrialRule>,
    },
    /// Ends a canary or a shadow now, with this verdict.
    EndTrial {
        /// The component's name.
        component: String,
        /// Whether it takes over.
        verdict: Verdict,
    },
    /// Reads hive.toml again, and applies what changed.
    Reload,
    /// Pauses a consumer until it is resumed by hand.
    Pause {
        /// The consumer's name.
        consumer: String,
    },
    /// Resumes a paused consumer, whatever the reason for the pause was.
    Resume {
        /// The consumer's name.
        consumer: String,
    },
    /// Sets the bounds of a consumer's `scale` until it is started again.
    Rescale {
        /// The consumer's name.
        consumer: String,
        /// The bounds; `None` for those of hive.toml.
        to: Option<NewBounds>,
    },
}

/// How new code is tried out before it serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrialRule {
    /// With a share of the deliveries.
    Canary(CanaryRule),
    /// With a copy of each delivery, whose answers are compared and dropped.
    Shadow(ShadowRule),
}

/// Where new code comes from.
#[derive(Debug)]
pub enum NewCode {
    /// The file that hive.toml names, as it is now.
    File,
    /// The same after a change of the file. While a canary or a shadow is on trial it is a conflict, and the caller tries again
    /// later.
    ChangedFile,
    /// The content of a file, sent along.
    Content(Vec<u8>),
    /// The last version that served with other code; ends a canary or a shadow that is on trial.
    Before,
}

/// The result of a command.
#[derive(Debug, Clone)]
pub enum Done {
    /// `after` serves now, and `before` did.
    Swapped {
        /// The version that served before.
        before: Version,
        /// The current version.
        after: Version,
    },
    /// `canary` is on trial; `current` still serves the rest.
    OnTrial {
        /// The current version.
        current: Version,
        /// The version that gets a share.
        canary: Version,
    },
    /// `shadow` gets a copy of each delivery; `current` serves.
    Shadowed {
        /// The current version.
        current: Version,
        /// The version that gets copies.
        shadow: Version,
    },
    /// The shadow is gone; `current` serves on.
    ShadowDropped {
        /// The current version.
        current: Version,
        /// The version that got copies.
        shadow: Version,
    },
    /// The canary or the shadow, `after`, serves now by an operator's verdict, and `before` did.
    Promoted {
        /// The version that served before.
        before: Version,
        /// The version that was on trial.
        after: Version,
    },
    /// The canary is gone; `current` serves on.
    TrialEnded {
        /// The current version.
        current: Version,
        /// The version that was on trial.
        canary: Version,
    },
    /// The code is that of the current version: nothing was changed.
    Unchanged {
        /// The current version.
        current: Version,
    },
    /// hive.toml was applied: one line for each change.
    Reloaded {
        /// The changes.
        changes: Vec<String>,
    },
    /// The consumer is paused.
    Paused {
        /// False if it already was in that state.
        changed: bool,
    },
    /// The consumer is not paused any more.
    Resumed {
        /// False: it was not.
        changed: bool,
    },
    /// The consumer has other bounds, or those that it had.
    Rescaled {
        /// Those before.
        before: Bounds,
        /// Those from now on.
        after: Bounds,
        /// Those of hive.toml.
        written: Bounds,
    },
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name.
    Unknown(String),
    /// The command cannot be carried out now.
    Conflict(String),
    /// The code, the file or the numbers have a fault; what is current stays.
    Faulty(Coded),
    /// The host is stopping.
    Stopping,
}

impl Refusal {
    /// Its code; a refusal that only has to be waited for has none.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Unknown(_) => Some(Code::UnknownAtHost),
            Self::Faulty(fault) => fault.code,
            Self::Conflict(_) | Self::Stopping => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) | Self::Conflict(text) => f.write_str(text),
            Self::Faulty(fault) => fault.fmt(f),
            Self::Stopping => f.write_str("the host is stopping"),
        }
    }
}

/// The answer to a command.
pub type Answer = Result<Done, Refusal>;

/// The name under which a command that is ready waits to be carried out.
pub type Ticket = Arc<str>;

/// What is to be done, and where the answer goes. The caller may be gone.
#[derive(Debug)]
pub enum Order {
    /// The command, at once.
    Now {
        /// The command.
        command: Command,
        /// What came of it.
        answer: oneshot::Sender<Answer>,
    },
    /// Whatever could refuse the command is found out; nothing is changed yet.
    Prepare {
        /// What the command is called for by later.
        ticket: Ticket,
        /// The command.
        command: Command,
        /// Why it would not be carried out.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// The command that is ready under this ticket.
    CarryOut {
        /// The ticket.
        ticket: Ticket,
        /// What came of it.
        answer: oneshot::Sender<Answer>,
    },
    /// The command that is ready under this ticket is not wanted.
    GiveUp {
        /// The ticket.
        ticket: Ticket,
    },
}

/// Sends commands. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Control(mpsc::Sender<Order>);

/// Receives commands.
pub type Orders = mpsc::Receiver<Order>;

/// Both ends of a line of commands.
pub fn line() -> (Control, Orders) {
    let (control, orders) = mpsc::channel(WAITING);
    (Control(control), orders)
}

impl Control {
    /// Has a command carried out. Dropping the future does not cancel it.
    pub async fn ask(&self, command: Command) -> Answer {
        self.order(|answer| Order::Now { command, answer }).await
    }

    /// Makes a command ready: whatever could refuse it is found out, and nothing is changed. It is carried out with
    /// its ticket, unless another command comes between.
    ///
    /// # Errors
    ///
    /// The host would refuse the command.
    pub async fn prepare(&self, ticket: &Ticket, command: Command) -> Result<(), Refusal> {
        let ticket = Arc::clone(ticket);
        self.order(|answer| Order::Prepare {
            ticket,
            command,
            answer,
        })
        .await
    }

    /// Carries out the command that is ready under a ticket.
    pub async fn carry_out(&self, ticket: &Ticket) -> Answer {
        let ticket = Arc::clone(ticket);
        self.order(|answer| Order::CarryOut { ticket, answer })
            .await
    }

    /// Drops the command that is ready under a ticket, if there is one.
    pub async fn give_up(&self, ticket: &Ticket) {
        let ticket = Arc::clone(ticket);
        if self.0.send(Order::GiveUp { ticket }).await.is_err() {
            tracing::trace!("the host is stopping, so nothing waits to be carried out");
        }
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(order(answer)).await.is_err() {
            return Err(Refusal::Stopping);
        }
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// As [`Control::ask`], for a component's file that changed.
    pub async fn file_changed(&self, component: &Arc<str>) -> Answer {
        self.ask(Command::Swap {
            component: component.to_string(),
            code: NewCode::ChangedFile,
            trial: None,
        })
        .await
    }
}
