//! Compares the exchanges and queues of a plan with those at its brokers, and looks for the queues that match a pattern.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_amqp::Comparison;
use hive_config::plan::{ConnectionPlan, LeftOut, Plan, QueuesSeen, Seen};
use hive_core::codes::Coded;

use crate::app;
use crate::cli::Exit;
use crate::cli::broker::connect;

/// The result for one connection.
pub(super) struct Compared {
    /// The connection's name.
    pub(super) connection: String,
    pub(super) vhost: String,
    /// Or why it could not be compared.
    pub(super) found: Result<Comparison, Coded>,
    /// What the management interface shows for the patterns of this connection, or why it shows nothing; `None` without
    /// a pattern.
    pub(super) discovered: Option<Result<Vec<Matching>, Coded>>,
}

/// The queues that a table with `queues` would consume now.
pub(super) struct Matching {
    /// The table.
    pub(super) consumer: Arc<str>,
    /// The pattern as it is written.
    pub(super) pattern: Arc<str>,
    /// How many there are.
    pub(super) queues: usize,
    /// Those that match and would not be consumed on its account.
    pub(super) left_out: Vec<LeftOut>,
}

/// Asks the broker of each connection.
pub(super) async fn compare(plan: &Plan) -> Result<Vec<Compared>, Exit> {
    let mut all = Vec::new();
    for connection in plan.connections.values() {
        all.push(Compared {
            connection: connection.name.to_string(),
            vhost: connection.vhost.clone(),
            found: compare_one(plan, connection).await?,
            discovered: app::look_for_queues(plan, connection)
                .await
                .map(|looked| match looked {
                    Ok(queues) => Ok(matching(plan, connection, queues)),
                    Err(reason) => Err(Coded::new(reason.code, reason.text)),
                }),
        });
    }
    Ok(all)
}

async fn compare_one(
    plan: &Plan,
    connection: &ConnectionPlan,
) -> Result<Result<Comparison, Coded>, Exit> {
    let broker = connect(connection, "hive-host check")?;
    let consumers = plan.consumers.values();
    let consumers = consumers.filter(|consumer| consumer.connection == connection.name);
    let found = broker.connection.compare(connection, consumers).await;
    broker.leave().await;
    Ok(found.map_err(|fault| Coded::new(fault.code(), &fault)))
}

/// What each pattern of a connection makes of its queues.
fn matching(plan: &Plan, connection: &ConnectionPlan, queues: QueuesSeen) -> Vec<Matching> {
    let seen = Seen::from([(Arc::clone(&connection.name), queues)]);
    let discovered = plan.discovered(&seen, &BTreeMap::new(), usize::MAX);
    let patterns = plan.patterns.iter();
    let patterns = patterns.filter(|(_, pattern)| *pattern.connection() == connection.name);
    let matching = patterns.map(|(table, pattern)| {
        let consumers = discovered.plan.consumers.values();
        let consumers = consumers.filter(|one| one.is_discovered() && one.table == *table);
        let left_out = discovered.left_out.iter();
        Matching {
            consumer: Arc::clone(table),
            pattern: Arc::clone(&pattern.written),
            queues: consumers.count(),
            left_out: left_out
                .filter(|one| one.table == *table)
                .cloned()
                .collect(),
        }
    });
    matching.collect()
}
