//! How long the host's own parts take for a delivery, and what they allocate: `cargo bench`.
//!
//! No broker takes part: what a delivery costs in all, beside other clients, is `scripts/bench`'s.

mod cost;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hive_core::policy::Outcome;
use hive_host::ledger::Ledger;
use hive_routes::View;

use self::cost::{Cost, cost, cost_of_waiting};
use self::stage::{Stage, routing};

/// A body of usual size.
const BODY: usize = 1024;

#[expect(clippy::print_stdout, reason = "the result of a program")]
fn tell(name: &str, Cost { count, bytes }: Cost) {
    println!("{name}: {count} allocations of {bytes} bytes");
}

fn wire(criterion: &mut Criterion) {
    let name = "take a delivery off the wire";
    tell(name, cost(|| stage::delivery(BODY), stage::received));
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || stage::delivery(BODY),
            stage::received,
            BatchSize::SmallInput,
        );
    });
}

fn dispatch(criterion: &mut Criterion) {
    let envelope = stage::envelope(BODY);
    for instances in ["reuse", "fresh"] {
        let stage = Stage::new();
        let generation = stage.generation(&format!("instances = \"{instances}\""));
        let name = format!("call, instances = \"{instances}\"");
        let call = |_| stage::handled(&generation, &envelope);
        tell(&name, cost_of_waiting(stage.runtime(), call));
        criterion.bench_function(&name, |bencher| {
            bencher.to_async(stage.runtime()).iter(|| call(0));
        });
    }
}

fn policy(criterion: &mut Criterion) {
    let retry = stage::retry_policy();
    let failed = || Outcome::Failed("no such customer".to_owned());
    let decided = |outcome| stage::decided(outcome, &retry);
    let name = "decide on a failure";
    tell(name, cost(failed, decided));
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(failed, decided, BatchSize::SmallInput);
    });
}

fn routes(criterion: &mut Criterion) {
    let stage = Stage::new();
    let order = routing::order();
    let size = order.message.body.len();
    let parsed = View::of(&order);
    for (name, taken) in [("ack", routing::ACK), ("publish", routing::PUBLISH)] {
        let routes = routing::routes(&stage, taken);
        routes.decide(&parsed);
        let name = format!("decide by three routes to {name}, {size} bytes of JSON parsed before");
        tell(&name, cost(|| (), |()| routes.decide(&parsed)));
        criterion.bench_function(&name, |bencher| bencher.iter(|| routes.decide(&parsed)));
    }
    let routes = routing::routes(&stage, routing::ACK);
    let name = format!("parse {size} bytes of JSON, and decide by three routes to ack");
    tell(&name, cost(|| (), |()| routes.answer(&order)));
    criterion.bench_function(&name, |bencher| bencher.iter(|| routes.answer(&order)));
}

fn ledgers(criterion: &mut Criterion) {
    let stage = Stage::new();
    ledger(criterion, &stage, "in memory", &stage.ledger_in_memory());
    ledger(criterion, &stage, "in a file", &stage.ledger_in_a_file());
}

fn ledger(criterion: &mut Criterion, stage: &Stage, place: &str, ledger: &Arc<Ledger>) {
    let name = format!("claim a key and commit it, {place}");
    let next = AtomicU64::new(0);
    // With the making of the message, which is the same for both.
    let remember = || async {
        let number = next.fetch_add(1, Ordering::Relaxed);
        stage::remembered(ledger, &stage::numbered(number)).await;
    };
    tell(&name, cost_of_waiting(stage.runtime(), |_| remember()));
    criterion.bench_function(&name, |bencher| {
        bencher.to_async(stage.runtime()).iter(remember);
    });
}

fn config(criterion: &mut Criterion) {
    let stage = Stage::new();
    let path = stage.hive_toml("", "prefetch = 50\nconcurrency = 4");
    let name = "read a hive.toml";
    tell(name, cost(|| (), |()| stage::plan(&path)));
    criterion.bench_function(name, |bencher| bencher.iter(|| stage::plan(&path)));
}

criterion_group!(benches, wire, dispatch, policy, routes, ledgers, config);
criterion_main!(benches);
