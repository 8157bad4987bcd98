//! The marker in the store for a message that is being handled and may end the host; pure.
//!
//! A marker is written before the call and removed when the call has ended in a way that the host survived. A
//! marker whose owner is gone is the trace of a death.

use super::verdict::Deaths;

/// The entry of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    /// The deaths before this handling.
    pub(super) deaths: Deaths,
    /// Who handles it now; none once that host was asked to stop.
    pub(super) owner: Option<Owner>,
}

/// A host that handles a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The id of one run of the host.
    pub(super) life: Box<str>,
    /// Whether the message is tried alone.
    pub(super) is_alone: bool,
    /// `host.name`, for people. May contain spaces.
    pub(super) host: Box<str>,
}

/// The fate of a marker's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The owner died and left the marker.
    Died,
    /// The owner is alive; the message came back for another reason.
    Lives,
}

impl Marker {
    /// The stored form: `ALONE AMONG-OTHERS`, and `alone|beside LIFE HOST` while a host handles the message.
    pub(super) fn written(&self) -> Vec<u8> {
        let Deaths {
            alone,
            among_others,
        } = self.deaths;
        match &self.owner {
            None => format!("{alone} {among_others}"),
            Some(Owner {
                life,
                is_alone,
                host,
            }) => {
                let how = if *is_alone { "alone" } else { "beside" };
                format!("{alone} {among_others} {how} {life} {host}")
            }
        }
        .into_bytes()
    }

    /// `None` for anything else: then nothing is known of the message.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(5, ' ');
        let deaths = Deaths {
            alone: parts.next()?.parse().ok()?,
            among_others: parts.next()?.parse().ok()?,
        };
        let is_alone = match parts.next() {
            None => {
                return Some(Self {
                    deaths,
                    owner: None,
                });
            }
            Some("alone") => true,
            Some("beside") => false,
            Some(_) => return None,
        };
        let owner = Owner {
            life: parts.next()?.into(),
            is_alone,
            host: parts.next()?.into(),
        };
        Some(Self {
            deaths,
            owner: Some(owner),
        })
    }

    /// The deaths, once it is known what became of the owner.
    pub(super) fn deaths_after(&self, fate: Fate) -> Deaths {
        match (&self.owner, fate) {
            (Some(owner), Fate::Died) => self.deaths.and_one(owner.is_alone),
            _ => self.deaths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(owner: Option<(&str, bool, &str)>) -> Marker {
        Marker {
            deaths: Deaths {
                alone: 1,
                among_others: 2,
            },
            owner: owner.map(|(life, is_alone, host)| Owner {
                life: life.into(),
                is_alone,
                host: host.into(),
            }),
        }
    }

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        for written in [
            marker(None),
            marker(Some(("a1", true, "host one"))),
            marker(Some(("a1", false, ""))),
        ] {
            assert_eq!(Marker::read(&written.written()), Some(written));
        }
    }

    #[test]
    fn what_is_no_marker_says_nothing() {
        for text in ["", "1", "1 x", "1 2 ill a1 h", "1 2 alone", "1 2 alone a1"] {
            assert_eq!(Marker::read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Marker::read(b"1 2 alone \xff h"), None);
    }

    #[test]
    fn an_owner_that_died_is_one_more_death_of_its_kind() {
        let alone = marker(Some(("a1", true, "h")));
        assert_eq!(alone.deaths_after(Fate::Died), alone.deaths.and_one(true));
        let beside = marker(Some(("a1", false, "h")));
        assert_eq!(
            beside.deaths_after(Fate::Died),
            beside.deaths.and_one(false)
        );
        assert_eq!(alone.deaths_after(Fate::Lives), alone.deaths);
        let stopped = marker(None);
        assert_eq!(stopped.deaths_after(Fate::Died), stopped.deaths);
    }
}
