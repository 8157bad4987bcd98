//! The steps in which a host of the group has the others carry out a command: the texts under the seals.
//!
//! A host that does not know a step or a key in it refuses, so that none is half understood.

use hive_core::codes::Code;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::{Command, NewCode, Told};

/// Bytes of code in one step. A message with them, in base64, is smaller than any broker's limit for messages.
pub(super) const PART: usize = 512 << 10;

/// What another host is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    /// To take up a command, unless another one is under way. The host that asks calls it by this name.
    Begin { call: String, command: Wanted },
    /// To add a piece of the code, in base64, to what came before it.
    Part { ticket: String, code: String },
    /// To find out whatever could refuse the command, and to hold it.
    Prepare { ticket: String },
    /// To carry it out.
    CarryOut { ticket: String },
    /// To forget it. It may have no ticket yet that the host that asks knows.
    GiveUp { call: String },
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Reply {
    /// The command is under way, under a ticket that nobody could have known before: steps that are sent again by
    /// somebody else are for another one.
    Begun { ticket: String },
    /// The step is done.
    Taken {},
    /// The command was carried out, with this answer of the admin server.
    Done { answer: Value },
    /// It was not.
    Refused { error: String, code: Option<String> },
}

/// A command for all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Wanted {
    Swap { component: String, code: From },
    Reload {},
    Pause { consumer: String },
    Resume { consumer: String },
}

/// Where the code of a swap comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum From {
    /// The file that the hive.toml of each host names.
    File {},
    /// The version that served before.
    Before {},
    /// Other steps.
    Sent { bytes: usize, sha256: String },
}

impl Wanted {
    /// The command in its parts: what it is, and the code that is sent along.
    ///
    /// # Errors
    ///
    /// Each host would judge a canary by itself, and they would come to different ends.
    pub(super) fn of(command: Command) -> Result<(Self, Vec<u8>), &'static str> {
        let wanted = match command {
            Command::Pause { consumer } => Self::Pause { consumer },
            Command::Resume { consumer } => Self::Resume { consumer },
            Command::Reload => Self::Reload {},
            Command::Swap {
                canary: Some(_), ..
            } => {
                return Err(
                    "a canary is for one host: each would judge it by its own deliveries; swap on one host with it, \
                     then on all without",
                );
            }
            Command::Swap {
                component, code, ..
            } => match code {
                NewCode::File | NewCode::ChangedFile => Self::Swap {
                    component,
                    code: From::File {},
                },
                NewCode::Before => Self::Swap {
                    component,
                    code: From::Before {},
                },
                NewCode::Content(content) => {
                    let code = From::Sent {
                        bytes: content.len(),
                        sha256: super::sum(&content),
                    };
                    return Ok((Self::Swap { component, code }, content));
                }
            },
        };
        Ok((wanted, Vec::new()))
    }

    /// Bytes of the code that is sent along, and their checksum.
    pub(super) fn sent(&self) -> Option<(usize, &str)> {
        match self {
            Self::Swap {
                code: From::Sent { bytes, sha256 },
                ..
            } => Some((*bytes, sha256)),
            _ => None,
        }
    }

    /// The command, with the code that was sent along.
    pub(super) fn command(self, sent: Vec<u8>) -> Command {
        match self {
            Self::Pause { consumer } => Command::Pause { consumer },
            Self::Resume { consumer } => Command::Resume { consumer },
            Self::Reload {} => Command::Reload,
            Self::Swap { component, code } => Command::Swap {
                component,
                code: match code {
                    From::File {} => NewCode::File,
                    From::Before {} => NewCode::Before,
                    From::Sent { .. } => NewCode::Content(sent),
                },
                canary: None,
            },
        }
    }
}

/// As the command line has it.
impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pause { consumer } => write!(f, "pause {consumer}"),
            Self::Resume { consumer } => write!(f, "resume {consumer}"),
            Self::Reload {} => f.write_str("reload"),
            Self::Swap { component, code } => match code {
                From::File {} => write!(f, "swap {component}"),
                From::Before {} => write!(f, "swap {component} --back"),
                From::Sent { sha256, .. } => {
                    write!(f, "swap {component} to the code with sha256 {sha256}")
                }
            },
        }
    }
}

impl Reply {
    pub(super) fn refused(told: impl Into<Told>) -> Self {
        let Told { error, code } = told.into();
        Self::Refused {
            error,
            code: code.map(|code| code.as_str().to_owned()),
        }
    }

    /// The refusal that this is, if it is one.
    pub(super) fn refusal(self) -> Result<Self, Told> {
        match self {
            Self::Refused { error, code } => Err(Told {
                code: code.as_deref().and_then(Code::parse),
                error,
            }),
            reply => Ok(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_host_wants_the_other_reads() {
        let swap = |code| Wanted::Swap {
            component: "orders".to_owned(),
            code,
        };
        let consumer = || "orders".to_owned();
        let sent = From::Sent {
            bytes: 3,
            sha256: "00".to_owned(),
        };
        for command in [
            Wanted::Pause {
                consumer: consumer(),
            },
            Wanted::Resume {
                consumer: consumer(),
            },
            Wanted::Reload {},
            swap(From::File {}),
            swap(From::Before {}),
            swap(sent),
        ] {
            let text = serde_json::to_string(&command).unwrap();
            let read: Wanted = serde_json::from_str(&text).unwrap();
            assert_eq!(read, command, "{text}");
            if command.sent().is_none() {
                let again = Wanted::of(command.clone().command(Vec::new()));
                assert_eq!(again, Ok((command, Vec::new())));
            }
        }
    }

    #[test]
    fn a_key_that_a_later_version_adds_is_not_overlooked() {
        let text = r#"{"begin":{"call":"7","command":{"pause":{"consumer":"orders","for":"1h"}}}}"#;
        let known = text.replace(",\"for\":\"1h\"", "");
        assert!(serde_json::from_str::<Step>(&known).is_ok());
        assert!(serde_json::from_str::<Step>(text).is_err());
    }
}
