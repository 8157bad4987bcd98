//! The state of the host on the graph of its plan: what does not fit, what waits, what is counted.

use std::collections::HashMap;
use std::sync::Arc;

use hive_core::codes::{Code, Reason};
use hive_telemetry::QueuePurpose;

use super::plan::shared;
use super::{Graph, Kind, Place};
use crate::status::{ConsumerStatus, Entity, Misfit, QueueDepth, ScheduleStatus, Status};

impl Graph {
    /// Notes the state on the nodes.
    pub(super) fn observe(&mut self, status: &Status) {
        let delays = self.delay_queues();
        for link in &status.links {
            for misfit in &link.misfits {
                self.misfit(&link.connection, misfit, &delays);
            }
        }
        for consumer in &status.consumers {
            self.consumer_state(consumer, &delays);
        }
        for queue in &status.shared_queues {
            if queue.depth.purpose == QueuePurpose::Delay {
                self.depth(&shared(&queue.connection), &queue.depth);
            }
        }
        for schedule in &status.schedules {
            self.schedule_state(schedule);
        }
    }

    fn delay_queues(&self) -> DelayQueues {
        let nodes = self.nodes.iter();
        let each = nodes.flat_map(|(place, node)| {
            let queues = node.queues.iter();
            queues.map(|queue| {
                let key = (Arc::clone(&place.connection), Arc::clone(queue));
                (key, place.clone())
            })
        });
        DelayQueues(each.collect())
    }

    fn misfit(&mut self, connection: &Arc<str>, misfit: &Misfit, delays: &DelayQueues) {
        let place = match &misfit.entity {
            Entity::Exchange(name) => Place::at(Kind::Exchange, connection, Arc::clone(name)),
            Entity::Queue(name) => delays.place_of(connection, name),
            Entity::SharedDelayQueues => shared(connection),
        };
        self.problem(&place, &misfit.reason);
    }

    fn consumer_state(&mut self, status: &ConsumerStatus, delays: &DelayQueues) {
        let place = Place::here(Kind::Consumer, Arc::clone(&status.consumer));
        let state = status.state();
        if let Some(node) = self.nodes.get_mut(&place) {
            node.state = Some(state);
        }
        let connection = &status.connection;
        if let (Some(reason), "waiting") = (&status.waiting, state) {
            self.problem(&place, reason);
            if reason.code == Some(Code::EntityMissing) {
                let queue = Place::at(Kind::Queue, connection, Arc::clone(&status.queue));
                self.problem(&queue, reason);
            }
        }
        for depth in &status.queues {
            self.depth(&delays.place_of(connection, &depth.queue), depth);
        }
    }

    fn schedule_state(&mut self, status: &ScheduleStatus) {
        let place = Place::here(Kind::Schedule, Arc::clone(&status.schedule));
        if let Some(node) = self.nodes.get_mut(&place) {
            node.state = Some(status.state);
        }
        if let (false, Some(reason)) = (status.is_up(), &status.reason) {
            self.problem(&place, reason);
        }
    }

    /// Adds the messages of one queue to those of its node.
    fn depth(&mut self, place: &Place, depth: &QueueDepth) {
        let Some(node) = self.nodes.get_mut(place) else {
            return;
        };
        match &depth.messages {
            // A dead-letter queue that several consumers share has one number.
            Ok(messages) if node.queues.is_empty() && place.kind == Kind::Queue => {
                node.messages = Some((*messages).into());
            }
            Ok(messages) => {
                node.messages = Some(node.messages.unwrap_or_default() + u64::from(*messages));
            }
            Err(reason) if reason.code.is_some_and(is_of_the_topology) => {
                let reason = reason.clone();
                self.problem(place, &reason);
            }
            Err(_) => {}
        }
    }

    /// One more problem of a node, unless it is known.
    fn problem(&mut self, place: &Place, reason: &Reason) {
        if let Some(node) = self.nodes.get_mut(place)
            && !node.problems.contains(reason)
        {
            node.problems.push(reason.clone());
        }
    }
}

/// By connection and queue, the node that stands for a delay queue of one consumer.
struct DelayQueues(HashMap<(Arc<str>, Arc<str>), Place>);

impl DelayQueues {
    /// The place of a queue: that of the retries it is for, or its own.
    fn place_of(&self, connection: &Arc<str>, queue: &Arc<str>) -> Place {
        let retries = self.0.get(&(Arc::clone(connection), Arc::clone(queue)));
        let own = || Place::at(Kind::Queue, connection, Arc::clone(queue));
        retries.cloned().unwrap_or_else(own)
    }
}

/// Whether an error is about the entity, and not about the connection to it.
fn is_of_the_topology(code: Code) -> bool {
    matches!(
        code,
        Code::ArgumentsDiffer
            | Code::NoRight
            | Code::EntityMissing
            | Code::EntityLocked
            | Code::BrokerBrokeOff
            | Code::DeclarationRefused
            | Code::NameTooLong
            | Code::QueueDiffers
    )
}
