//! How many instructions a delivery may take on its way through the host, path by path: a ceiling a little above what it
//! took when it was last looked at. Like an allocation, and unlike a time, an instruction can fail a build: the number is the
//! same on a busy machine and on a slow one. `-- --nocapture` prints all of them.
//!
//! It is that of an optimised build, also of the component, with this toolchain (rust-toolchain.toml) and these versions of
//! wasmtime and tokio: another one compiles to other instructions, so a ceiling may have to move with it. Each is 3 to 4 %
//! above what was counted, or about 30 instructions where those are more: room for another glibc or valgrind, and for hash
//! tables, whose seeds differ from run to run (by 0.3 % at the most in three runs). On a processor without AVX2 code is
//! compiled, and memory copied, otherwise; a kernel before 6.7 cannot say which pages a fresh instance has written
//! (PAGEMAP_SCAN), so that more of them are cleared.
//!
//! The gate (.ci/run) runs it among its unit tests, with `scripts/test --units`, which fails where there is no valgrind and
//! where the build is not optimised. It takes about four seconds.
//!
//! Not counted is what the kernel does, which a fresh instance has most of. Under valgrind the clock is read by a call of the
//! kernel instead of by code of the process (vDSO), so here it costs nothing. An instruction that repeats itself, as in a
//! copy or a fill of memory, counts each time.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod callgrind;
#[path = "../benches/stage/mod.rs"]
#[expect(dead_code, reason = "the benches use all of it")]
mod stage;

use std::io::Write as _;

use hive_core::policy::Outcome;
use hive_routes::View;

use self::callgrind::{Fault, go, go_waiting};
use self::stage::{Stage, routing};

/// A body of usual size. That a large one is not copied is for tests/allocations.rs to see.
const BODY: usize = 1024;

/// What is counted, and how much it may be.
struct Path {
    name: &'static str,
    ceiling: u64,
    go: fn(),
}

const PATHS: &[Path] = &[
    Path {
        name: "taking a delivery off the wire",
        ceiling: 8_800,
        go: || go(|| stage::delivery(BODY), stage::received),
    },
    Path {
        name: "a call of a warm instance",
        ceiling: 25_200,
        go: || call("reuse"),
    },
    Path {
        name: "a call of a fresh instance",
        ceiling: 109_500,
        go: || call("fresh"),
    },
    Path {
        name: "the decision on what was handled",
        ceiling: 110,
        go: || decision(|| Outcome::Handled(Vec::new())),
    },
    Path {
        name: "the decision on what failed",
        ceiling: 250,
        go: || decision(|| Outcome::Failed("no such customer".to_owned())),
    },
    Path {
        name: "a decision by routes",
        ceiling: 13_400,
        go: decision_by_routes,
    },
    Path {
        name: "a claim and its commit",
        ceiling: 13_700,
        go: claim_and_commit,
    },
];

fn call(instances: &str) {
    let stage = Stage::new();
    let generation = stage.generation(&format!("instances = \"{instances}\""));
    let envelope = stage::envelope(BODY);
    let going = go_waiting(|_| stage::handled(&generation, &envelope));
    stage.runtime().block_on(going);
}

fn decision(outcome: fn() -> Outcome) {
    let retry = stage::retry_policy();
    go(outcome, |outcome| stage::decided(outcome, &retry));
}

fn decision_by_routes() {
    let routes = routing::routes(&Stage::new(), routing::ACK);
    let order = routing::order();
    let parsed = View::of(&order);
    go(|| (), |()| routes.decide(&parsed));
}

fn claim_and_commit() {
    let stage = Stage::new();
    let ledger = stage.ledger_in_memory();
    let envelopes: Vec<_> = (0..1000).map(stage::numbered).collect();
    let going = go_waiting(|run| {
        let envelope = envelopes.get(usize::try_from(run).expect("there are few"));
        stage::remembered(&ledger, envelope.expect("there is one for each run"))
    });
    stage.runtime().block_on(going);
}

/// A sum that is optimised to about an instruction for each number.
fn sum() {
    let numbers: Vec<u64> = (0..1000).collect();
    go(
        || (),
        |()| {
            numbers
                .iter()
                .fold(0, |sum: u64, number| sum.wrapping_add(*number))
        },
    );
}

/// What the sum takes in a build that is not optimised, at the least.
const UNOPTIMISED: u64 = 5_000;

#[test]
#[ignore = "callgrind runs it, for the test below"]
fn every_path() {
    sum();
    PATHS.iter().for_each(|path| (path.go)());
}

#[test]
#[expect(clippy::print_stdout, reason = "a figure of the test's output")]
fn no_path_takes_more_instructions() {
    // Built here, and not under valgrind.
    hive_tests::guest("ack");
    let file = hive_tests::target_folder().join("instructions.callgrind");
    let counted = match callgrind::count("every_path", 1 + PATHS.len(), &file) {
        Ok(counted) => counted,
        Err(Fault::NoValgrind) => {
            return leave_out(
                "HIVE_TESTS_BUILT",
                "there is no valgrind: scripts/prepare gets it, or `apt-get install valgrind`",
            );
        }
        Err(Fault::Failed(text)) => panic!("the instructions could not be counted: {text}"),
    };
    let (sum, counted) = counted.split_first().expect("the sum is the first");
    if *sum > UNOPTIMISED {
        return leave_out(
            "HIVE_TESTS_OPTIMISED",
            "Hive's crates are not optimised in this build, and the ceilings are for one that is: run it with --release, \
             without an `opt-level` of your own",
        );
    }
    let dearer: Vec<String> = PATHS
        .iter()
        .zip(counted)
        .inspect(|(path, counted)| println!("{}: {counted} of {} instructions", path.name, path.ceiling))
        .filter(|(path, counted)| **counted > path.ceiling)
        .map(|(path, counted)| {
            format!(
                "{} has become dearer: {counted} instructions for each delivery, and its ceiling is {}.",
                path.name, path.ceiling
            )
        })
        .collect();
    assert!(
        dearer.is_empty(),
        "{}\nTake out what is done anew each time (a clone, a format!, a look-up, a lock), or raise the ceiling in {} and say \
         in the commit what it buys. The functions with most of them: callgrind_annotate {}",
        dearer.join("\n"),
        file!(),
        file.display()
    );
}

/// Nothing is counted here, and a line says why. It is a failure where `promised` is set: scripts/test has got valgrind
/// (`HIVE_TESTS_BUILT`), and the gate compiles nothing its own way (`HIVE_TESTS_OPTIMISED`), as a developer may.
fn leave_out(promised: &str, why: &str) {
    assert!(
        std::env::var_os(promised).is_none(),
        "the instructions of a delivery are not counted: {why}"
    );
    tell(&format!(
        "the instructions of a delivery are not counted: {why}\n"
    ));
}

/// Not `eprintln!`, which the test runner keeps to itself.
fn tell(line: &str) {
    drop(std::io::stderr().write_all(line.as_bytes()));
}
