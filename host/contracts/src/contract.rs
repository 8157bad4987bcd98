//! What a consumer wants of the messages that it gets, and of those that come of them.

use std::borrow::Cow;

use hive_core::glob::Glob;
use hive_core::message::{Envelope, Message, Publication};
use hive_core::policy::Outcome;

use crate::decode::{NotDecoded, decode};
use crate::schema::Schema;

/// `[consumers.NAME.schema]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// What each body has to match.
    pub body: Option<Schema>,
    /// Whether bodies in gzip and zstd are handed over decoded.
    pub decode: bool,
    /// The most bytes of a body that was decoded.
    pub max_decoded: usize,
    /// What publications have to match.
    pub publications: Vec<PublicationSchema>,
}

/// What the publications to some exchanges and routing keys have to match.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicationSchema {
    /// Names of exchanges.
    pub exchange: Glob,
    /// Routing keys.
    pub routing_key: Glob,
    /// What their bodies have to match.
    pub schema: Schema,
}

impl Contract {
    /// The delivery as it is handed over.
    ///
    /// # Errors
    ///
    /// It must not be: why.
    pub fn admit<'e>(&self, envelope: &'e Envelope) -> Result<Cow<'e, Envelope>, String> {
        let mut admitted = Cow::Borrowed(envelope);
        if self.decode {
            let decoded = decode(&envelope.message, self.max_decoded);
            if let Some(decoded) = decoded.map_err(|why| why.to_string())? {
                // The compressed body is not copied: it goes on in the delivery, for a retry or a dead letter.
                admitted = Cow::Owned(with(envelope, decoded.body, decoded.encoding));
            }
        }
        if let Some(schema) = &self.body {
            let checked = schema.check(&admitted.message.body);
            checked
                .map_err(|mismatch| format!("the body does not match its schema: {mismatch}"))?;
        }
        Ok(admitted)
    }

    /// The same for many.
    pub fn admit_all<'e>(&'e self, envelopes: &[&'e Envelope]) -> Admitted<'e> {
        let admitted = envelopes.iter().map(|envelope| self.admit(envelope));
        Admitted {
            contract: self,
            envelopes: admitted.collect(),
        }
    }

    /// The outcome, unless a publication of it does not match.
    pub fn release(&self, outcome: Outcome) -> Outcome {
        let Outcome::Handled(publications) = &outcome else {
            return outcome;
        };
        let broken = publications.iter().enumerate();
        let mut broken = broken.filter_map(|(number, publication)| {
            let why = self.what_is_broken(publication)?;
            Some(format!(
                "publication {number}, to exchange {:?} with routing key {:?}: {why}",
                publication.exchange, publication.routing_key
            ))
        });
        match broken.next() {
            Some(error) => Outcome::NotAllowed(error),
            None => {
                drop(broken);
                outcome
            }
        }
    }

    fn what_is_broken(&self, publication: &Publication) -> Option<String> {
        let schemas = self.publications.iter();
        let mut schemas = schemas.filter(|checked| {
            checked.exchange.matches(&publication.exchange)
                && checked.routing_key.matches(&publication.routing_key)
        });
        schemas.find_map(|checked| self.broken(&checked.schema, &publication.message))
    }

    fn broken(&self, schema: &Schema, message: &Message) -> Option<String> {
        let checked = match decode(message, self.max_decoded) {
            Ok(Some(decoded)) => schema.check(&decoded.body),
            Ok(None) => schema.check(&message.body),
            Err(why @ (NotDecoded::Broken(_) | NotDecoded::TooLarge(_))) => {
                return Some(why.to_string());
            }
        };
        let mismatch = checked.err()?;
        Some(format!("the body does not match its schema: {mismatch}"))
    }
}

/// Deliveries that were held against a contract.
pub struct Admitted<'e> {
    contract: &'e Contract,
    envelopes: Vec<Result<Cow<'e, Envelope>, String>>,
}

impl Admitted<'_> {
    /// Those that match, in their order.
    pub fn handed(&self) -> Vec<&Envelope> {
        self.envelopes.iter().flatten().map(Cow::as_ref).collect()
    }

    /// The outcomes of all, from those of the ones that match.
    pub fn outcomes(self, decided: Vec<Outcome>) -> Vec<Outcome> {
        let mut decided = decided.into_iter();
        let outcome = |envelope| match envelope {
            Ok(_) => match decided.next() {
                Some(outcome) => self.contract.release(outcome),
                None => Outcome::HostFault("the call gave no outcome for it".to_owned()),
            },
            Err(reason) => Outcome::Unmatched(reason),
        };
        self.envelopes.into_iter().map(outcome).collect()
    }
}

/// The delivery with another body.
fn with(envelope: &Envelope, body: Vec<u8>, content_encoding: Option<String>) -> Envelope {
    let mut properties = envelope.message.properties.clone();
    properties.content_encoding = content_encoding;
    Envelope {
        message: Message { properties, body },
        queue: envelope.queue.clone(),
        exchange: envelope.exchange.clone(),
        routing_key: envelope.routing_key.clone(),
        redelivered: envelope.redelivered,
        attempt: envelope.attempt,
        stream_offset: envelope.stream_offset,
    }
}
