//! The methods of the class `exchange`, and bindings of both kinds.

use amq_protocol::protocol::{AMQPClass, exchange as wire};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::State;
use super::input::At;
use super::publishing::REPLY_TO;
use super::queues::{same_flag, without_line_ends};
use super::users::Access;
use super::vhost::exchange_called;
use crate::queue::described;
use crate::refusal::Refusal;
use crate::routing::{Binding, Destination, Exchange, Kind};
use crate::wire::{described as value_described, kind_of, text};

impl State {
    pub(super) fn exchange_method(
        &mut self,
        at: At,
        method: wire::AMQPMethod,
    ) -> Result<(), Refusal> {
        use wire::AMQPMethod as Method;
        let (ok, nowait) = match method {
            Method::Declare(declare) => {
                self.declare_exchange(at, &declare)?;
                (Method::DeclareOk(wire::DeclareOk {}), declare.nowait)
            }
            Method::Delete(delete) => {
                self.delete_exchange(at, &delete)?;
                (Method::DeleteOk(wire::DeleteOk {}), delete.nowait)
            }
            Method::Bind(bind) => {
                let destination = Destination::Exchange(bind.destination.as_str().into());
                let (source, key) = (bind.source.as_str(), bind.routing_key.as_str());
                self.bind(at, source, destination, key, bind.arguments)?;
                (Method::BindOk(wire::BindOk {}), bind.nowait)
            }
            Method::Unbind(unbind) => {
                let destination = Destination::Exchange(unbind.destination.as_str().into());
                let (source, key) = (unbind.source.as_str(), unbind.routing_key.as_str());
                self.unbind(at, source, destination, key, unbind.arguments)?;
                (Method::UnbindOk(wire::UnbindOk {}), unbind.nowait)
            }
            _ => return Err(Refusal::command_invalid("unimplemented method")),
        };
        if !nowait && let Some(connection) = self.connections.get_mut(&at.connection) {
            connection.send(at.channel, AMQPClass::Exchange(ok));
        }
        Ok(())
    }

    fn declare_exchange(&mut self, at: At, declare: &wire::Declare) -> Result<(), Refusal> {
        let name = without_line_ends(declare.exchange.as_str());
        let vhost_name = self.vhost_of(at);
        let called = exchange_called(&name, &vhost_name);
        if declare.passive {
            not_default(&name)?;
            let vhost = self.vhosts.get(&*vhost_name);
            return vhost.map_or(Ok(()), |vhost| vhost.exchange(&name).map(|_| ()));
        }
        let kind = Kind::read(declare.kind.as_str())?;
        not_default(&name)?;
        self.check_access(at, Access::Configure, &name, false)?;
        let Some(vhost) = self.vhosts.get(&*vhost_name) else {
            return Ok(());
        };
        if let Some(exchange) = vhost.exchanges.get(&name) {
            return assert_same(exchange, &called, kind, declare);
        }
        if name.starts_with("amq.") {
            return Err(Refusal::access_refused(format!(
                "exchange name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        let alternate = match declare.arguments.inner().get("alternate-exchange") {
            None => None,
            Some(value) => Some(text(value).ok_or_else(|| {
                Refusal::precondition_failed(format!(
                    "invalid type '{}' for arg 'alternate-exchange' in {called}",
                    kind_of(value)
                ))
            })?),
        };
        if let Some(alternate) = &alternate {
            self.check_access(at, Access::Read, &name, false)?;
            self.check_access(at, Access::Write, alternate, false)?;
        }
        let mut exchange = Exchange::new(&name, kind);
        exchange.durable = declare.durable;
        exchange.auto_delete = declare.auto_delete;
        exchange.internal = declare.internal;
        exchange.arguments = declare.arguments.clone();
        exchange.alternate = alternate.map(Into::into);
        self.create_exchange(&vhost_name, exchange);
        Ok(())
    }

    pub(crate) fn create_exchange(&mut self, vhost: &str, mut exchange: Exchange) {
        let Some(vhost) = self.vhosts.get_mut(vhost) else {
            return;
        };
        if exchange.alternate.is_none() {
            let policy = vhost.policy(&exchange.name, false);
            let alternate = policy.and_then(|policy| policy.get("alternate-exchange"));
            exchange.alternate = alternate
                .and_then(serde_json::Value::as_str)
                .map(Into::into);
        }
        vhost.exchanges.insert(exchange.name.to_string(), exchange);
    }

    fn delete_exchange(&mut self, at: At, delete: &wire::Delete) -> Result<(), Refusal> {
        let name = without_line_ends(delete.exchange.as_str());
        not_default(&name)?;
        let vhost_name = self.vhost_of(at);
        let called = exchange_called(&name, &vhost_name);
        if name.starts_with("amq.") {
            return Err(Refusal::access_refused(format!(
                "deletion of system {called} not allowed"
            )));
        }
        self.check_access(at, Access::Configure, &name, false)?;
        let Some(vhost) = self.vhosts.get_mut(&*vhost_name) else {
            return Ok(());
        };
        let Some(exchange) = vhost.exchanges.get(&name) else {
            return Ok(());
        };
        if delete.if_unused && exchange.binding_count() > 0 {
            return Err(Refusal::precondition_failed(format!("{called} in use")));
        }
        vhost.delete_exchange(&name);
        Ok(())
    }

    pub(super) fn bind(
        &mut self,
        at: At,
        source: &str,
        destination: Destination,
        key: &str,
        arguments: FieldTable,
    ) -> Result<(), Refusal> {
        self.check_binding(at, source, &destination)?;
        let vhost_name = self.vhost_of(at);
        self.check_destination(at, source, &destination)?;
        let Some(vhost) = self.vhosts.get_mut(&*vhost_name) else {
            return Ok(());
        };
        let Some(exchange) = vhost.exchanges.get_mut(source) else {
            return Err(vhost.no_exchange(source));
        };
        let binding = Binding {
            destination,
            arguments,
        };
        exchange.bind(key, binding)
    }

    pub(super) fn unbind(
        &mut self,
        at: At,
        source: &str,
        destination: Destination,
        key: &str,
        arguments: FieldTable,
    ) -> Result<(), Refusal> {
        self.check_binding(at, source, &destination)?;
        let vhost_name = self.vhost_of(at);
        let Some(vhost) = self.vhosts.get_mut(&*vhost_name) else {
            return Ok(());
        };
        let Some(exchange) = vhost.exchanges.get_mut(source) else {
            return Ok(());
        };
        let binding = Binding {
            destination,
            arguments,
        };
        let was_bound = exchange.unbind(key, &binding);
        if was_bound && exchange.auto_delete && exchange.binding_count() == 0 {
            let name = exchange.name.clone();
            vhost.exchanges.remove(&*name);
            vhost.forget(Destination::Exchange(name));
        }
        Ok(())
    }

    /// Whether the client may bind these two at all.
    fn check_binding(
        &self,
        at: At,
        source: &str,
        destination: &Destination,
    ) -> Result<(), Refusal> {
        match destination {
            Destination::Queue(name) if name.starts_with(REPLY_TO) => {
                return Err(Refusal::access_refused(
                    "cannot bind or unbind to a volatile (direct reply-to) queue",
                ));
            }
            Destination::Queue(name) => {
                not_default(source)?;
                self.check_access(at, Access::Write, name, true)?;
            }
            Destination::Exchange(name) => {
                not_default(name)?;
                not_default(source)?;
                self.check_access(at, Access::Write, name, false)?;
            }
        }
        self.check_access(at, Access::Read, source, false)
    }

    fn check_destination(
        &mut self,
        at: At,
        source: &str,
        destination: &Destination,
    ) -> Result<(), Refusal> {
        let vhost_name = self.vhost_of(at);
        let Some(vhost) = self.vhosts.get(&*vhost_name) else {
            return Ok(());
        };
        vhost.exchange(source)?;
        match destination {
            Destination::Exchange(name) => vhost.exchange(name).map(|_| ()),
            Destination::Queue(name) if !vhost.queues.contains_key(name) => Err(
                Refusal::not_found(format!("no {}", described(name, &vhost_name))),
            ),
            Destination::Queue(name) => self.accessible_queue(at, name).map(|_| ()),
        }
    }
}

fn not_default(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::access_refused(
            "operation not permitted on the default exchange",
        ));
    }
    Ok(())
}

/// Refuses a declaration that differs from the exchange.
fn assert_same(
    exchange: &Exchange,
    called: &str,
    kind: Kind,
    declare: &wire::Declare,
) -> Result<(), Refusal> {
    if exchange.kind != kind {
        return Err(Refusal::precondition_failed(format!(
            "inequivalent arg 'type' for {called}: received '{}' but current is '{}'",
            kind.word(),
            exchange.kind.word()
        )));
    }
    same_flag("durable", called, declare.durable, exchange.durable)?;
    same_flag(
        "auto_delete",
        called,
        declare.auto_delete,
        exchange.auto_delete,
    )?;
    same_flag("internal", called, declare.internal, exchange.internal)?;
    let value = |table: &FieldTable| table.inner().get("alternate-exchange").cloned();
    let (received, current) = (value(&declare.arguments), value(&exchange.arguments));
    if received == current {
        return Ok(());
    }
    let (received, current) = match (&received, &current) {
        (Some(received), Some(current)) => (
            format!("'{}'", value_described(received)),
            format!("'{}'", value_described(current)),
        ),
        (received, current) => (with_type(received.as_ref()), with_type(current.as_ref())),
    };
    Err(Refusal::precondition_failed(format!(
        "inequivalent arg 'alternate-exchange' for {called}: received {received} but current is {current}"
    )))
}

fn with_type(value: Option<&AMQPValue>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| {
            let (text, kind) = (value_described(value), kind_of(value));
            format!("the value '{text}' of type '{kind}'")
        },
    )
}
