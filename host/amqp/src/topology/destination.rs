//! Whether that is there to which a delayed publication goes in the end.
//!
//! The broker confirms a delayed publication once it is stored for its delay, and holds it for ever where its
//! exchange is missing then. One that is not delayed would have failed at once, and so does this one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hive_core::message::Publication;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::EnsureFault;
use super::names::LONGEST_NAME;
use crate::message::names::short;
use crate::session::Session;
use crate::session::limits::{AskFault, ask, leave};

/// For how long what was found is not looked for again.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// RabbitMQ 4.3 ends the connection over a passive declaration of a longer name that is not ASCII.
const LONGEST_NOT_ASCII: usize = 200;

/// Where a publication goes when its delay is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Destination {
    Exchange(String),
    /// Through the default exchange.
    Queue(String),
}

impl Destination {
    /// `None` if a missing destination is no fault.
    fn of(publication: &Publication) -> Option<Self> {
        match (publication.exchange.as_str(), publication.mandatory) {
            ("", false) => None,
            ("", true) => Some(Self::Queue(publication.routing_key.clone())),
            (exchange, _) => Some(Self::Exchange(exchange.to_owned())),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Exchange(name) | Self::Queue(name) => name,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(name) => write!(f, "no exchange {name:?}"),
            Self::Queue(name) => write!(f, "no queue {name:?}"),
        }
    }
}

/// Destinations that were found lately.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    found: Mutex<HashMap<Destination, Instant>>,
}

impl Destinations {
    /// Makes sure that the destination of `publication` is there.
    ///
    /// # Errors
    ///
    /// It is not, or the broker cannot be asked now.
    pub(super) async fn find(
        &self,
        session: &Session,
        publication: &Publication,
    ) -> Result<(), EnsureFault> {
        let Some(destination) = Destination::of(publication) else {
            return Ok(());
        };
        let name = destination.name();
        let cannot_be_asked_for = !name.is_ascii() && name.len() > LONGEST_NOT_ASCII;
        if cannot_be_asked_for || self.is_known(&destination) {
            return Ok(());
        }
        match look(session, &destination).await {
            Ok(()) => {
                self.note(destination);
                Ok(())
            }
            Err(fault) if fault.is_not_found() => Err(EnsureFault::Impossible(format!(
                "there is {destination}, to which it is to go after its delay"
            ))),
            Err(fault) => Err(EnsureFault::Unreachable {
                queue: destination.name().to_owned(),
                reason: fault.to_string(),
            }),
        }
    }

    /// Forgets what was found.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn is_known(&self, destination: &Destination) -> bool {
        let found = self.lock().get(destination).copied();
        found.is_some_and(|at| at.elapsed() < REMEMBERED_FOR)
    }

    fn note(&self, destination: Destination) {
        let mut found = self.lock();
        found.retain(|_, at| at.elapsed() < REMEMBERED_FOR);
        found.insert(destination, Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Destination, Instant>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks on a channel of its own, because the broker closes the channel if the destination is missing.
async fn look(session: &Session, destination: &Destination) -> Result<(), AskFault> {
    debug_assert!(destination.name().len() <= LONGEST_NAME);
    let name = short(destination.name());
    let channel = session.channel().await?;
    let looked = match destination {
        Destination::Exchange(_) => {
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let arguments = FieldTable::default();
            let kind = ExchangeKind::Direct;
            ask(channel.exchange_declare(name, kind, options, arguments)).await
        }
        Destination::Queue(_) => {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let asked = channel.queue_declare(name, options, FieldTable::default());
            match ask(asked).await {
                Ok(_) => Ok(()),
                // Exclusive to another connection, and there.
                Err(fault) if fault.is_locked() => Ok(()),
                Err(fault) => Err(fault),
            }
        }
    };
    leave(&channel, "looked").await;
    looked
}
