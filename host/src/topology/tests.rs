//! The graph of a hive.toml, and what the state adds to it.

use std::collections::BTreeSet;

use hive_config::Environment;
use hive_core::codes::{Code, Reason};
use hive_telemetry::{ConnectionState, QueuePurpose, Role};

use super::*;
use crate::status::{ConsumerStatus, Entity, LinkStatus, Misfit, QueueDepth};

const TOML: &str = r##"
[connections.main]
url = "amqp://localhost"

[exchanges.events]
type = "topic"

[exchanges.all]
type = "fanout"
bindings = [{ exchange = "events", routing_key = "#" }]

[queues.orders]
dead_letter_exchange = "all"
bindings = [{ exchange = "events", routing_key = "order.*" }]

[components.orders]
path = "orders.wasm"
allow = { publish = ["events:order.done", ":parcels", "*:audit", ":no-such.*"], request = ["prices:ask"] }

[components.free]
path = "free.wasm"

[consumers.orders]
queue = "orders"
component = "orders"
retry = { delays = ["1s", "1m"] }

[consumers.parcels]
queue = "parcels"
component = "free"

[consumers.copies]
queue = "copies"
retry = "none"
otherwise = "ack"

[[consumers.copies.routes]]
when = "attempt == 1"
publish = { exchange = "events", routing_key = "copy" }

[schedules.nightly]
cron = "0 3 * * *"
publish = { exchange = "", routing_key = "orders" }
"##;

fn plan() -> Plan {
    let folder = tempfile::tempdir().expect("there is room for a file");
    let file = folder.path().join("hive.toml");
    std::fs::write(&file, TOML).expect("it is written");
    match hive_config::load(&file, &Environment::of_process()) {
        Ok(loaded) => loaded.plan,
        Err(problems) => panic!("{problems}"),
    }
}

fn nothing() -> Status {
    Status {
        links: Vec::new(),
        consumers: Vec::new(),
        discoveries: Vec::new(),
        schedules: Vec::new(),
        shared_queues: Vec::new(),
        components: Vec::new(),
    }
}

fn ways(graph: &Graph) -> BTreeSet<String> {
    let edges = graph.edges.iter();
    edges
        .map(|edge| {
            let label = edge.label.as_deref().unwrap_or("-");
            format!("{} {} {} {label}", edge.from, edge.way.as_str(), edge.to)
        })
        .collect()
}

#[test]
fn the_way_of_a_message_is_there_from_the_exchange_to_where_it_is_published() {
    let graph = Graph::of(&plan(), &nothing());
    let ways = ways(&graph);
    for way in [
        "exchange/main/events binding exchange/main/all #",
        "exchange/main/events binding queue/main/orders order.*",
        "queue/main/orders dead_letters exchange/main/all -",
        "queue/main/orders delivers consumer//orders -",
        "consumer//orders handles component//orders -",
        "consumer//orders retries retries/main/orders -",
        "retries/main/orders returns queue/main/orders -",
        "consumer//orders dead_letters queue/main/orders.dead -",
        "component//orders publishes exchange/main/events order.done",
        "component//orders publishes queue/main/parcels -",
        // Too much for edges, and nothing at all.
        "component//orders publishes destination/main/*:audit -",
        "component//orders publishes destination/main/:no-such.* -",
        "component//orders requests exchange/main/prices ask",
        "component//free publishes destination/main/anywhere -",
        "consumer//copies publishes exchange/main/events copy",
        "schedule//nightly publishes queue/main/orders -",
    ] {
        assert!(ways.contains(way), "{way}: {ways:#?}");
    }
    assert!(
        !ways
            .iter()
            .any(|way| way.starts_with("consumer//copies retries"))
    );
    let declared = |kind, name: &str| graph.nodes[&Place::at(kind, &"main".into(), name)].declared;
    assert!(declared(Kind::Queue, "orders.dead") && declared(Kind::Exchange, "all"));
    // hive.toml only names them.
    assert!(!declared(Kind::Queue, "parcels") && !declared(Kind::Exchange, "prices"));
    let retries = Place::at(Kind::Retries, &"main".into(), "orders");
    assert_eq!(graph.nodes[&retries].queues.len(), 2);
}

#[test]
fn what_does_not_fit_is_at_its_node_and_messages_too() {
    let misfit = |entity| Misfit {
        entity,
        reason: Reason::new(Code::ArgumentsDiffer, "it is there with other arguments"),
    };
    let plan = plan();
    let delay = hive_amqp::QueuesBehind::of(&plan.consumers["orders"]).delay[0].clone();
    let depth = |queue: &str, purpose, messages| QueueDepth {
        queue: queue.into(),
        purpose,
        messages,
    };
    let missing = Reason::new(Code::EntityMissing, "no queue 'parcels'");
    let parcels = ConsumerStatus {
        consumer: "parcels".into(),
        queue: "parcels".into(),
        waiting: Some(missing.clone()),
        ..ConsumerStatus::of_orders()
    };
    let orders = ConsumerStatus {
        queue: "orders".into(),
        queues: vec![
            depth("orders", QueuePurpose::Consumed, Ok(7)),
            depth(&delay, QueuePurpose::Delay, Ok(2)),
            depth(
                "orders.dead",
                QueuePurpose::DeadLetter,
                Err("no answer".into()),
            ),
        ],
        ..ConsumerStatus::of_orders()
    };
    let status = Status {
        links: vec![LinkStatus {
            connection: "main".into(),
            role: Role::Consume,
            state: ConnectionState::Open,
            reason: None,
            misfits: vec![
                misfit(Entity::Exchange("events".into())),
                misfit(Entity::Queue(delay)),
                misfit(Entity::Queue("orders.dead".into())),
            ],
        }],
        consumers: vec![orders, parcels],
        ..nothing()
    };
    let graph = Graph::of(&plan, &status);
    let node = |kind, name: &str| &graph.nodes[&Place::at(kind, &"main".into(), name)];
    let wrong = |kind, name: &str| node(kind, name).problems.len();
    assert_eq!(wrong(Kind::Exchange, "events"), 1);
    assert_eq!(wrong(Kind::Exchange, "all"), 0);
    assert_eq!(wrong(Kind::Queue, "orders.dead"), 1);
    assert_eq!(wrong(Kind::Retries, "orders"), 1);
    assert_eq!(node(Kind::Queue, "parcels").problems, [missing]);
    assert_eq!(node(Kind::Queue, "orders").messages, Some(7));
    assert_eq!(node(Kind::Retries, "orders").messages, Some(2));
    // That it is not known is no fault of the entity.
    assert_eq!(node(Kind::Queue, "orders.dead").messages, None);
    let parcels = &graph.nodes[&Place::here(Kind::Consumer, "parcels")];
    assert_eq!(
        (parcels.state, parcels.problems.len()),
        (Some("waiting"), 1)
    );
}
