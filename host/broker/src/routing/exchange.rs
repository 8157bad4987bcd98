//! An exchange and its bindings.

use std::collections::BTreeMap;
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use super::{headers, topic};
use crate::message::Message;
use crate::refusal::Refusal;

/// How an exchange chooses among its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    pub(crate) fn read(word: &str) -> Result<Self, Refusal> {
        match word {
            "direct" => Ok(Self::Direct),
            "fanout" => Ok(Self::Fanout),
            "topic" => Ok(Self::Topic),
            "headers" => Ok(Self::Headers),
            other => Err(Refusal::precondition_failed(format!(
                "unknown exchange type '{other}'"
            ))),
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// Where a binding leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Destination {
    Queue(Arc<str>),
    Exchange(Arc<str>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    pub(crate) destination: Destination,
    pub(crate) arguments: FieldTable,
}

/// An exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: FieldTable,
    /// The exchange that gets the messages that no binding matches.
    pub(crate) alternate: Option<Arc<str>>,
    bindings: BTreeMap<String, Vec<Binding>>,
}

impl Exchange {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::default(),
            alternate: None,
            bindings: BTreeMap::new(),
        }
    }

    /// Adds a binding; one that is there already stays as it is.
    pub(crate) fn bind(&mut self, key: &str, binding: Binding) -> Result<(), Refusal> {
        if self.kind == Kind::Headers {
            headers::check(&binding.arguments)?;
        }
        let bindings = self.bindings.entry(key.to_owned()).or_default();
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
        Ok(())
    }

    /// Removes a binding, and says whether it was there.
    pub(crate) fn unbind(&mut self, key: &str, binding: &Binding) -> bool {
        self.retain(|other_key, other| other_key != key || other != binding)
    }

    /// Removes all bindings to a destination, and returns whether there were any.
    pub(crate) fn unbind_all(&mut self, destination: &Destination) -> bool {
        self.retain(|_, binding| binding.destination != *destination)
    }

    fn retain(&mut self, is_kept: impl Fn(&str, &Binding) -> bool) -> bool {
        let before = self.binding_count();
        for (key, bindings) in &mut self.bindings {
            bindings.retain(|binding| is_kept(key, binding));
        }
        self.bindings.retain(|_, bindings| !bindings.is_empty());
        self.binding_count() != before
    }

    pub(crate) fn binding_count(&self) -> usize {
        self.bindings.values().map(Vec::len).sum()
    }

    /// Adds to `found` what the message's keys and headers match.
    pub(crate) fn matching(&self, message: &Message, found: &mut Vec<Destination>) {
        let keys = &message.routing_keys;
        match self.kind {
            Kind::Fanout => self.collect(found, |_, _| true),
            Kind::Direct => {
                for key in keys {
                    let bindings = self.bindings.get(&**key).into_iter().flatten();
                    found.extend(bindings.map(|binding| binding.destination.clone()));
                }
            }
            Kind::Topic => self.collect(found, |pattern, _| {
                keys.iter().any(|key| topic::matches(pattern, key))
            }),
            Kind::Headers => {
                let given = message.properties.headers();
                self.collect(found, |_, binding| {
                    headers::matches(&binding.arguments, &given)
                });
            }
        }
    }

    fn collect(&self, found: &mut Vec<Destination>, is_met: impl Fn(&str, &Binding) -> bool) {
        for (key, bindings) in &self.bindings {
            let met = bindings.iter().filter(|binding| is_met(key, binding));
            found.extend(met.map(|binding| binding.destination.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;

    use super::*;
    use crate::message::tests::message;

    fn to(queue: &str) -> Binding {
        Binding {
            destination: Destination::Queue(queue.into()),
            arguments: FieldTable::default(),
        }
    }

    fn routed(exchange: &Exchange, key: &str) -> Vec<Destination> {
        let mut found = Vec::new();
        exchange.matching(&message(key, &BasicProperties::default()), &mut found);
        found
    }

    #[test]
    fn a_direct_exchange_asks_for_the_key_and_a_fanout_for_nothing() {
        for (kind, expected) in [(Kind::Direct, 1), (Kind::Fanout, 2)] {
            let mut exchange = Exchange::new("x", kind);
            exchange.bind("a", to("one")).unwrap();
            exchange.bind("a", to("one")).unwrap();
            exchange.bind("b", to("two")).unwrap();
            assert_eq!(exchange.binding_count(), 2);
            assert_eq!(routed(&exchange, "a").len(), expected);
        }
    }

    #[test]
    fn bindings_go_one_by_one_or_with_their_destination() {
        let mut exchange = Exchange::new("x", Kind::Direct);
        for key in ["a", "b"] {
            exchange.bind(key, to("q")).unwrap();
        }
        assert!(exchange.unbind("a", &to("q")));
        assert!(!exchange.unbind("a", &to("q")));
        assert!(exchange.unbind_all(&Destination::Queue("q".into())));
        assert_eq!(exchange.binding_count(), 0);
    }
}
