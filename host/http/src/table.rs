//! The routes that are served at the moment, each with what it publishes over.

use std::sync::{Arc, Mutex, PoisonError};

use hive_amqp::{Connection, Publisher, StateWatch};
use hive_config::plan::{HttpPlan, HttpRoutePlan, Segment};
use hive_core::rate::Bucket;
use hive_lifecycle::Tasks;
use hive_telemetry::{HttpRouteTelemetry, HttpTelemetry, Role};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::component::Component;
use crate::keys::Keys;
use crate::routing::Path;

/// The consumer of metrics of publications, which has no table.
const PUBLISHES: &str = "(http)";

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Arc<Route>>);

/// What the routes get of the host.
pub trait Helps {
    /// What remembers the idempotency keys of a route, if it asks for that.
    fn keys(&self, route: &HttpRoutePlan, connection: &Connection) -> Option<Arc<dyn Keys>>;

    /// What decides over the requests of a route, if it names a component.
    fn component(
        &self,
        route: &HttpRoutePlan,
        connection: &Arc<Connection>,
    ) -> Option<Arc<dyn Component>>;
}

type Helped = (Option<Arc<dyn Keys>>, Option<Arc<dyn Component>>);

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) plan: HttpRoutePlan,
    pub(crate) connection: Arc<Connection>,
    /// Whether the broker takes publications.
    pub(crate) link: StateWatch,
    pub(crate) publisher: Publisher,
    pub(crate) telemetry: HttpRouteTelemetry,
    /// The keys that were seen, if the route remembers them.
    pub(crate) keys: Option<Arc<dyn Keys>>,
    /// What decides over its requests; `None` if they are published as they are.
    pub(crate) component: Option<Arc<dyn Component>>,
    /// As many as requests may be handled at once.
    pub(crate) turns: Semaphore,
    bucket: Option<Mutex<Bucket>>,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub(crate) enum Found<'p> {
    Route(Arc<Route>, Vec<&'p str>),
    /// The path has routes, with these methods.
    OtherMethods(Vec<&'static str>),
    Nothing,
}

impl Table {
    /// The routes of a plan. One that is the same as before stays, with its rate and its publisher.
    pub(crate) fn of(
        plan: &HttpPlan,
        connection: impl Fn(&str) -> Option<Arc<Connection>>,
        host: &impl Helps,
        before: &Self,
        tasks: &Tasks,
        telemetry: &HttpTelemetry,
    ) -> Self {
        let routes = plan.routes.values().filter_map(|plan| {
            let connection = connection(&plan.connection)?;
            let mut kept = before.0.iter();
            let kept = kept
                .find(|route| route.plan == *plan && Arc::ptr_eq(&route.connection, &connection));
            Some(match kept {
                Some(route) => Arc::clone(route),
                None => {
                    let (keys, component) = (
                        host.keys(plan, &connection),
                        host.component(plan, &connection),
                    );
                    let helped = (keys, component);
                    Arc::new(Route::new(plan, connection, helped, tasks, telemetry))
                }
            })
        });
        let mut routes: Vec<_> = routes.collect();
        // A text before a name: `/api/new` is not captured by `/api/{id}`.
        routes.sort_by_key(|route| order(&route.plan.path));
        Self(routes)
    }

    pub(crate) fn find<'p>(&self, method: &str, path: &'p Path) -> Found<'p> {
        let mut others = Vec::new();
        for route in &self.0 {
            let Some(captured) = path.captured(&route.plan.path) else {
                continue;
            };
            let own = route.plan.method.as_str();
            if own == method {
                return Found::Route(Arc::clone(route), captured);
            }
            if !others.contains(&own) {
                others.push(own);
            }
        }
        match others.is_empty() {
            true => Found::Nothing,
            false => Found::OtherMethods(others),
        }
    }
}

fn order(path: &[Segment]) -> Vec<bool> {
    let path = path.iter();
    path.map(|segment| matches!(segment, Segment::Capture(_)))
        .collect()
}

impl Route {
    fn new(
        plan: &HttpRoutePlan,
        connection: Arc<Connection>,
        (keys, component): Helped,
        tasks: &Tasks,
        telemetry: &HttpTelemetry,
    ) -> Self {
        let now = Instant::now().into_std();
        Self {
            plan: plan.clone(),
            link: connection.state(Role::Publish),
            // A channel of its own: what the broker closes it over is the fault of this route alone.
            publisher: connection.publisher(&plan.name, PUBLISHES, tasks),
            telemetry: telemetry.route(&plan.name),
            bucket: plan.rate.map(|rate| Mutex::new(Bucket::new(&rate, now))),
            turns: Semaphore::new(usize::from(plan.concurrency)),
            connection,
            keys,
            component,
        }
    }

    /// Counts a request against the rate.
    pub(crate) fn take_token(&self, now: Instant) -> Result<(), Refusal> {
        let Some(bucket) = &self.bucket else {
            return Ok(());
        };
        let now = now.into_std();
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let next = bucket.next();
        if next > now {
            let wait = next - now;
            return Err(Refusal::rate(wait.as_secs() + 1));
        }
        bucket.take(now);
        Ok(())
    }
}
