//! The methods of the class `queue`, and how a queue begins and ends.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, queue as wire};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::State;
use super::input::At;
use super::publishing::REPLY_TO;
use super::users::Access;
use super::vhost::{Policy, exchange_called};
use crate::queue::{Arguments, Queue, QueueId, QueueKind, assert_equivalent, described};
use crate::refusal::Refusal;
use crate::routing::Destination;

impl State {
    pub(super) fn queue_method(&mut self, at: At, method: wire::AMQPMethod) -> Result<(), Refusal> {
        use wire::AMQPMethod as Method;
        match method {
            Method::Declare(declare) => self.declare_queue(at, declare),
            Method::Bind(bind) => {
                let queue = self.queue_name(at, bind.queue.as_str())?;
                let is_short =
                    bind.queue.as_str().is_empty() && bind.routing_key.as_str().is_empty();
                let key = if is_short {
                    queue.clone()
                } else {
                    bind.routing_key.as_str().to_owned()
                };
                let destination = Destination::Queue(queue.into());
                self.bind(
                    at,
                    bind.exchange.as_str(),
                    destination,
                    &key,
                    bind.arguments,
                )?;
                if !bind.nowait {
                    self.reply_queue(at, Method::BindOk(wire::BindOk {}));
                }
                Ok(())
            }
            Method::Unbind(unbind) => {
                let queue = self.queue_name(at, unbind.queue.as_str())?;
                let destination = Destination::Queue(queue.into());
                let (source, key) = (unbind.exchange.as_str(), unbind.routing_key.as_str());
                self.unbind(at, source, destination, key, unbind.arguments)?;
                self.reply_queue(at, Method::UnbindOk(wire::UnbindOk {}));
                Ok(())
            }
            Method::Purge(purge) => self.purge_queue(at, &purge),
            Method::Delete(delete) => self.delete(at, &delete),
            _ => Err(Refusal::command_invalid("unimplemented method")),
        }
    }

    fn reply_queue(&mut self, at: At, method: wire::AMQPMethod) {
        if let Some(connection) = self.connections.get_mut(&at.connection) {
            connection.send(at.channel, AMQPClass::Queue(method));
        }
    }

    /// The queue that a method means: where it names none, the one that the channel declared last.
    pub(super) fn queue_name(&mut self, at: At, asked: &str) -> Result<String, Refusal> {
        if !asked.is_empty() {
            return Ok(without_line_ends(asked));
        }
        match self.channel_mut(at) {
            Some(channel) if !channel.last_queue.is_empty() => Ok(channel.last_queue.clone()),
            _ => Err(Refusal::not_found("no previously declared queue")),
        }
    }

    pub(super) fn vhost_of(&self, at: At) -> Arc<str> {
        let connection = self.connections.get(&at.connection);
        connection.map_or_else(|| "".into(), |connection| connection.vhost.clone())
    }

    pub(crate) fn queue_id(&self, vhost: &str, name: &str) -> Option<QueueId> {
        self.vhosts.get(vhost)?.queues.get(name).copied()
    }

    /// Deletes a queue for nobody; false where there is none of that name.
    pub(crate) fn delete_from_inside(&mut self, vhost: &str, name: &str) -> bool {
        let found = self.queue_id(vhost, name);
        found.map(|id| self.delete_queue(id)).is_some()
    }

    /// The queue of that name, if this connection may use it.
    pub(super) fn accessible_queue(
        &mut self,
        at: At,
        name: &str,
    ) -> Result<Option<&mut Queue>, Refusal> {
        let vhost = self.vhost_of(at);
        let Some(id) = self.queue_id(&vhost, name) else {
            return Err(Refusal::not_found(format!(
                "no {}",
                described(name, &vhost)
            )));
        };
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(None);
        };
        if queue.owner.is_some_and(|owner| owner != at.connection) {
            return Err(locked(queue));
        }
        Ok(Some(queue))
    }

    fn declare_queue(&mut self, at: At, mut declare: wire::Declare) -> Result<(), Refusal> {
        let mut name = without_line_ends(declare.queue.as_str());
        let vhost = self.vhost_of(at);
        if name.starts_with(REPLY_TO) {
            // A requester that asks for its reply queue wants to know whether a client still waits for the
            // reply.
            if !self.replies.contains_key(&*name) {
                return Err(Refusal::not_found(format!(
                    "no {}",
                    described(&name, &vhost)
                )));
            }
            self.declared(at, &name, (0, 1), declare.nowait);
            return Ok(());
        }
        let now = self.now;
        if declare.passive {
            self.check_any_access(at, &name)?;
            if let Some(queue) = self.accessible_queue(at, &name)? {
                queue.touch(now);
                let counts = (queue.ready_count(), queue.consumer_count());
                self.declared(at, &name, counts, declare.nowait);
            }
            return Ok(());
        }
        self.augment(&vhost, &mut declare);
        if name.is_empty() {
            name = self.fresh_name("amq.gen-");
        } else if name.starts_with("amq.") && self.queue_id(&vhost, &name).is_none() {
            return Err(Refusal::access_refused(format!(
                "queue name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        self.check_access(at, Access::Configure, &name, true)?;
        let owner = declare.exclusive.then_some(at.connection);
        let durable = declare.durable && !declare.exclusive;
        if let Some(id) = self.queue_id(&vhost, &name) {
            let Some(queue) = self.queues.get_mut(&id) else {
                return Ok(());
            };
            assert_same(queue, durable, owner, &declare)?;
            queue.touch(now);
            let counts = (queue.ready_count(), queue.consumer_count());
            self.declared(at, &name, counts, declare.nowait);
            return Ok(());
        }
        let called = described(&name, &vhost);
        let arguments = Arguments::read(&called, &declare.arguments)?;
        if arguments.kind != QueueKind::Classic {
            let properties = [
                ("auto-delete", declare.auto_delete),
                ("exclusive-owner", declare.exclusive),
                ("non-durable", !durable),
            ];
            if let Some((wrong, _)) = properties.into_iter().find(|(_, is_set)| *is_set) {
                return Err(Refusal::precondition_failed(format!(
                    "invalid property '{wrong}' for {called}"
                )));
            }
        }
        if let Some(exchange) = &arguments.dead_letter_exchange {
            self.check_access(at, Access::Read, &name, true)?;
            self.check_access(at, Access::Write, exchange, false)?;
        }
        let made = Made {
            name: &name,
            durable,
            auto_delete: declare.auto_delete,
            owner,
            table: declare.arguments,
        };
        self.create_queue(&vhost, made, arguments);
        self.declared(at, &name, (0, 0), declare.nowait);
        Ok(())
    }

    /// Adds the kind of a queue that does not say, as RabbitMQ does before it compares.
    fn augment(&self, vhost: &str, declare: &mut wire::Declare) {
        if declare.arguments.contains_key("x-queue-type") {
            return;
        }
        let default = self
            .vhosts
            .get(vhost)
            .and_then(|vhost| vhost.default_queue_type.as_deref());
        let is_possible = declare.durable && !declare.exclusive && !declare.auto_delete;
        let kind = default.filter(|_| is_possible).unwrap_or("classic");
        let kind = AMQPValue::LongString(kind.into());
        declare.arguments.insert("x-queue-type".into(), kind);
    }

    pub(crate) fn create_queue(&mut self, vhost: &str, made: Made<'_>, arguments: Arguments) {
        let id = QueueId(self.fresh());
        let now = self.now;
        let Some(vhost) = self.vhosts.get_mut(vhost) else {
            return;
        };
        let name: Arc<str> = made.name.into();
        let mut queue = Queue::new(id, &vhost.name, &name, arguments, now);
        queue.has_acks_written_after(self.limits.acks_written_after);
        queue.apply(vhost.policy(made.name, true));
        queue.durable = made.durable;
        queue.auto_delete = made.auto_delete;
        queue.owner = made.owner;
        queue.table = made.table;
        vhost.queues.insert(name, id);
        self.queues.insert(id, queue);
        self.stir(id);
    }

    /// Puts a policy in the place of one of the same name, or of none. Queues that are there follow it.
    pub(crate) fn set_policy(&mut self, vhost: &str, policy: Policy) {
        if let Some(found) = self.vhosts.get_mut(vhost) {
            found.policies.retain(|other| other.name != policy.name);
            found.policies.push(policy);
            self.apply_policies(vhost);
        }
    }

    /// Removes a policy; `false` where there is none.
    pub(crate) fn remove_policy(&mut self, vhost: &str, name: &str) -> bool {
        let Some(found) = self.vhosts.get_mut(vhost) else {
            return false;
        };
        let before = found.policies.len();
        found.policies.retain(|policy| policy.name != name);
        let is_removed = found.policies.len() < before;
        self.apply_policies(vhost);
        is_removed
    }

    fn apply_policies(&mut self, vhost: &str) {
        let Some(vhost) = self.vhosts.get(vhost) else {
            return;
        };
        for (name, id) in &vhost.queues {
            if let Some(queue) = self.queues.get_mut(id) {
                queue.apply(vhost.policy(name, true));
                self.stirred.push_back(*id);
            }
        }
    }

    fn declared(&mut self, at: At, name: &str, (ready, consumers): (usize, usize), nowait: bool) {
        if let Some(channel) = self.channel_mut(at) {
            name.clone_into(&mut channel.last_queue);
        }
        if !nowait {
            let ok = wire::DeclareOk {
                queue: name.into(),
                message_count: ready as u32,
                consumer_count: consumers as u32,
            };
            self.reply_queue(at, wire::AMQPMethod::DeclareOk(ok));
        }
    }

    fn purge_queue(&mut self, at: At, purge: &wire::Purge) -> Result<(), Refusal> {
        let name = self.queue_name(at, purge.queue.as_str())?;
        self.check_access(at, Access::Read, &name, true)?;
        let Some(queue) = self.accessible_queue(at, &name)? else {
            return Ok(());
        };
        if queue.is_stream() {
            return Err(Refusal::not_implemented(format!(
                "queue.purge not supported by stream queues {}",
                queue.described()
            )));
        }
        let message_count = queue.purge() as u32;
        if !purge.nowait {
            self.reply_queue(
                at,
                wire::AMQPMethod::PurgeOk(wire::PurgeOk { message_count }),
            );
        }
        Ok(())
    }

    fn delete(&mut self, at: At, delete: &wire::Delete) -> Result<(), Refusal> {
        let name = self.queue_name(at, delete.queue.as_str())?;
        self.check_access(at, Access::Configure, &name, true)?;
        let mut message_count = 0;
        if self.queue_id(&self.vhost_of(at), &name).is_some()
            && let Some(queue) = self.accessible_queue(at, &name)?
        {
            let called = queue.described();
            if queue.arguments.kind == QueueKind::Quorum {
                let flags = [
                    ("if-unused", delete.if_unused),
                    ("if-empty", delete.if_empty),
                ];
                if let Some((flag, _)) = flags.into_iter().find(|(_, is_set)| *is_set) {
                    return Err(Refusal::not_implemented(format!(
                        "cannot delete {called}. queue.delete operations with {flag} flag set are not \
                         supported by quorum queues"
                    )));
                }
            }
            if delete.if_unused && queue.consumer_count() > 0 {
                return Err(Refusal::precondition_failed(format!("{called} in use")));
            }
            if delete.if_empty && queue.ready_count() > 0 {
                return Err(Refusal::precondition_failed(format!("{called} not empty")));
            }
            message_count = queue.ready_count() as u32;
            let id = queue.id;
            self.delete_queue(id);
        }
        if !delete.nowait {
            let ok = wire::DeleteOk { message_count };
            self.reply_queue(at, wire::AMQPMethod::DeleteOk(ok));
        }
        Ok(())
    }

    /// Deletes a queue with its messages and bindings, and cancels its consumers.
    pub(crate) fn delete_queue(&mut self, id: QueueId) {
        let Some(queue) = self.queues.remove(&id) else {
            return;
        };
        if let Some(vhost) = self.vhosts.get_mut(&*queue.vhost) {
            vhost.queues.remove(&queue.name);
            vhost.forget(Destination::Queue(queue.name.clone()));
        }
        for consumer in queue.consumers() {
            self.cancel_from_here(&consumer.key);
        }
        let (owed, others) = std::mem::take(&mut self.withheld)
            .into_iter()
            .partition::<Vec<_>, _>(|(queue, ..)| *queue == id);
        self.withheld = others;
        // RabbitMQ takes a message as handled whose queue is gone.
        for (_, key, number) in owed {
            self.confirm(key, Some(number), true);
        }
    }

    /// Refuses what the client's user has no permission for.
    pub(super) fn check_access(
        &self,
        at: At,
        access: Access,
        name: &str,
        is_queue: bool,
    ) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(&at.connection) else {
            return Ok(());
        };
        let vhost = &connection.vhost;
        let resource = match (is_queue, name) {
            (false, "") => "amq.default",
            (_, name) => name,
        };
        if self.users.may(&connection.user, vhost, access, resource) {
            return Ok(());
        }
        let called = if is_queue {
            described(name, vhost)
        } else {
            exchange_called(name, vhost)
        };
        Err(Refusal::access_refused(format!(
            "{} access to {called} refused for user '{}'",
            access.word(),
            connection.user
        )))
    }

    fn check_any_access(&self, at: At, name: &str) -> Result<(), Refusal> {
        let all = [Access::Configure, Access::Write, Access::Read];
        let mut last = Ok(());
        for access in all {
            last = self.check_access(at, access, name, true);
            if last.is_ok() {
                break;
            }
        }
        last
    }
}

/// The properties of a new queue.
pub(crate) struct Made<'a> {
    pub(crate) name: &'a str,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) owner: Option<u64>,
    pub(crate) table: FieldTable,
}

fn locked(queue: &Queue) -> Refusal {
    Refusal::resource_locked(format!(
        "cannot obtain exclusive access to locked {}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration.",
        queue.described()
    ))
}

/// Refuses a declaration that is not what the queue is.
fn assert_same(
    queue: &Queue,
    durable: bool,
    owner: Option<u64>,
    declare: &wire::Declare,
) -> Result<(), Refusal> {
    if queue.owner != owner {
        return Err(locked(queue));
    }
    let called = queue.described();
    same_flag("durable", &called, durable, queue.durable)?;
    same_flag(
        "auto_delete",
        &called,
        declare.auto_delete,
        queue.auto_delete,
    )?;
    let kind = queue.arguments.kind;
    assert_equivalent(&called, kind, &queue.table, &declare.arguments)
}

/// Refuses a flag that is not what the queue or exchange has.
pub(super) fn same_flag(
    flag: &str,
    called: &str,
    received: bool,
    current: bool,
) -> Result<(), Refusal> {
    if received == current {
        return Ok(());
    }
    Err(Refusal::precondition_failed(format!(
        "inequivalent arg '{flag}' for {called}: received '{received}' but current is '{current}'"
    )))
}

/// RabbitMQ takes line ends out of names.
pub(super) fn without_line_ends(name: &str) -> String {
    name.replace(['\r', '\n'], "")
}
