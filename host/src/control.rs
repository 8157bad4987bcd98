//! What an operator may ask of a running host: a closed set of commands, carried out one at a time.
//!
//! Whoever takes commands from outside ([`crate::admin`], a signal, a file that changed) holds a
//! [`Control`]; `app` holds the [`Orders`] and carries them out.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::canary::CanaryRule;
use crate::status::Version;

/// The largest code that a running host is sent, in bytes. What its files hold may be larger.
pub const LARGEST_CODE: usize = 256 << 20;

/// Commands that may wait for the one before them.
const WAITING: usize = 64;

/// What is asked for.
#[derive(Debug)]
pub enum Command {
    /// Puts other code in the place of a component.
    Swap {
        /// The component's name.
        component: String,
        /// The new code.
        code: NewCode,
        /// On trial first, with a share of the deliveries; none is at once.
        canary: Option<CanaryRule>,
    },
    /// Reads hive.toml again, and applies what changed.
    Reload,
    /// Stops a consumer until somebody resumes it.
    Pause {
        /// The consumer's name.
        consumer: String,
    },
    /// Has a paused consumer go on, whatever paused it.
    Resume {
        /// The consumer's name.
        consumer: String,
    },
}

/// Where new code comes from.
#[derive(Debug)]
pub enum NewCode {
    /// The file that hive.toml names, as it is now.
    File,
    /// The same, because it changed: nothing is done if its content is what serves. Where a canary is
    /// on trial that is a conflict, and whoever asked asks again later.
    ChangedFile,
    /// This content of a file.
    Content(Vec<u8>),
    /// What served before; the end of a canary where one is on trial.
    Before,
}

/// What was done.
#[derive(Debug, Clone)]
pub enum Done {
    /// `after` serves now, and `before` did.
    Swapped {
        /// What served.
        before: Version,
        /// What serves.
        after: Version,
    },
    /// `canary` is on trial; `current` still serves the rest.
    OnTrial {
        /// What serves.
        current: Version,
        /// What gets a share.
        canary: Version,
    },
    /// The canary is gone; `current` serves on.
    TrialEnded {
        /// What serves.
        current: Version,
        /// What was on trial.
        canary: Version,
    },
    /// The file holds what serves already.
    Unchanged {
        /// What serves.
        current: Version,
    },
    /// hive.toml was applied: one line for each change, none if there was none.
    Reloaded {
        /// The changes.
        changes: Vec<String>,
    },
    /// The consumer is paused.
    Paused {
        /// False: it was already.
        changed: bool,
    },
    /// The consumer is not paused any more.
    Resumed {
        /// False: it was not.
        changed: bool,
    },
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name.
    Unknown(String),
    /// What is asked for cannot be done now.
    Conflict(String),
    /// What is to be taken over is faulty; what was there goes on.
    Faulty(String),
    /// The host is stopping.
    Stopping,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) | Self::Conflict(text) | Self::Faulty(text) => f.write_str(text),
            Self::Stopping => f.write_str("the host is stopping"),
        }
    }
}

/// The answer to a command.
pub type Answer = Result<Done, Refusal>;

/// A command, and where its answer goes.
#[derive(Debug)]
pub struct Order {
    /// What is asked for.
    pub command: Command,
    /// Whoever asked may have gone.
    pub answer: oneshot::Sender<Answer>,
}

/// Gives commands. Clones share the line.
#[derive(Debug, Clone)]
pub struct Control(mpsc::Sender<Order>);

/// Takes commands.
pub type Orders = mpsc::Receiver<Order>;

/// Both ends of a line of commands.
pub fn line() -> (Control, Orders) {
    let (control, orders) = mpsc::channel(WAITING);
    (Control(control), orders)
}

impl Control {
    /// Has a command carried out. Dropping the future does not call it off.
    pub async fn ask(&self, command: Command) -> Answer {
        let (answer, answered) = oneshot::channel();
        let order = Order { command, answer };
        if self.0.send(order).await.is_err() {
            return Err(Refusal::Stopping);
        }
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// As [`Control::ask`], for a component's file that changed.
    pub async fn file_changed(&self, component: &Arc<str>) -> Answer {
        self.ask(Command::Swap {
            component: component.to_string(),
            code: NewCode::ChangedFile,
            canary: None,
        })
        .await
    }
}
