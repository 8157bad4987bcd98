//! The scenarios, against a real RabbitMQ and the real binary.
//!
//! A test whose name begins with `sNN_` is line NN of the list of behaviours that users of such
//! systems rely on; the others stand beside those they are like. All share one broker, each in a
//! vhost of its own, so they run side by side. There is a folder for each subject, and one binary for
//! all, which links once.

/// What becomes of a delivery: what a component answers, how it fails, what it publishes.
mod settlement {
    mod answers;
    mod delays;
    mod failure_replies;
    mod failures;
    mod limits;
    mod publications;
    mod returns;
}

/// Consumers without code: what their routes do, and what the rest of a consumer does with them.
mod routes {
    mod actions;
    mod commands;
    mod company;
}

/// What bodies have to be like, before a component sees them and before they are published.
mod contracts {
    use std::path::PathBuf;

    mod bodies;
    mod publications;

    /// A JSON Schema in a file of its own.
    fn schema(schema: &serde_json::Value) -> PathBuf {
        let file = hive_tests::scratch("schema").join("schema.json");
        std::fs::write(&file, schema.to_string()).expect("a new folder can be written to");
        file
    }
}

/// The admin page and its API: who may see and do what, and what it does, in a real browser and by raw HTTP.
mod page {
    mod browser;
    mod large;
    mod letters;
    mod live;
    mod safety;
    mod topology;

    const TOKEN: &str = "open-sesame-1234";
    const VIEWER: &str = "only-look-at-it-5678";
    const JSON: &str = "content-type: application/json\r\n";

    /// The header with a token.
    fn bearer(token: &str) -> String {
        format!("authorization: Bearer {token}\r\n")
    }
}

/// HTTP in: requests that become messages, and what each is answered with.
mod http {
    mod alarms;
    pub(crate) mod client;
    mod components;
    mod crowds;
    mod idle;
    mod outages;
    mod refusals;
    mod repeats;
    mod stored;
    mod streams;
    mod tls;
}

/// Requests of components to others over the broker, and what becomes of them.
mod requests {
    mod ends;
    mod losses;

    use anyhow::{Context, Result};
    use hive_tests::{HiveToml, Message, Vhost};

    /// A guest that sends the requests in `letters` and tells `out` what came of each.
    fn asking(component_keys: &str, consumer_keys: &str) -> HiveToml {
        HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .queue("rpc.a", "")
            .queue("other", "")
            .component("request", component_keys)
            .consumer("letters", "request", consumer_keys)
    }

    const GRANTED: &str = "allow = { request = [\":rpc.*\", \"nothing:*\"] }";

    /// The answer to a request that was taken off its queue.
    async fn reply(vhost: &Vhost, request: &Message, text: &str) -> Result<()> {
        vhost
            .publish("", &reply_to(request)?, answer(request, text))
            .await
    }

    fn reply_to(request: &Message) -> Result<String> {
        let queue = request.properties.reply_to().as_ref();
        Ok(queue.context("the request has no reply-to")?.to_string())
    }

    fn answer(request: &Message, text: &str) -> Message {
        let id = request.properties.correlation_id().clone();
        let id = id.unwrap_or_default();
        Message::new(text).with(|properties| properties.with_correlation_id(id))
    }

    /// The metric of requests that ended so.
    fn ended(result: &str) -> String {
        format!("hive_requests_total{{component=\"request\",result=\"{result}\"}}")
    }

    const DROPPED: &str = "hive_replies_dropped_total{connection=\"main\"}";
}

/// Traces: what a collector is sent of a message's life, and what goes on with the message.
mod traces {
    mod inside;
    mod life;
}

/// Schedules: each firing once, on whatever host and whatever happens to it.
mod schedules {
    mod changes;
    mod clocks;
    mod several_hosts;

    use std::collections::BTreeSet;

    use hive_tests::{HiveToml, Message};

    /// The keys of a schedule that fires into a queue.
    fn into_queue(queue: &str, cron: &str, keys: &str) -> String {
        format!(
            "cron = \"{cron}\"\npublish = {{ exchange = \"\", routing_key = \"{queue}\" }}\n{keys}"
        )
    }

    /// A hive.toml whose one schedule fires into a queue of its name.
    fn one(name: &str, cron: &str, keys: &str) -> HiveToml {
        let keys = into_queue(name, cron, keys);
        HiveToml::new()
            .queue(name, "")
            .section(&format!("schedules.{name}"), &keys)
    }

    /// The planned times of a schedule's messages; a repeat counts once.
    fn planned(schedule: &str, messages: &[Message]) -> BTreeSet<String> {
        let before = format!("schedule:{schedule}:");
        let times = messages.iter().map(|message| {
            let time = message.id().strip_prefix(&before);
            time.unwrap_or_else(|| panic!("no firing of {schedule}: {}", message.id()))
                .to_owned()
        });
        times.collect()
    }
}

/// What is in a message: bodies, properties and headers, to the byte.
mod message {
    mod brokers_own;
    mod octets;
    mod oversize;
    mod wire;
}

/// Failed deliveries: retried, dead-lettered, looked at and replayed.
mod retry {
    mod dead;
    mod dead_edit;
    pub(crate) mod dead_group;
    mod dead_replay;
    mod dead_slow;
    mod outage;
    pub(crate) mod retries;
    mod retries_in_sight;
    mod shared_delays;
}

/// The host dies: by `kill -9` at any moment, and by a message.
mod crash {
    mod dedup_killed;
    mod killed;
    mod poison;
    mod quarantine;
    mod streams_killed;
}

/// Deliveries that belong together: batches, the order of a key, deduplication.
mod grouping {
    mod batch_company;
    mod batch_failures;
    pub(crate) mod batches;
    mod batches_by_key;
    mod dedup;
    mod ordering;
}

/// How many deliveries are handled, and how fast.
mod pace {
    mod by_key;
    pub(crate) mod flow;
    mod memory;
    mod pause_company;
    mod prefetch;
    mod scaling;
    mod scaling_by_hand;
    mod throughput;
}

/// Streams: where a consumer begins and continues, and what becomes of a message that fails.
mod stream {
    pub(crate) mod streams;
}

/// The broker restarts, refuses, raises an alarm; its queues and exchanges change under the host.
mod broker {
    mod alarms;
    pub(crate) mod broker_faults;
    mod clients;
    mod conversations;
    mod crowded;
    pub(crate) mod healing;
    mod permissions;
    mod refused;
    mod restored;
    mod taken_away;
}

/// A broker of three nodes: one is killed, drained, cut off; two are.
mod cluster {
    mod load;
    mod nodes;
    mod partition;
}

/// The link to the broker and to the store: faults of the network, TLS.
mod connection {
    mod half_open;
    mod many;
    pub(crate) mod network;
    // Counts what the host holds, as only Linux reports it.
    #[cfg(target_os = "linux")]
    mod reconnects;
    mod store_tls;
    pub(crate) mod tls;
}

/// What a component can reach, and what it can do to its host.
mod component {
    mod capabilities;
    mod contract;
    mod hostile;
    mod instances;
    pub(crate) mod keyvalue;
    mod sandbox;
}

/// Object stores: what components write to buckets and directories.
mod objects {
    mod containers;
    mod outages;
    mod tracks;
}

/// A running host changes: another component, another hive.toml.
mod change {
    mod batch_versions;
    mod canary_by_hand;
    mod reload;
    mod shadow;
    mod shadow_apart;
    mod swap;
}

/// Queues that are discovered.
mod discovery {
    mod events;
    mod over_tls;
    mod queues;
    mod rounds;
}

/// The process: how it starts, stops, and reports its state.
mod process {
    mod audit;
    // A clock of a process' own, as only Linux provides it.
    #[cfg(target_os = "linux")]
    mod clock;
    #[cfg(target_os = "linux")]
    mod containers;
    mod demand;
    mod depths;
    pub(crate) mod group;
    mod group_commands;
    mod health;
    mod hosts;
    mod logs;
    mod manifests;
    pub(crate) mod placement;
    mod placement_company;
    // A network of a process' own, as only Linux provides it.
    #[cfg(target_os = "linux")]
    mod separated;
    mod start;
    mod status;
    mod stop;
    mod systemd;
}

/// The commands of `hive-host` beside `run`.
mod cli {
    mod check;
    mod compile;
    mod completions;
    mod default_file;
    mod demo;
    mod dev;
    mod dev_memory;
    mod endless;
    mod examples;
    mod explain;
    mod invoke;
    mod new;
    mod new_faults;
    mod peek;
    mod printing;
    mod publish_command;
    mod screen;
    mod tail;
    mod test_buckets;
    mod test_components;
    mod test_flows;
    mod tools;
}

/// The repository itself: its rules, its documents, and the harness of these scenarios.
mod repository {
    mod alerts;
    mod brokers;
    mod documents;
    mod harness;
    mod house;
    mod kept;
}

use anyhow::Result;
use hive_tests::{Broker, Finished, HiveToml, HostProcess, Vhost, eventually};

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

/// Waits until the host has acknowledged so many deliveries of `letters`. A queue is empty before that: as soon as they are
/// on their way.
async fn acknowledged(host: &HostProcess, count: f64) -> Result<()> {
    let series = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
    let look = async || host.metric(series).await;
    let what = format!("{count} deliveries are acknowledged");
    eventually(&what, look, |seen| *seen >= count).await?;
    Ok(())
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
