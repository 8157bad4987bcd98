//! Requests over HTTP: the address is bound before anything is consumed, and served once connections are opened.

mod handled;
mod remembered;

use std::sync::Arc;

use hive_amqp::Connection;
use hive_config::plan::{HttpPlan, HttpRoutePlan, Plan};
use hive_core::codes::{Code, Coded};
use hive_http::{Component, Helps, Keys, Listener};
use hive_store::{OnDemand, Store};
use hive_telemetry::Remembered;

use super::StartFault;
use super::running::Running;
use crate::ledger::Ledger;
use crate::pipeline::Requesting;

/// The consumer of metrics of publications, which has no table.
const REQUESTS: &str = "(http)";

/// Binds the address of `[http]`, if there is one.
pub(super) async fn bind(plan: &Plan) -> Result<Option<Listener>, StartFault> {
    let Some(HttpPlan { listen, .. }) = &plan.http else {
        return Ok(None);
    };
    let bound = Listener::bind(*listen).await.map_err(|error| {
        let text = format!("requests cannot be taken on {listen}: {error}; change `http.listen`");
        StartFault::Host(Coded::new(Code::HttpPortTaken, text))
    })?;
    Ok(Some(bound))
}

/// What holds after a reload: the address and the limits are those of the start, the routes and the certificate are new.
pub(super) fn reloaded(running: Option<HttpPlan>, new: Option<HttpPlan>) -> Option<HttpPlan> {
    match (running, new) {
        (Some(running), Some(new)) => Some(HttpPlan {
            routes: new.routes,
            tls: new.tls,
            ..running
        }),
        (running, _) => running,
    }
}

impl Helps for Running {
    fn keys(&self, route: &HttpRoutePlan, connection: &Connection) -> Option<Arc<dyn Keys>> {
        let dedup = route.publish_dedup.as_ref()?;
        let store: Arc<dyn Store> = Arc::<OnDemand>::clone(&self.store);
        let tasks = self.tasks.branch();
        let telemetry = self.telemetry.ledger(&route.name, Remembered::Publications);
        let named = (&*route.name, dedup);
        let ledger = Ledger::of_requests(named, connection.vhost(), &store, &tasks, telemetry);
        let keys = self::remembered::Remembered::new(&route.name, ledger, tasks);
        Some(Arc::new(keys))
    }

    fn component(
        &self,
        route: &HttpRoutePlan,
        connection: &Arc<Connection>,
    ) -> Option<Arc<dyn Component>> {
        let slot = self.slots.get(route.component.as_ref()?)?;
        let requester = Requesting::of(&route.name, REQUESTS, connection, &self.tasks);
        Some(Arc::new(self::handled::Handled::new(
            route, slot, requester,
        )))
    }
}

impl Running {
    /// Serves the routes of the plan over the connections that there are.
    pub(super) fn serve_routes(&self) {
        if let (Some(server), Some(plan)) = (&self.requests, &self.plan.http) {
            let connection = |name: &str| {
                let linked = self.connections.get(name)?;
                Some(Arc::clone(&linked.connection))
            };
            server.follow(plan, connection, self);
        }
    }
}
