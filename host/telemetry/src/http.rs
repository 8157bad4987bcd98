//! What is counted of requests over HTTP.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntGauge};

use super::meters::Meters;

/// The meters of the server.
#[derive(Debug, Clone)]
pub struct HttpTelemetry {
    meters: Arc<Meters>,
    connections: IntGauge,
}

/// The meters of one route.
#[derive(Debug, Clone)]
pub struct HttpRouteTelemetry {
    meters: Arc<Meters>,
    route: Arc<str>,
    seconds: Histogram,
}

/// One connection, counted as long as this is there.
#[derive(Debug)]
pub struct HttpConnection(IntGauge);

impl HttpTelemetry {
    pub(super) fn new(meters: &Arc<Meters>) -> Self {
        Self {
            meters: Arc::clone(meters),
            connections: meters.http_connections.with_label_values(&[] as &[&str]),
        }
    }

    /// The meters of a route, by its name in hive.toml. Requests that none takes are those of the empty name.
    pub fn route(&self, route: &Arc<str>) -> HttpRouteTelemetry {
        HttpRouteTelemetry {
            meters: Arc::clone(&self.meters),
            route: Arc::clone(route),
            seconds: self.meters.http_seconds.with_label_values(&[&**route]),
        }
    }

    /// A client has connected.
    pub fn connected(&self) -> HttpConnection {
        self.connections.inc();
        HttpConnection(self.connections.clone())
    }
}

impl HttpRouteTelemetry {
    /// A request was answered with this status, after this time.
    pub fn answered(&self, status: &str, took: Duration) {
        let labels = [&*self.route, status];
        self.meters.http_requests.with_label_values(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
