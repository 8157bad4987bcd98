//! The way of messages through the host: `/v1/topology`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::Sources;
use super::pulse::Pulse;
use super::wire::TopologyView;
use crate::topology::Graph;

/// The graph at this moment.
pub(super) async fn topology(
    State(sources): State<Sources>,
    Extension(pulse): Extension<Pulse>,
) -> Response {
    let status = (sources.measured)().await;
    let graph = Graph::of(&(sources.plan)(), &status);
    let rates = pulse.rates();
    let view = TopologyView::of(&graph, |consumer, way| rates.get(consumer)?.along(way));
    Json(view).into_response()
}
