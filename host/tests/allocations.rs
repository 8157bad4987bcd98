//! What a delivery may allocate on its way through the host, path by path: a ceiling a little above what
//! it did when it was last looked at. Unlike a time it is the same on every machine, so it can fail a
//! build. `-- --nocapture` prints the figures, and `cargo bench` does so beside the times.
//!
//! A ceiling is one or two allocations above what was counted, where there are any, and as many bytes as a third more at the
//! most: room for another standard library or another version of wasmtime, and too little for a further copy of a body.

#[path = "../benches/cost/mod.rs"]
mod cost;
#[path = "../benches/stage/mod.rs"]
#[expect(dead_code, reason = "the benches use all of it")]
mod stage;

use hive_core::policy::Outcome;
use hive_routes::View;

use self::cost::{CALLS, Cost, cost, cost_of_waiting};
use self::stage::{Stage, routing};

/// A body in which one needless copy shows.
const LARGE: usize = 64 * 1024;

/// Fails where a path has become dearer.
#[track_caller]
#[expect(clippy::print_stdout, reason = "figures of the test's output")]
fn assert_within(path: &str, cost: Cost, ceiling: Cost) {
    let Cost { count, bytes } = cost;
    println!(
        "{path}: {count} of {} allocations, {bytes} of {} bytes",
        ceiling.count, ceiling.bytes
    );
    assert!(
        count <= ceiling.count && bytes <= ceiling.bytes,
        "{path} has become dearer: {count} allocations of {bytes} bytes for each delivery, and its \
         ceiling is {} of {} bytes. Take out what allocates anew each time (a clone, a format!, a Box, \
         an Arc), or raise the ceiling here and say in the commit what it buys.",
        ceiling.count,
        ceiling.bytes
    );
}

#[test]
fn taking_a_delivery_off_the_wire() {
    let cost = cost(|| stage::delivery(LARGE), stage::received);
    let ceiling = Cost {
        count: 12,
        bytes: 512,
    };
    assert_within("taking a delivery off the wire", cost, ceiling);
}

#[test]
fn a_call_of_a_warm_instance() {
    let ceiling = Cost {
        count: 3,
        bytes: 512,
    };
    assert_within("a call of a warm instance", call("reuse"), ceiling);
}

#[test]
fn a_call_of_a_fresh_instance() {
    let ceiling = Cost {
        count: 40,
        bytes: 16_500,
    };
    assert_within("a call of a fresh instance", call("fresh"), ceiling);
}

fn call(instances: &str) -> Cost {
    let stage = Stage::new();
    let generation = stage.generation(&format!("instances = \"{instances}\""));
    let envelope = stage::envelope(LARGE);
    cost_of_waiting(stage.runtime(), |_| stage::handled(&generation, &envelope))
}

#[test]
fn a_decision() {
    let retry = stage::retry_policy();
    let none = Cost { count: 0, bytes: 0 };
    let handled = || Outcome::Handled(Vec::new());
    let of_handled = cost(handled, |outcome| stage::decided(outcome, &retry));
    assert_within("the decision on what was handled", of_handled, none);
    let failed = || Outcome::Failed("no such customer".to_owned());
    let of_failed = cost(failed, |outcome| stage::decided(outcome, &retry));
    assert_within("the decision on what failed", of_failed, none);
}

#[test]
fn a_decision_by_routes() {
    let routes = routing::routes(&Stage::new(), routing::ACK);
    let order = routing::order();
    let parsed = View::of(&order);
    routes.decide(&parsed);
    let cost = cost(|| (), |()| routes.decide(&parsed));
    let ceiling = Cost {
        count: 17,
        bytes: 600,
    };
    assert_within("a decision by routes", cost, ceiling);
}

#[test]
fn a_claim_and_its_commit() {
    let stage = Stage::new();
    let ledger = stage.ledger_in_memory();
    let envelopes: Vec<_> = (0..2 * CALLS).map(stage::numbered).collect();
    let mut envelopes = envelopes.iter();
    let cost = cost_of_waiting(stage.runtime(), |_| {
        let envelope = envelopes.next().expect("there is one for each call");
        stage::remembered(&ledger, envelope)
    });
    let ceiling = Cost {
        count: 19,
        bytes: 1_600,
    };
    assert_within("a claim and its commit", cost, ceiling);
}
