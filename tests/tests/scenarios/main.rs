//! The scenarios, against a real RabbitMQ and the real binary.
//!
//! A test whose name begins with `sNN_` is line NN of the list of behaviours that users of such
//! systems rely on; the others stand beside those they are like. All share one broker, each in a
//! vhost of its own, so they run side by side.

// What becomes of a delivery.
mod answers;
mod batch_company;
mod batch_failures;
mod batches;
mod brokers_own;
mod contract;
mod dead;
mod dead_replay;
mod dedup;
mod dedup_killed;
mod delays;
mod failure_replies;
mod failures;
mod flow;
mod octets;
mod ordering;
mod oversize;
mod pause_company;
mod peek;
mod poison;
mod publications;
mod publish_command;
mod retries;
mod retries_in_sight;
mod wire;

// What breaks, and heals.
mod alarms;
mod broker_faults;
// A clock of a process' own, as only Linux lends it.
#[cfg(target_os = "linux")]
mod clock;
mod crowded;
mod half_open;
mod healing;
mod health;
mod hosts;
mod killed;
mod limits;
mod logs;
mod network;
mod permissions;
mod prefetch;
mod quarantine;
// Counts what the host holds, as only Linux tells it.
#[cfg(target_os = "linux")]
mod reconnects;
mod refused;
mod restored;
mod returns;
mod store_tls;
mod taken_away;
mod tls;

// What a component can do to its host.
mod batch_versions;
mod capabilities;
mod hostile;
mod instances;
mod keyvalue;
mod reload;
mod sandbox;
mod swap;

// Streams: what is read, where it goes on, what becomes of what fails.
mod streams;
mod streams_killed;
// How many are handled at once.
mod scaling;

// The process: how it starts, what it refuses, how it stops, how much it takes.
mod check;
mod default_file;
mod demo;
mod dev;
mod dev_memory;
mod endless;
mod examples;
mod explain;
mod invoke;
mod new;
mod printing;
mod start;
mod status;
mod stop;
mod test_components;
mod throughput;
mod tools;

// The tests' own ground.
mod brokers;
mod documents;
mod harness;
mod house;

use anyhow::Result;
use hive_tests::{Broker, Finished, HiveToml, HostProcess, Vhost};

/// A vhost of its own on the shared broker, and a host that consumes there.
async fn consuming(label: &str, toml: HiveToml) -> Result<(Vhost, HostProcess)> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let host = HostProcess::run(&vhost, &toml).await?;
    Ok((vhost, host))
}

/// A command that ended so, and told these words.
#[track_caller]
fn assert_says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let told = format!("{}{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(told.contains(word), "`{word}` is not told: {finished:?}");
    }
}

/// Stops the host, and makes sure that it had answered everything that the queue handed out: what it
/// had not would be back.
async fn assert_settled(vhost: &Vhost, host: &mut HostProcess, queue: &str) -> Result<()> {
    host.stop().await?;
    assert_eq!(
        vhost.ready(queue).await?,
        0,
        "messages went back to `{queue}`"
    );
    Ok(())
}
