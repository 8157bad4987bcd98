//! Requests over HTTP: the address is bound before anything is consumed, and served once connections are opened.

use std::sync::Arc;

use hive_config::plan::{HttpPlan, Plan};
use hive_core::codes::{Code, Coded};
use hive_http::Listener;

use super::StartFault;
use super::running::Running;

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

/// What holds after a reload: the address and the limits are those of the start, the routes are new.
pub(super) fn reloaded(running: Option<HttpPlan>, new: Option<HttpPlan>) -> Option<HttpPlan> {
    match (running, new) {
        (Some(running), Some(new)) => Some(HttpPlan {
            routes: new.routes,
            ..running
        }),
        (running, _) => running,
    }
}

impl Running {
    /// Serves the routes of the plan over the connections that there are.
    pub(super) fn serve_routes(&self) {
        if let (Some(server), Some(plan)) = (&self.requests, &self.plan.http) {
            server.follow(plan, |name| {
                let linked = self.connections.get(name)?;
                Some(Arc::clone(&linked.connection))
            });
        }
    }
}
