//! Routes, and an order of 1 KiB for them.

use std::sync::Arc;

use hive_core::message::Envelope;
use hive_routes::Routes;

use super::{Stage, envelope, plan};

/// The size of the order's body.
const BODY: usize = 1024;

/// What the route says that is taken.
pub(crate) const ACK: &str = "ack = true";
/// The same, with a value of the message.
pub(crate) const PUBLISH: &str =
    r#"publish = { exchange = "audit", routing_key = "{{ headers.tenant }}.large" }"#;

/// Routes of a hive.toml: two whose conditions do not hold for the order, and one that is taken and says `taken`.
pub(crate) fn routes(stage: &Stage, taken: &str) -> Arc<Routes> {
    let path = stage.folder.join("routes.toml");
    let text = format!(
        r#"
        [host]
        name = "stage"
        [connections.main]
        url = "amqp://localhost"
        [consumers.audit]
        queue = "orders"
        [[consumers.audit.routes]]
        when = 'headers.tenant == "south" && body.total > 1000'
        reject = "none of the south"
        [[consumers.audit.routes]]
        when = 'size(body.lines) == 0'
        reject = "an order without lines"
        [[consumers.audit.routes]]
        when = 'headers.tenant == "north" && body.total > 1000'
        {taken}
        "#
    );
    std::fs::write(&path, text).expect("the scratch folder takes files");
    let plan = plan(&path);
    let routes = plan.consumers["audit"].handler.routes();
    Arc::clone(routes.expect("it has routes"))
}

/// An order: a JSON body with lines, as long as a usual one, and three headers.
pub(crate) fn order() -> Envelope {
    let mut order = envelope(0);
    let mut lines = String::new();
    let body = |lines: &str| {
        format!(
            r#"{{"id": "o-1", "country": "DE", "total": 1200.5, "lines": [{}]}}"#,
            lines.trim_start_matches(',')
        )
    };
    let mut number = 0;
    loop {
        let line = format!(r#",{{"sku": "k-{number:03}", "count": 2, "cents": 450}}"#);
        if body(&lines).len() + line.len() > BODY {
            break;
        }
        lines.push_str(&line);
        number += 1;
    }
    order.message.body = body(&lines).into();
    order
}
