//! What a schedule publishes: its firings, and its tokens.

use std::sync::Arc;

use hive_amqp::{Connection, Outgoing, PublishFault, Publisher};
use hive_config::plan::SchedulePlan;
use hive_core::codes::{Code, Reason};
use hive_core::message::{FieldValue, Message, Properties, Publication};
use hive_lifecycle::Tasks;
use hive_schedules::{Moment, Token, message_id};

use crate::random;

/// The metrics of publications name schedules so, whose names consumers may have too.
const PUBLISHES: &str = "schedules";

/// Publishes for one schedule.
pub(super) struct Firing {
    plan: Arc<SchedulePlan>,
    connection: Arc<Connection>,
    /// A channel of its own each: what the broker closes one over does not touch the other.
    messages: Publisher,
    tokens: Publisher,
}

impl Firing {
    pub(super) fn new(
        plan: &Arc<SchedulePlan>,
        connection: &Arc<Connection>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            connection: Arc::clone(connection),
            messages: connection.publisher(&plan.name, PUBLISHES, tasks),
            tokens: connection.publisher(&plan.queue(), PUBLISHES, tasks),
        }
    }

    /// Publishes the firing that was planned for this time. It resolves when the broker has it.
    pub(super) async fn publish(&self, planned: Moment) -> Result<(), Reason> {
        let id = message_id(&self.plan.name, planned);
        let publication = message(&self.plan, planned);
        self.confirmed(&self.messages, publication, &id).await
    }

    /// Publishes a token to the schedule's own queue.
    pub(super) async fn publish_token(&self, queue: &str, token: &Token) -> Result<(), Reason> {
        let message = Message {
            properties: Properties {
                content_type: Some("application/json".to_owned()),
                persistent: true,
                ..Properties::default()
            },
            body: token.body().into(),
        };
        let publication = Publication {
            exchange: String::new(),
            routing_key: queue.to_owned(),
            message,
            mandatory: true,
            delay: None,
        };
        self.confirmed(&self.tokens, publication, &token.id).await
    }

    async fn confirmed(
        &self,
        publisher: &Publisher,
        mut publication: Publication,
        id: &str,
    ) -> Result<(), Reason> {
        let limits = self.connection.publish_limits();
        let outgoing = Outgoing::publication(&mut publication, id, &limits);
        let outgoing = outgoing.map_err(|error| Reason::new(Code::ScheduleUnpublished, error))?;
        let confirmed = publisher.publish(vec![outgoing]).await.await;
        confirmed.map_err(|fault| reason(&fault))
    }
}

/// The message of a firing.
pub(crate) fn message(plan: &SchedulePlan, planned: Moment) -> Publication {
    let publish = &plan.publish;
    let headers = publish.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), FieldValue::Text(value.clone())));
    Publication {
        exchange: publish.exchange.to_string(),
        routing_key: publish.routing_key.to_string(),
        message: Message {
            properties: Properties {
                content_type: Some(publish.content_type.to_string()),
                headers: headers.collect(),
                persistent: true,
                timestamp: Some(planned.seconds()),
                ..Properties::default()
            },
            body: publish.body.to_string().into(),
        },
        mandatory: true,
        delay: None,
    }
}

/// The id of a firing by hand, which is none of a planned time.
pub(crate) fn run_id(schedule: &str) -> String {
    format!("schedule:{schedule}:run:{}", random::id())
}

fn reason(fault: &PublishFault) -> Reason {
    match fault {
        PublishFault::Unroutable { text, .. } => Reason::new(
            Code::ScheduleUnpublished,
            format_args!("no queue takes it ({text})"),
        ),
        PublishFault::Refused { text, .. } => Reason::new(Code::ScheduleUnpublished, text),
        fault => Reason::from(fault.to_string()),
    }
}
