//! Reads a definitions file of RabbitMQ (`rabbitmqctl export_definitions`) and sets the broker up with it.

use std::collections::BTreeMap;

use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::queue::{Arguments, described};
use crate::routing::{Binding, Destination, Exchange, Kind};
use crate::state::{Made, Password, Permission, Policy, State, User, Vhost};

/// An error in a definitions file. Nothing of the file has been loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct DefinitionsError(pub Vec<String>);

/// A definitions file that can be loaded.
#[derive(Debug, Default)]
pub struct Definitions {
    users: Vec<(String, User)>,
    vhosts: Vec<(String, Option<String>)>,
    permissions: Vec<(String, String, Permission)>,
    policies: Vec<(String, Policy)>,
    exchanges: Vec<(String, Exchange)>,
    queues: Vec<Declared>,
    bindings: Vec<Bound>,
}

#[derive(Debug)]
struct Declared {
    vhost: String,
    name: String,
    durable: bool,
    auto_delete: bool,
    table: FieldTable,
    arguments: Arguments,
}

#[derive(Debug)]
struct Bound {
    vhost: String,
    source: String,
    key: String,
    binding: Binding,
}

impl Definitions {
    /// Parses the text of a file, and reports all of its errors at once.
    pub fn read(text: &str) -> Result<Self, DefinitionsError> {
        let root: Value = serde_json::from_str(text)
            .map_err(|error| DefinitionsError(vec![format!("not JSON: {error}")]))?;
        let mut faults = Vec::new();
        let mut definitions = Self::default();
        let Some(root) = root.as_object() else {
            return Err(DefinitionsError(vec![
                "must be an object with the lists users, vhosts, permissions, policies, exchanges, queues \
                 and bindings"
                    .to_owned(),
            ]));
        };
        // A file that was exported for one vhost names none in its entries.
        let only = root
            .get("vhost")
            .or_else(|| root.get("original_vhost_name"));
        let only = only.and_then(Value::as_str).unwrap_or("/").to_owned();
        let mut each = |list: &str, read: &mut dyn FnMut(&Item<'_>) -> Result<(), String>| {
            let items = match root.get(list) {
                None => return,
                Some(Value::Array(items)) => items,
                Some(_) => {
                    faults.push(format!("{list}: must be a list"));
                    return;
                }
            };
            for (index, item) in items.iter().enumerate() {
                let result = match item.as_object() {
                    Some(item) => read(&Item {
                        fields: item,
                        vhost: &only,
                    }),
                    None => Err("must be an object".to_owned()),
                };
                if let Err(fault) = result {
                    faults.push(format!("{list}[{index}]: {fault}"));
                }
            }
        };
        each("users", &mut |item| {
            definitions.users.push(item.user()?);
            Ok(())
        });
        each("vhosts", &mut |item| {
            let kind = item.optional_text("default_queue_type")?;
            let kind = kind.filter(|kind| !matches!(*kind, "undefined" | ""));
            let kind = kind.map(str::to_owned);
            definitions
                .vhosts
                .push((item.text("name")?.to_owned(), kind));
            Ok(())
        });
        each("permissions", &mut |item| {
            let permission = Permission {
                configure: item.pattern("configure")?,
                write: item.pattern("write")?,
                read: item.pattern("read")?,
            };
            let user = item.text("user")?.to_owned();
            definitions
                .permissions
                .push((user, item.vhost(), permission));
            Ok(())
        });
        each("policies", &mut |item| {
            definitions.policies.push((item.vhost(), item.policy()?));
            Ok(())
        });
        each("exchanges", &mut |item| {
            definitions.exchanges.push((item.vhost(), item.exchange()?));
            Ok(())
        });
        each("queues", &mut |item| {
            definitions.queues.push(item.queue()?);
            Ok(())
        });
        each("bindings", &mut |item| {
            definitions.bindings.push(item.binding()?);
            Ok(())
        });
        if faults.is_empty() {
            Ok(definitions)
        } else {
            Err(DefinitionsError(faults))
        }
    }

    /// Sets the broker up. What is there already stays as it is.
    pub(crate) fn load(self, state: &mut State) {
        for (name, default_queue_type) in self.vhosts {
            let vhost = state
                .vhosts
                .entry(name.clone())
                .or_insert_with(|| Vhost::new(&name));
            vhost.default_queue_type = default_queue_type;
        }
        for (name, user) in self.users {
            state.users.set(&name, user);
        }
        for (user, vhost, permission) in self.permissions {
            if let Some(user) = state.users.get_mut(&user) {
                let permissions = user.permissions.get_or_insert_default();
                permissions.insert(vhost, permission);
            }
        }
        for (vhost, policy) in self.policies {
            state.set_policy(&vhost, policy);
        }
        for (vhost, exchange) in self.exchanges {
            let is_there = state
                .vhosts
                .get(&vhost)
                .is_none_or(|vhost| vhost.exchanges.contains_key(&*exchange.name));
            if !is_there {
                state.create_exchange(&vhost, exchange);
            }
        }
        for queue in self.queues {
            let is_there = state
                .vhosts
                .get(&queue.vhost)
                .is_none_or(|vhost| vhost.queues.contains_key(&*queue.name));
            if !is_there {
                let made = Made {
                    name: &queue.name,
                    durable: queue.durable,
                    auto_delete: queue.auto_delete,
                    owner: None,
                    table: queue.table,
                };
                state.create_queue(&queue.vhost, made, queue.arguments);
            }
        }
        for bound in self.bindings {
            let exchange = state
                .vhosts
                .get_mut(&bound.vhost)
                .and_then(|vhost| vhost.exchanges.get_mut(&bound.source));
            if let Some(exchange) = exchange {
                // The binding's x-match has been checked when the file was read.
                let _checked = exchange.bind(&bound.key, bound.binding);
            }
        }
        state.settle_down();
    }
}

/// An entry of one of the lists.
struct Item<'a> {
    fields: &'a Map<String, Value>,
    /// The vhost of entries that name none.
    vhost: &'a str,
}

impl Item<'_> {
    fn text(&self, key: &str) -> Result<&str, String> {
        self.optional_text(key)?
            .ok_or_else(|| format!("{key} is missing"))
    }

    fn optional_text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} must be a text")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{key} must be true or false")),
        }
    }

    fn pattern(&self, key: &str) -> Result<Regex, String> {
        Regex::new(self.text(key)?).map_err(|error| format!("{key} is no pattern: {error}"))
    }

    fn vhost(&self) -> String {
        let named = self.fields.get("vhost").and_then(Value::as_str);
        named.unwrap_or(self.vhost).to_owned()
    }

    fn arguments(&self) -> Result<FieldTable, String> {
        match self.fields.get("arguments") {
            None | Some(Value::Null) => Ok(FieldTable::default()),
            Some(Value::Object(object)) => table(object),
            // Some tools write an empty list for an empty object.
            Some(Value::Array(list)) if list.is_empty() => Ok(FieldTable::default()),
            Some(_) => Err("arguments must be an object".to_owned()),
        }
    }

    fn user(&self) -> Result<(String, User), String> {
        let name = self.text("name")?.to_owned();
        let hash = self.optional_text("password_hash")?;
        let password = match (self.optional_text("password")?, hash) {
            (Some(password), _) => Password::Plain(password.to_owned()),
            (None, Some(hash)) => {
                let algorithm = self.optional_text("hashing_algorithm")?;
                if algorithm.is_some_and(|name| name != "rabbit_password_hashing_sha256") {
                    return Err(
                        "hashing_algorithm must be rabbit_password_hashing_sha256".to_owned()
                    );
                }
                Password::from_hash(hash)
                    .ok_or("password_hash must be base64 of a salt and a SHA-256 hash")?
            }
            (None, None) => Password::None,
        };
        let user = User {
            password,
            permissions: Some(BTreeMap::new()),
            loopback_only: name == "guest",
        };
        Ok((name, user))
    }

    fn policy(&self) -> Result<Policy, String> {
        let apply_to = self.optional_text("apply-to")?.unwrap_or("all");
        let definition = self.fields.get("definition").and_then(Value::as_object);
        Ok(Policy {
            name: self.text("name")?.to_owned(),
            pattern: self.pattern("pattern")?,
            queues: !matches!(apply_to, "exchanges"),
            exchanges: matches!(apply_to, "all" | "exchanges"),
            priority: self
                .fields
                .get("priority")
                .and_then(Value::as_i64)
                .unwrap_or(0),
            definition: definition.ok_or("definition must be an object")?.clone(),
        })
    }

    fn exchange(&self) -> Result<Exchange, String> {
        let kind = Kind::read(self.text("type")?).map_err(|refusal| refusal.explanation)?;
        let mut exchange = Exchange::new(self.text("name")?, kind);
        exchange.durable = self.flag("durable", true)?;
        exchange.auto_delete = self.flag("auto_delete", false)?;
        exchange.internal = self.flag("internal", false)?;
        exchange.arguments = self.arguments()?;
        let alternate = exchange.arguments.inner().get("alternate-exchange");
        exchange.alternate = alternate.and_then(crate::wire::text).map(Into::into);
        Ok(exchange)
    }

    fn queue(&self) -> Result<Declared, String> {
        let (vhost, name) = (self.vhost(), self.text("name")?.to_owned());
        let mut table = self.arguments()?;
        if !table.contains_key("x-queue-type") {
            let kind = self.optional_text("type")?;
            let kind = kind.filter(|kind| matches!(*kind, "quorum" | "stream"));
            let kind = AMQPValue::LongString(kind.unwrap_or("classic").into());
            table.insert("x-queue-type".into(), kind);
        }
        let arguments = Arguments::read(&described(&name, &vhost), &table)
            .map_err(|refusal| refusal.explanation)?;
        Ok(Declared {
            vhost,
            name,
            durable: self.flag("durable", true)?,
            auto_delete: self.flag("auto_delete", false)?,
            table,
            arguments,
        })
    }

    fn binding(&self) -> Result<Bound, String> {
        let destination = self.text("destination")?;
        let destination = match self.optional_text("destination_type")?.unwrap_or("queue") {
            "queue" => Destination::Queue(destination.into()),
            "exchange" => Destination::Exchange(destination.into()),
            other => {
                return Err(format!(
                    "destination_type must be queue or exchange, got {other}"
                ));
            }
        };
        let binding = Binding {
            destination,
            arguments: self.arguments()?,
        };
        let mut probe = Exchange::new("", Kind::Headers);
        probe
            .bind("", binding.clone())
            .map_err(|refusal| refusal.explanation)?;
        Ok(Bound {
            vhost: self.vhost(),
            source: self.text("source")?.to_owned(),
            key: self.optional_text("routing_key")?.unwrap_or("").to_owned(),
            binding,
        })
    }
}

/// A table as RabbitMQ's management makes one from JSON.
fn table(object: &Map<String, Value>) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (key, value) in object {
        let name = ShortString::try_new(key.clone()).map_err(|_| "a name is too long")?;
        table.insert(name, from_json(value)?);
    }
    Ok(table)
}

fn from_json(value: &Value) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => AMQPValue::LongLongInt(whole),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(list) => {
            let values: Vec<AMQPValue> = list.iter().map(from_json).collect::<Result<_, _>>()?;
            AMQPValue::FieldArray(values.into())
        }
        Value::Object(object) => AMQPValue::FieldTable(table(object)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;
    use crate::state::Limits;
    use crate::time::Time;

    fn loaded(text: &str) -> State {
        let mut state = State::new(Limits::default(), Time::from_millis(0));
        Definitions::read(text).unwrap().load(&mut state);
        state
    }

    #[test]
    fn a_file_sets_up_what_it_names() {
        let state = loaded(
            r#"{
            "rabbit_version": "4.3.6",
            "users": [{"name": "ada", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}],
            "vhosts": [{"name": "shop", "default_queue_type": "quorum"}],
            "permissions": [{"user": "ada", "vhost": "shop", "configure": "", "write": "^o", "read": ".*"}],
            "policies": [{"vhost": "shop", "name": "p", "pattern": "^orders$", "apply-to": "queues",
                          "priority": 1, "definition": {"message-ttl": 700}}],
            "exchanges": [{"name": "x", "vhost": "shop", "type": "topic", "durable": true, "auto_delete": false,
                           "internal": false, "arguments": {}}],
            "queues": [{"name": "orders", "vhost": "shop", "durable": true, "auto_delete": false,
                        "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 5}}],
            "bindings": [{"source": "x", "vhost": "shop", "destination": "orders", "destination_type": "queue",
                          "routing_key": "order.#", "arguments": {}}]
            }"#,
        );
        let shop = &state.vhosts["shop"];
        let queue = &state.queues[&shop.queues["orders"]];
        assert_eq!(queue.arguments.delivery_limit, Some(5));
        assert_eq!(queue.arguments.message_ttl, Some(700));
        assert_eq!(
            shop.route(&message("order.new", &Default::default())),
            [queue.id]
        );
        assert!(state.users.may_enter("ada", "shop") && !state.users.may_enter("ada", "/"));
    }

    #[test]
    fn every_fault_of_a_file_is_named_with_its_place() {
        let faults = Definitions::read(
            r#"{"vhosts": {}, "users": [{}], "queues": [{"name": "q", "arguments": {"x-expires": 0}}, 7],
                "exchanges": [{"name": "x", "type": "odd"}], "policies": [{"pattern": "q", "definition": {}}],
                "permissions": [{"user": "a", "configure": "(", "write": "", "read": ""}]}"#,
        )
        .unwrap_err()
        .0;
        let places: Vec<&str> = faults
            .iter()
            .filter_map(|fault| fault.split_once(": ").map(|(place, _)| place))
            .collect();
        assert_eq!(
            places,
            [
                "users[0]",
                "vhosts",
                "permissions[0]",
                "policies[0]",
                "exchanges[0]",
                "queues[0]",
                "queues[1]"
            ]
        );
        assert!(Definitions::read("{").is_err() && Definitions::read("[]").is_err());
    }
}
