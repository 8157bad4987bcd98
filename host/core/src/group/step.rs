//! The steps in which a host of the group has the others carry out a command: the texts under the seals, as JSON.
//!
//! A host that does not know a step, or a key in it, refuses: none is half understood.

use serde_json::{Map, Value, json};

use super::said::{Unreadable, number, text};
use crate::codes::Code;
use crate::json::{base64, from_base64};
use crate::scaling::NewBounds;

/// Bytes of code in one step. A message with them, in base64, is smaller than any broker's limit for messages.
pub const PART: usize = 512 << 10;

/// What another host is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To take up a command, unless another one is under way.
    Begin {
        /// What the host that asks calls it.
        call: String,
        /// The command.
        command: Wanted,
    },
    /// To add a piece of the code to what came before it.
    Part {
        /// The ticket.
        ticket: String,
        /// The piece.
        code: Vec<u8>,
    },
    /// To find out whatever could refuse the command, and to hold it.
    Prepare {
        /// The ticket.
        ticket: String,
    },
    /// To carry it out.
    CarryOut {
        /// The ticket.
        ticket: String,
    },
    /// To forget it.
    GiveUp {
        /// What the host that asks calls it, which may not know its ticket yet.
        call: String,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The command is under way.
    Begun {
        /// What the next steps name. Nobody could have known it before: steps that somebody sends again name another.
        ticket: String,
    },
    /// The step is done.
    Taken,
    /// The command was carried out, with this answer of the admin server.
    Done(Value),
    /// It was not.
    Refused(Told),
}

/// A refusal in words, as another host told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The words.
    pub error: String,
    /// The code of the error.
    pub code: Option<Code>,
}

/// A command for all hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Replaces the code of a component.
    Swap {
        /// The component's name.
        component: String,
        /// The new code.
        code: CodeSource,
    },
    /// Each host reads its hive.toml again.
    Reload,
    /// Pauses a consumer.
    Pause {
        /// The consumer's name.
        consumer: String,
    },
    /// Resumes it.
    Resume {
        /// The consumer's name.
        consumer: String,
    },
    /// Sets the bounds of its `scale`.
    Rescale {
        /// The consumer's name.
        consumer: String,
        /// The bounds; `None` for those of hive.toml.
        to: Option<NewBounds>,
    },
}

/// Where the code of a swap comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeSource {
    /// The file that the hive.toml of each host names.
    File,
    /// The version that served before.
    Before,
    /// Steps of their own.
    Sent {
        /// How many bytes there are.
        bytes: usize,
        /// Their SHA-256, in hexadecimal.
        sha256: String,
    },
}

impl Step {
    /// The text that the other host reads.
    pub fn text(&self) -> String {
        let step = match self {
            Self::Begin { call, command } => {
                json!({"begin": {"call": call, "command": command.json()}})
            }
            Self::Part { ticket, code } => {
                json!({"part": {"ticket": ticket, "code": base64(code)}})
            }
            Self::Prepare { ticket } => json!({"prepare": {"ticket": ticket}}),
            Self::CarryOut { ticket } => json!({"carry_out": {"ticket": ticket}}),
            Self::GiveUp { call } => json!({"give_up": {"call": call}}),
        };
        step.to_string()
    }

    /// The step of a text.
    ///
    /// # Errors
    ///
    /// This version of Hive does not know it.
    pub fn read(step: &str) -> Result<Self, Unreadable> {
        let step: Value = serde_json::from_str(step).map_err(|_| Unreadable::NotJson)?;
        let (name, keys) = variant(&step, "step")?;
        let ticket = || Ok(text(only(keys, &["ticket"])?, "ticket")?.to_owned());
        Ok(match name {
            "begin" => {
                let keys = only(keys, &["call", "command"])?;
                Self::Begin {
                    call: text(keys, "call")?.to_owned(),
                    command: Wanted::read(&keys["command"])?,
                }
            }
            "part" => {
                let keys = only(keys, &["ticket", "code"])?;
                let code = from_base64(text(keys, "code")?);
                Self::Part {
                    ticket: text(keys, "ticket")?.to_owned(),
                    code: code.map_err(|_| Unreadable::Key("code"))?,
                }
            }
            "prepare" => Self::Prepare { ticket: ticket()? },
            "carry_out" => Self::CarryOut { ticket: ticket()? },
            "give_up" => Self::GiveUp {
                call: text(only(keys, &["call"])?, "call")?.to_owned(),
            },
            _ => return Err(Unreadable::Key("step")),
        })
    }
}

impl Reply {
    /// The text that the host that asked reads.
    pub fn text(&self) -> String {
        let reply = match self {
            Self::Begun { ticket } => json!({"begun": {"ticket": ticket}}),
            Self::Taken => json!({"taken": {}}),
            Self::Done(answer) => json!({"done": {"answer": answer}}),
            Self::Refused(Told { error, code }) => {
                json!({"refused": {"error": error, "code": code.map(Code::as_str)}})
            }
        };
        reply.to_string()
    }

    /// The reply of a text.
    ///
    /// # Errors
    ///
    /// This version of Hive does not know it.
    pub fn read(reply: &str) -> Result<Self, Unreadable> {
        let reply: Value = serde_json::from_str(reply).map_err(|_| Unreadable::NotJson)?;
        let (name, keys) = variant(&reply, "reply")?;
        Ok(match name {
            "begun" => Self::Begun {
                ticket: text(only(keys, &["ticket"])?, "ticket")?.to_owned(),
            },
            "taken" => {
                only(keys, &[])?;
                Self::Taken
            }
            "done" => Self::Done(only(keys, &["answer"])?["answer"].clone()),
            "refused" => {
                let keys = only(keys, &["error", "code"])?;
                Self::Refused(Told {
                    error: text(keys, "error")?.to_owned(),
                    // One that a later version has is no code here.
                    code: keys["code"].as_str().and_then(Code::parse),
                })
            }
            _ => return Err(Unreadable::Key("reply")),
        })
    }
}

impl Wanted {
    /// Bytes of the code that is sent along, and their checksum.
    pub fn sent(&self) -> Option<(usize, &str)> {
        match self {
            Self::Swap {
                code: CodeSource::Sent { bytes, sha256 },
                ..
            } => Some((*bytes, sha256)),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Swap { component, code } => {
                json!({"swap": {"component": component, "code": code.json()}})
            }
            Self::Reload => json!({"reload": {}}),
            Self::Pause { consumer } => json!({"pause": {"consumer": consumer}}),
            Self::Resume { consumer } => json!({"resume": {"consumer": consumer}}),
            Self::Rescale { consumer, to } => {
                let to = to.map(|NewBounds { min, max }| json!({"min": min, "max": max}));
                json!({"rescale": {"consumer": consumer, "to": to}})
            }
        }
    }

    fn read(wanted: &Value) -> Result<Self, Unreadable> {
        let (name, keys) = variant(wanted, "command")?;
        let consumer = || Ok(text(only(keys, &["consumer"])?, "consumer")?.to_owned());
        Ok(match name {
            "swap" => {
                let keys = only(keys, &["component", "code"])?;
                Self::Swap {
                    component: text(keys, "component")?.to_owned(),
                    code: CodeSource::read(&keys["code"])?,
                }
            }
            "reload" => {
                only(keys, &[])?;
                Self::Reload
            }
            "pause" => Self::Pause {
                consumer: consumer()?,
            },
            "resume" => Self::Resume {
                consumer: consumer()?,
            },
            "rescale" => {
                let keys = only(keys, &["consumer", "to"])?;
                Self::Rescale {
                    consumer: text(keys, "consumer")?.to_owned(),
                    to: bounds(&keys["to"])?,
                }
            }
            _ => return Err(Unreadable::Key("command")),
        })
    }
}

impl CodeSource {
    fn json(&self) -> Value {
        match self {
            Self::File => json!({"file": {}}),
            Self::Before => json!({"before": {}}),
            Self::Sent { bytes, sha256 } => json!({"sent": {"bytes": bytes, "sha256": sha256}}),
        }
    }

    fn read(from: &Value) -> Result<Self, Unreadable> {
        let (name, keys) = variant(from, "code")?;
        Ok(match name {
            "file" => {
                only(keys, &[])?;
                Self::File
            }
            "before" => {
                only(keys, &[])?;
                Self::Before
            }
            "sent" => {
                let keys = only(keys, &["bytes", "sha256"])?;
                let bytes = usize::try_from(number(keys, "bytes")?);
                Self::Sent {
                    bytes: bytes.map_err(|_| Unreadable::Key("bytes"))?,
                    sha256: text(keys, "sha256")?.to_owned(),
                }
            }
            _ => return Err(Unreadable::Key("code")),
        })
    }
}

/// As the command line has it.
impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pause { consumer } => write!(f, "pause {consumer}"),
            Self::Resume { consumer } => write!(f, "resume {consumer}"),
            Self::Rescale { consumer, to: None } => write!(f, "scale {consumer} --reset"),
            Self::Rescale {
                consumer,
                to: Some(bounds),
            } => {
                write!(f, "scale {consumer}")?;
                bounds
                    .named()
                    .try_for_each(|(name, bound)| write!(f, " --{name} {bound}"))
            }
            Self::Reload => f.write_str("reload"),
            Self::Swap { component, code } => match code {
                CodeSource::File => write!(f, "swap {component}"),
                CodeSource::Before => write!(f, "swap {component} --back"),
                CodeSource::Sent { sha256, .. } => {
                    write!(f, "swap {component} to the code with sha256 {sha256}")
                }
            },
        }
    }
}

impl From<&str> for Told {
    fn from(error: &str) -> Self {
        Self {
            error: error.to_owned(),
            code: None,
        }
    }
}

/// The bounds of a scale; null for those of hive.toml.
fn bounds(to: &Value) -> Result<Option<NewBounds>, Unreadable> {
    if to.is_null() {
        return Ok(None);
    }
    let keys = only(
        to.as_object().ok_or(Unreadable::Key("to"))?,
        &["min", "max"],
    )?;
    let bound = |name: &'static str| match &keys[name] {
        Value::Null => Ok(None),
        _ => {
            let bound = u16::try_from(number(keys, name)?);
            bound.map(Some).map_err(|_| Unreadable::Key(name))
        }
    };
    Ok(Some(NewBounds {
        min: bound("min")?,
        max: bound("max")?,
    }))
}

/// The one key of an object, and the keys below it.
fn variant<'a>(
    value: &'a Value,
    what: &'static str,
) -> Result<(&'a str, &'a Map<String, Value>), Unreadable> {
    let mut all = value.as_object().into_iter().flatten();
    let (Some((name, _)), None) = (all.next(), all.next()) else {
        return Err(Unreadable::Key(what));
    };
    let keys = value[name].as_object().ok_or(Unreadable::Key(what))?;
    Ok((name, keys))
}

/// An object that has these keys and no other.
fn only<'a>(
    of: &'a Map<String, Value>,
    keys: &[&'static str],
) -> Result<&'a Map<String, Value>, Unreadable> {
    if let Some(missing) = keys.iter().find(|key| !of.contains_key(**key)) {
        return Err(Unreadable::Key(missing));
    }
    let is_exact = of.len() == keys.len();
    is_exact.then_some(of).ok_or(Unreadable::Key("another key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<Step> {
        let swap = |code| Wanted::Swap {
            component: "orders".to_owned(),
            code,
        };
        let consumer = || "orders".to_owned();
        let commands = [
            Wanted::Pause {
                consumer: consumer(),
            },
            Wanted::Resume {
                consumer: consumer(),
            },
            Wanted::Rescale {
                consumer: consumer(),
                to: None,
            },
            Wanted::Rescale {
                consumer: consumer(),
                to: Some(NewBounds {
                    min: Some(2),
                    max: Some(8),
                }),
            },
            Wanted::Reload,
            swap(CodeSource::File),
            swap(CodeSource::Before),
            swap(CodeSource::Sent {
                bytes: 3,
                sha256: "00".to_owned(),
            }),
        ];
        let ticket = || "7".to_owned();
        let begin = |command| Step::Begin {
            call: ticket(),
            command,
        };
        let others = [
            Step::Part {
                ticket: ticket(),
                code: vec![0, 255, 7],
            },
            Step::Prepare { ticket: ticket() },
            Step::CarryOut { ticket: ticket() },
            Step::GiveUp { call: ticket() },
        ];
        commands.map(begin).into_iter().chain(others).collect()
    }

    fn replies() -> [Reply; 5] {
        let refused = |code| {
            Reply::Refused(Told {
                error: "no".to_owned(),
                code,
            })
        };
        [
            Reply::Begun {
                ticket: "7".to_owned(),
            },
            Reply::Taken,
            Reply::Done(json!({"done": "paused", "changed": true})),
            refused(None),
            refused(Some(Code::UnknownAtHost)),
        ]
    }

    #[test]
    fn what_one_host_wants_and_answers_the_other_reads() {
        for step in steps() {
            assert_eq!(Step::read(&step.text()), Ok(step));
        }
        for reply in replies() {
            assert_eq!(Reply::read(&reply.text()), Ok(reply));
        }
    }

    /// Each text with a key more in each of its objects, and with each of its keys under another name.
    fn otherwise(value: &Value) -> Vec<Value> {
        let Value::Object(object) = value else {
            return Vec::new();
        };
        let mut all = Vec::new();
        let mut more = object.clone();
        more.insert("for".to_owned(), json!("1h"));
        all.push(Value::Object(more));
        for (key, inner) in object {
            let mut renamed = object.clone();
            renamed.remove(key);
            renamed.insert(format!("{key}s"), inner.clone());
            all.push(Value::Object(renamed));
            for inner in otherwise(inner) {
                let mut changed = object.clone();
                changed.insert(key.clone(), inner);
                all.push(Value::Object(changed));
            }
        }
        all
    }

    #[test]
    fn a_step_or_a_key_of_a_later_version_is_not_overlooked() {
        for step in steps() {
            for other in otherwise(&serde_json::from_str(&step.text()).unwrap()) {
                assert!(Step::read(&other.to_string()).is_err(), "{other}");
            }
        }
        let texts = ["", "[]", "{}", "7", r#"{"begin":7}"#];
        assert!(texts.iter().all(|text| Step::read(text).is_err()));
        assert!(texts.iter().all(|text| Reply::read(text).is_err()));
    }
}
