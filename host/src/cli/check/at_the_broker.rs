//! Compares the exchanges and queues of a plan with those at its brokers.

use hive_amqp::Comparison;
use hive_config::plan::{ConnectionPlan, Plan};
use hive_core::codes::Coded;

use crate::cli::Exit;
use crate::cli::broker::Broker;

/// The result for one connection.
pub(super) struct Compared {
    /// The connection's name.
    pub(super) connection: String,
    pub(super) vhost: String,
    /// Or why it could not be compared.
    pub(super) found: Result<Comparison, Coded>,
}

/// Asks the broker of each connection.
pub(super) async fn compare(plan: &Plan) -> Result<Vec<Compared>, Exit> {
    let mut all = Vec::new();
    for connection in plan.connections.values() {
        all.push(Compared {
            connection: connection.name.to_string(),
            vhost: connection.vhost.clone(),
            found: compare_one(plan, connection).await?,
        });
    }
    Ok(all)
}

async fn compare_one(
    plan: &Plan,
    connection: &ConnectionPlan,
) -> Result<Result<Comparison, Coded>, Exit> {
    let broker = Broker::connect(connection, "hive-host check")?;
    let consumers = plan.consumers.values();
    let consumers = consumers.filter(|consumer| consumer.connection == connection.name);
    let found = broker.connection.compare(connection, consumers).await;
    broker.leave().await;
    Ok(found.map_err(|fault| Coded::new(fault.code(), &fault)))
}
