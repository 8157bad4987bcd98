//! What becomes of a publication: [`Verdict`].

use hive_telemetry::PublicationEnd;

use super::PublishFault;

/// The fate of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broker has it.
    Stored,
    /// No queue took it; with the broker's words.
    Returned(String),
    /// The broker closes the channel over it, with these words.
    Refused(String),
    /// The broker did not store it.
    Nacked,
    /// It was tried for too long.
    TimedOut,
    /// There is nothing to publish it over, or it is not known what became of it.
    Disconnected,
}

impl Verdict {
    /// Whether the broker has taken it, if only to return it.
    pub(super) fn was_taken(&self) -> bool {
        matches!(self, Self::Stored | Self::Returned(_) | Self::Nacked)
    }

    /// As it is counted.
    pub(super) fn end(&self) -> PublicationEnd {
        match self {
            Self::Stored => PublicationEnd::Confirmed,
            Self::Returned(_) => PublicationEnd::Returned,
            Self::Refused(_) => PublicationEnd::Refused,
            Self::Nacked => PublicationEnd::Nacked,
            Self::TimedOut => PublicationEnd::TimedOut,
            Self::Disconnected => PublicationEnd::Disconnected,
        }
    }

    /// `None` if it is stored, or need not be.
    pub(super) fn fault(self, index: usize, mandatory: bool) -> Option<PublishFault> {
        match self {
            Self::Stored => None,
            Self::Returned(_) if !mandatory => None,
            Self::Returned(text) => Some(PublishFault::Unroutable { index, text }),
            Self::Refused(text) => Some(PublishFault::Refused { index, text }),
            Self::Nacked => Some(PublishFault::Nacked),
            Self::TimedOut => Some(PublishFault::TimedOut),
            Self::Disconnected => Some(PublishFault::Disconnected),
        }
    }
}
