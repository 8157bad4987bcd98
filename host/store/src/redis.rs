//! A store on a Redis server, which several hosts share.
//!
//! Each call is one script, which Redis carries out in one step and by its own clock. Entries expire by
//! themselves at the server. A call waits for an unreachable server up to [`PATIENCE`]; then it fails, and its
//! caller tries again later.

mod line;
mod opening;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hive_config::plan::RedisPlan;
use redis::{Script, ScriptInvocation};

use self::line::{Line, Repeat};
use super::{Answer, Clock, Namespace, Operation, Page, Promised, Store, StoreFault, Value, Write};

/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store on a server.
pub struct Redis {
    line: Line,
    prefix: Arc<str>,
    scripts: Scripts,
    /// The clock of a test; `None` for the server's.
    clock: Option<Clock>,
}

struct Scripts {
    read: Script,
    write: Script,
    keys: Script,
}

impl Scripts {
    fn new() -> Self {
        let script = |code| Script::new(&format!("{}{code}", include_str!("redis/entries.lua")));
        Self {
            read: script(include_str!("redis/read.lua")),
            write: script(include_str!("redis/write.lua")),
            keys: script(include_str!("redis/keys.lua")),
        }
    }
}

impl Redis {
    /// Connects to the server of the plan.
    ///
    /// # Errors
    ///
    /// A server that does not answer in time, or won't have this client.
    pub async fn open(plan: &RedisPlan) -> Result<Self, StoreFault> {
        Self::open_within(plan, PATIENCE).await
    }

    /// The same with another patience than [`PATIENCE`].
    pub(super) async fn open_within(
        plan: &RedisPlan,
        patience: Duration,
    ) -> Result<Self, StoreFault> {
        let store = Self {
            line: Line::new(plan, patience),
            prefix: Arc::clone(&plan.prefix),
            scripts: Scripts::new(),
            clock: None,
        };
        store.line.check().await?;
        Ok(store)
    }

    /// As `new`, with a clock that a test moves.
    #[cfg(test)]
    pub(super) async fn open_with(plan: &RedisPlan, clock: Clock) -> Result<Self, StoreFault> {
        let store = Self::open(plan).await?;
        Ok(Self {
            clock: Some(clock),
            ..store
        })
    }

    /// The prefix of a namespace's keys: a hash tag, so that they are on one node of a cluster. Its name
    /// contains no brace, so that no key of one namespace can be that of another.
    fn base(&self, namespace: &Namespace) -> String {
        let name = namespace.name.replace('%', "%25");
        let name = name.replace('{', "%7b").replace('}', "%7d");
        format!("{}{{{name}}}", self.prefix)
    }

    /// A script on the entries of a namespace.
    fn on<'a>(&self, script: &'a Script, namespace: &Namespace) -> ScriptInvocation<'a> {
        let base = self.base(namespace);
        let mut invocation = script.prepare_invoke();
        for index in ["order", "ends", "last"] {
            invocation.key(format!("{base}:{index}"));
        }
        invocation.arg(format!("{base}=")).arg(
            self.clock
                .as_ref()
                .map(|clock| clock.now().to_string())
                .unwrap_or_default(),
        );
        invocation
    }
}

impl Store for Redis {
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>> {
        async move {
            let mut invocation = self.on(&self.scripts.read, namespace);
            for key in keys {
                invocation.arg(key);
            }
            let values: Vec<Vec<u8>> = self.line.ask(&invocation, Repeat::Harmless).await?;
            let value = |told: Vec<u8>| told.strip_prefix(b"=").map(<[u8]>::to_vec);
            Ok(values.into_iter().map(value).collect())
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>> {
        async move {
            let mut invocation = self.on(&self.scripts.write, namespace);
            let bound = namespace.bound.map(|bound| bound.to_string());
            invocation.arg(bound.unwrap_or_default());
            let mut repeat = Repeat::Harmless;
            for Write { key, operation } in writes {
                if matches!(operation, Operation::Increment(_) | Operation::Swap { .. }) {
                    repeat = Repeat::Harmful;
                }
                add(&mut invocation, key, operation);
            }
            let answers: Vec<Vec<u8>> = self.line.ask(&invocation, repeat).await?;
            answers.into_iter().map(answer).collect()
        }
        .boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page> {
        async move {
            let mut invocation = self.on(&self.scripts.keys, namespace);
            invocation
                .arg(behind.map_or("-inf".to_owned(), |behind| format!("({behind}")))
                .arg(most);
            let told: Vec<Vec<u8>> = self.line.ask(&invocation, Repeat::Harmless).await?;
            let mut told = told.into_iter();
            let (more, last) = (told.next(), told.next());
            let last = last.and_then(|last| String::from_utf8(last).ok());
            Ok(Page {
                more: more.is_some_and(|more| !more.is_empty()),
                last: last.and_then(|last| last.parse().ok()),
                keys: told.collect(),
            })
        }
        .boxed()
    }

    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64> {
        let order = format!("{}:order", self.base(namespace));
        async move { self.line.count(&order).await }.boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.line.close().boxed()
    }
}

/// Adds five arguments: the key, the operation, the expected value, the new value and its lifetime.
fn add(invocation: &mut ScriptInvocation<'_>, key: Vec<u8>, operation: Operation) {
    let expecting = |expected: Option<Vec<u8>>| {
        expected.map_or(Vec::new(), |expected| [&b"="[..], &expected].concat())
    };
    let (word, expected, value) = match operation {
        Operation::Set(value) => ("set", Vec::new(), value),
        Operation::Claim(value) => ("claim", Vec::new(), value),
        Operation::Swap { expected, value } => ("swap", expecting(expected), value),
        Operation::Delete => ("delete", Vec::new(), Value::lasting("")),
        Operation::DeleteIf(expected) => {
            ("delete-if", expecting(Some(expected)), Value::lasting(""))
        }
        Operation::Increment(by) => ("increment", Vec::new(), Value::lasting(by.to_string())),
    };
    let lives = value.lives.map(|lives| lives.as_millis().to_string());
    invocation
        .arg(key)
        .arg(word)
        .arg(expected)
        .arg(value.bytes)
        .arg(lives.unwrap_or_default());
}

fn answer(told: Vec<u8>) -> Result<Answer, StoreFault> {
    let odd = || StoreFault::Failed("its script gave an answer that is none".to_owned());
    let (word, rest) = match told.iter().position(|byte| *byte == b' ') {
        Some(space) => (&told[..space], &told[space + 1..]),
        None => (&told[..], &[][..]),
    };
    match word {
        b"done" => Ok(Answer::Done),
        b"refused" => Ok(Answer::Refused(rest.strip_prefix(b"=").map(<[u8]>::to_vec))),
        b"counted" => {
            let sum = std::str::from_utf8(rest).ok();
            let sum = sum.and_then(|sum| sum.parse().ok()).ok_or_else(odd)?;
            Ok(Answer::Counted(sum))
        }
        _ => Err(odd()),
    }
}
