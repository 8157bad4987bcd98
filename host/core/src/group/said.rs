//! The messages between the hosts of a group, as JSON: small, with a version, and without a body or a secret.
//!
//! Everybody who may publish to the exchange of a group can send anything. So whatever is not such a message is an
//! error that the host logs at DEBUG and forgets.

use serde_json::{Map, Value, json};
use thiserror::Error;

/// The version of this format. A host ignores the messages of any other.
const VERSION: u64 = 1;

/// Bytes of a name, as AMQP has it.
const LONGEST_NAME: usize = 255;

/// The digits of a member's id.
const ID_DIGITS: usize = 32;

/// One run of a host. A host that is started again is another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Random, in hexadecimal.
    pub id: String,
    /// `host.name`.
    pub host: String,
    /// The version of `hive-host`.
    pub version: String,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The sender is there.
    Here {
        /// It has just come, and wants to know who else is there.
        is_new: bool,
    },
    /// The sender wants an answer.
    Asks {
        /// The number of the question, by which the asker recognises the answer.
        number: u64,
        /// The question.
        question: Question,
    },
    /// The answer to a question.
    Answers {
        /// The number of the question.
        number: u64,
        /// The answer.
        answer: Answer,
    },
}

/// What a host can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// How it is doing.
    State,
}

/// What a host answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// How it is doing.
    State(HostState),
}

/// How a host is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct HostState {
    /// Since its start, in seconds. An age, since the clocks of two machines differ.
    pub uptime: u64,
    /// Its consumers.
    pub consumers: Vec<ConsumerState>,
}

/// How a consumer of a host is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerState {
    /// Its name.
    pub consumer: String,
    /// Its queue.
    pub queue: String,
    /// The connection that it consumes over.
    pub connection: String,
    /// Whether one host at a time consumes the queue.
    pub is_single: bool,
    /// `consuming`, `standby`, `waiting` or `paused`.
    pub state: String,
    /// Milliseconds since its last delivery, 0 while one is in flight; `None` where there was none since it
    /// subscribed.
    pub idle: Option<u64>,
}

/// Why octets are not a message of a group.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// They are no JSON.
    #[error("it is no JSON")]
    NotJson,
    /// They have another version than this host's.
    #[error("it has another version")]
    Version,
    /// A key is missing, or has a value of another kind.
    #[error("`{0}` is missing, or not as it should be")]
    Key(&'static str),
}

impl Said {
    /// The message, from `sender`.
    pub fn octets(&self, sender: &Member) -> Vec<u8> {
        let Member { id, host, version } = sender;
        let mut message = json!({
            "hive_group": VERSION,
            "from": {"id": id, "host": host, "version": version},
        });
        match self {
            Self::Here { is_new } => message["here"] = json!({"is_new": is_new}),
            Self::Asks { number, question } => {
                message["asks"] = json!({"number": number, "question": question.json()});
            }
            Self::Answers { number, answer } => {
                message["answers"] = json!({"number": number, "answer": answer.json()});
            }
        }
        message.to_string().into_bytes()
    }

    /// The sender of a message, and what it says.
    ///
    /// # Errors
    ///
    /// The octets are no such message.
    pub fn read(octets: &[u8]) -> Result<(Member, Self), Unreadable> {
        let message: Value = serde_json::from_slice(octets).map_err(|_| Unreadable::NotJson)?;
        if message["hive_group"] != VERSION {
            return Err(Unreadable::Version);
        }
        let from = object(&message, "from")?;
        let member = Member {
            id: id(from)?,
            host: name(from, "host")?,
            version: name(from, "version")?,
        };
        let said = if message.get("here").is_some() {
            let here = object(&message, "here")?;
            Self::Here {
                is_new: flag(here, "is_new")?,
            }
        } else if message.get("asks").is_some() {
            let asks = object(&message, "asks")?;
            Self::Asks {
                number: number(asks, "number")?,
                question: Question::read(value(asks, "question")?)?,
            }
        } else {
            let answers = object(&message, "answers")?;
            Self::Answers {
                number: number(answers, "number")?,
                answer: Answer::read(value(answers, "answer")?)?,
            }
        };
        Ok((member, said))
    }
}

impl Question {
    fn json(&self) -> Value {
        match self {
            Self::State => json!({"state": {}}),
        }
    }

    fn read(question: &Value) -> Result<Self, Unreadable> {
        match question.get("state") {
            Some(_) => Ok(Self::State),
            None => Err(Unreadable::Key("question")),
        }
    }
}

impl Answer {
    fn json(&self) -> Value {
        match self {
            Self::State(HostState { uptime, consumers }) => {
                let consumers: Vec<_> = consumers.iter().map(ConsumerState::json).collect();
                json!({"state": {"uptime_seconds": uptime, "consumers": consumers}})
            }
        }
    }

    fn read(answer: &Value) -> Result<Self, Unreadable> {
        let state = object(answer, "state")?;
        let consumers = value(state, "consumers")?;
        let consumers = consumers.as_array().ok_or(Unreadable::Key("consumers"))?;
        Ok(Self::State(HostState {
            uptime: number(state, "uptime_seconds")?,
            consumers: consumers
                .iter()
                .map(ConsumerState::read)
                .collect::<Result<_, _>>()?,
        }))
    }
}

impl ConsumerState {
    fn json(&self) -> Value {
        let Self {
            consumer,
            queue,
            connection,
            is_single,
            state,
            idle,
        } = self;
        json!({
            "consumer": consumer,
            "queue": queue,
            "connection": connection,
            "is_single": is_single,
            "state": state,
            "idle_ms": idle,
        })
    }

    fn read(consumer: &Value) -> Result<Self, Unreadable> {
        let consumer = consumer.as_object().ok_or(Unreadable::Key("consumers"))?;
        Ok(Self {
            consumer: name(consumer, "consumer")?,
            queue: name(consumer, "queue")?,
            connection: name(consumer, "connection")?,
            is_single: flag(consumer, "is_single")?,
            state: name(consumer, "state")?,
            idle: match value(consumer, "idle_ms")? {
                Value::Null => None,
                _ => Some(number(consumer, "idle_ms")?),
            },
        })
    }
}

fn object<'a>(value: &'a Value, key: &'static str) -> Result<&'a Map<String, Value>, Unreadable> {
    let object = value.get(key).and_then(Value::as_object);
    object.ok_or(Unreadable::Key(key))
}

fn value<'a>(of: &'a Map<String, Value>, key: &'static str) -> Result<&'a Value, Unreadable> {
    of.get(key).ok_or(Unreadable::Key(key))
}

fn number(of: &Map<String, Value>, key: &'static str) -> Result<u64, Unreadable> {
    value(of, key)?.as_u64().ok_or(Unreadable::Key(key))
}

fn flag(of: &Map<String, Value>, key: &'static str) -> Result<bool, Unreadable> {
    value(of, key)?.as_bool().ok_or(Unreadable::Key(key))
}

fn text<'a>(of: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, Unreadable> {
    value(of, key)?.as_str().ok_or(Unreadable::Key(key))
}

/// A text that is no longer than a name can be.
fn name(of: &Map<String, Value>, key: &'static str) -> Result<String, Unreadable> {
    let name = Some(text(of, key)?).filter(|name| name.len() <= LONGEST_NAME);
    name.map(str::to_owned).ok_or(Unreadable::Key(key))
}

/// An id, which becomes a routing key.
fn id(of: &Map<String, Value>) -> Result<String, Unreadable> {
    let id = text(of, "id")?;
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then(|| id.to_owned()).ok_or(Unreadable::Key("id"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member() -> Member {
        Member {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            host: "hive-0".to_owned(),
            version: "0.1.0".to_owned(),
        }
    }

    fn all() -> [Said; 4] {
        let consumer = |idle| ConsumerState {
            consumer: "orders".to_owned(),
            queue: "orders.created".to_owned(),
            connection: "main".to_owned(),
            is_single: true,
            state: "standby".to_owned(),
            idle,
        };
        let answer = Answer::State(HostState {
            uptime: 7,
            consumers: vec![consumer(None), consumer(Some(0))],
        });
        [
            Said::Here { is_new: true },
            Said::Here { is_new: false },
            Said::Asks {
                number: u64::MAX,
                question: Question::State,
            },
            Said::Answers { number: 3, answer },
        ]
    }

    #[test]
    fn what_one_host_says_the_other_reads() {
        for said in all() {
            let octets = said.octets(&member());
            assert_eq!(Said::read(&octets), Ok((member(), said)));
        }
    }

    #[test]
    fn another_version_and_a_foreign_message_are_not_read() {
        let read = |text: &str| Said::read(text.as_bytes()).map(drop);
        assert_eq!(read("hello"), Err(Unreadable::NotJson));
        assert_eq!(read("[]"), Err(Unreadable::Version));
        assert_eq!(read(r#"{"hive_group":2}"#), Err(Unreadable::Version));
        assert_eq!(read(r#"{"hive_group":1}"#), Err(Unreadable::Key("from")));
        // It would be a routing key.
        let mut other = member();
        other.id = "a".repeat(300);
        let octets = Said::Here { is_new: true }.octets(&other);
        assert_eq!(Said::read(&octets), Err(Unreadable::Key("id")));
        let mut other = member();
        other.host = "h".repeat(256);
        let octets = Said::Here { is_new: true }.octets(&other);
        assert_eq!(Said::read(&octets), Err(Unreadable::Key("host")));
    }

    /// Each value of a message in turn, replaced by another one.
    fn broken(message: &Value, by: &Value) -> Vec<Value> {
        let mut all = vec![by.clone()];
        match message {
            Value::Object(object) => {
                for (key, value) in object {
                    for inner in broken(value, by) {
                        let mut whole = object.clone();
                        whole.insert(key.clone(), inner);
                        all.push(Value::Object(whole));
                    }
                    let mut without = object.clone();
                    without.remove(key);
                    all.push(Value::Object(without));
                }
            }
            Value::Array(array) => {
                for (index, value) in array.iter().enumerate() {
                    for inner in broken(value, by) {
                        let mut whole = array.clone();
                        whole[index] = inner;
                        all.push(Value::Array(whole));
                    }
                }
            }
            _ => {}
        }
        all
    }

    #[test]
    fn no_message_that_is_broken_in_one_place_ends_the_reader() {
        let others = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!("x"),
            json!([]),
            json!({}),
        ];
        for said in all() {
            let whole: Value = serde_json::from_slice(&said.octets(&member())).unwrap();
            for other in &others {
                for message in broken(&whole, other) {
                    let read = Said::read(message.to_string().as_bytes());
                    // What is read all the same can be sent on.
                    if let Ok((member, said)) = read {
                        assert_eq!(Said::read(&said.octets(&member)), Ok((member, said)));
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_octets_end_the_reader(octets: Vec<u8>, cut in 0_usize..400, at in 0_usize..400, octet: u8) {
            let _unreadable = Said::read(&octets);
            for said in all() {
                let mut octets = said.octets(&member());
                octets.truncate(octets.len().saturating_sub(cut));
                let _unreadable = Said::read(&octets);
                let mut octets = said.octets(&member());
                let at = at % octets.len();
                octets[at] = octet;
                let _perhaps = Said::read(&octets);
            }
        }
    }
}
