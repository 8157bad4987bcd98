//! One run: the world around the hosts, the steps of the schedule, and what they come to.

mod faults;
mod hive_toml;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hive_broker::{Broker, Settings};
use hive_host::control::Command;
use hive_store::Store;
use lapin::BasicProperties;
use lapin::types::FieldTable;
use tokio::runtime::{Builder, Handle};

use self::faults::End;
use crate::account::{Account, Printed, Verdict, is_at_rest, is_consumed};
use crate::host::{Around, Life};
use crate::interposed::let_others;
use crate::network::Net;
use crate::schedule::{Message, Pause, Schedule, Step};
use crate::store::Remote;
use crate::threads::Group;

/// How long everything may take to come to rest once nothing is wrong any more. A quorum queue tries to dead-letter again
/// after three minutes (RabbitMQ, "Quorum Queues", at-least-once dead lettering), and a delay may end in that.
const REST: Duration = Duration::from_secs(3600);

/// It is at rest when it was so at so many looks in a row.
const LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A broker's acknowledgements are written down a second later.
const WRITTEN_AFTER: Duration = Duration::from_secs(1);

/// What is run.
#[derive(Debug, Clone)]
pub(crate) struct Components {
    /// Handles one delivery.
    pub(crate) soak: PathBuf,
    /// Handles batches.
    pub(crate) batch: PathBuf,
    /// The same as `soak`, in a file with other octets.
    pub(crate) other: PathBuf,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// Something that never came to an end, or a host that ended by itself.
    pub(crate) broken: Option<String>,
    pub(crate) messages: usize,
    pub(crate) simulated: Duration,
}

/// Everything around the hosts.
struct World {
    folder: PathBuf,
    components: Components,
    broker: Arc<Broker>,
    net: Net,
    store: Arc<Remote>,
    workers: usize,
    host: Option<Life>,
    /// Those that still run beside it.
    leaving: Vec<Life>,
    groups: u32,
    /// Times that hive.toml was written anew.
    reloads: usize,
    swapped: bool,
    /// What ends by itself, and when.
    due: Vec<(Instant, End)>,
    published: Vec<Message>,
    /// Were in a queue that was deleted.
    excused: BTreeSet<usize>,
    /// Two hosts consumed at the same time, and the second began before the first had finished what it had in hand: the
    /// order is not promised then (docs/ordering.md).
    was_handed_over: bool,
    broken: Option<String>,
}

/// Runs a schedule, on threads that are part of the simulation. `folder` is for what the host reads. With
/// `traced`, every fact that a host tells is shown.
pub(crate) fn run(
    seed: u64,
    schedule: &Schedule,
    components: &Components,
    folder: &Path,
    traced: bool,
) -> Outcome {
    let begun = Instant::now();
    let printed = Printed::new(traced);
    hive_telemetry::observe(Arc::new(printed.clone()));
    let (broker, handle) = begin_world();
    let mut world = World {
        folder: folder.to_owned(),
        components: components.clone(),
        net: Net::new(Arc::clone(&broker), handle, seed),
        broker,
        store: Arc::new(Remote::new()),
        workers: schedule.workers,
        host: None,
        leaving: Vec::new(),
        groups: 0,
        reloads: 0,
        swapped: false,
        due: Vec::new(),
        published: Vec::new(),
        excused: BTreeSet::new(),
        was_handed_over: false,
        broken: None,
    };
    world.write_hive_toml();
    world.start_host();
    world.wait_for_consumers();
    for (step, pause) in &schedule.steps {
        match step {
            Step::Publish(messages) => world.publish(messages),
            Step::Fault(fault) => world.happen(fault),
        }
        world.pause(*pause);
    }
    world.heal();
    world.come_to_rest();
    if let Some(host) = world.host.take() {
        world.stop(host);
    }
    let messages: Vec<&Message> = world.published.iter().collect();
    let account = Account::new(&world.broker, &printed);
    let mut verdict = account.judge(&messages, &world.excused);
    if world.was_handed_over {
        verdict.overtaken.clear();
    }
    Outcome {
        verdict,
        broken: world.broken,
        messages: messages.len(),
        simulated: begun.elapsed(),
    }
}

/// The broker, on a thread of its own.
fn begin_world() -> (Arc<Broker>, Handle) {
    let (tell, told) = std::sync::mpsc::channel();
    let serve = move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(async {
            let settings = Settings {
                acks_written_after: WRITTEN_AFTER,
                ..Settings::default()
            };
            let broker = Broker::start(settings).await.expect("the broker starts");
            let _taken = tell.send((Arc::new(broker), Handle::current()));
            std::future::pending::<()>().await;
        });
    };
    std::thread::Builder::new()
        .name("world".to_owned())
        .spawn(serve)
        .expect("a thread can be made");
    told.recv().expect("the broker starts")
}

impl World {
    fn write_hive_toml(&self) {
        let text = hive_toml::text(&self.components, self.reloads);
        std::fs::write(self.file(), text).expect("the folder of the run can be written");
    }

    fn file(&self) -> PathBuf {
        self.folder.join("hive.toml")
    }

    fn start_host(&mut self) {
        self.groups += 1;
        let group = Group(self.groups);
        let around = Around {
            network: self.net.of(group),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            workers: self.workers,
        };
        match Life::start(group, &self.file(), around) {
            Ok(life) => self.host = Some(life),
            Err(why) => {
                self.broken.get_or_insert(why);
            }
        }
    }

    fn wait_for_consumers(&mut self) {
        for _ in 0..600 {
            self.end_due();
            if is_consumed(&self.broker) || self.broken.is_some() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        let why = "the host does not consume after a minute".to_owned();
        self.broken.get_or_insert(why);
    }

    fn publish(&mut self, messages: &[Message]) {
        for message in messages {
            let text = format!("{} {}", message.number, message.behaviour.word());
            let mut headers = FieldTable::default();
            headers.insert(
                "key".into(),
                lapin::types::AMQPValue::LongInt(message.key.cast_signed()),
            );
            let properties = BasicProperties::default()
                .with_message_id(format!("m-{}", message.number).into())
                .with_delivery_mode(2)
                .with_headers(headers);
            let times = if message.twice { 2 } else { 1 };
            for _ in 0..times {
                let to = ("", message.queue);
                let body = text.clone().into_bytes();
                let published = self.broker.publish("/", to, &properties, body);
                // While a queue is deleted nobody takes it.
                if published == Ok(1) && !self.published.contains(message) {
                    self.published.push(message.clone());
                }
            }
        }
    }

    fn stop(&mut self, host: Life) {
        if let Err(why) = host.stop() {
            self.broken.get_or_insert(why);
        }
    }

    fn command(&self, command: Command) {
        if let Some(host) = &self.host {
            host.carry(command);
        }
    }

    /// Lets time or steps pass, and ends what is due meanwhile.
    fn pause(&mut self, pause: Pause) {
        match pause {
            Pause::Steps(steps) => let_others(steps),
            Pause::Time(time) => self.wait_until(Instant::now() + time),
        }
        self.end_due();
    }

    fn wait_until(&mut self, end: Instant) {
        loop {
            self.end_due();
            let now = Instant::now();
            if now >= end {
                return;
            }
            let first = self.due.iter().map(|(due, _)| *due).min();
            let next = first.map_or(end, |first| first.min(end));
            sleep(
                next.saturating_duration_since(now)
                    .max(Duration::from_millis(1)),
            );
        }
    }

    fn come_to_rest(&mut self) {
        let end = Instant::now() + REST;
        let mut looks = 0;
        while looks < LOOKS {
            sleep(LOOK_EVERY);
            self.end_due();
            let rests = is_at_rest(&self.broker) && is_consumed(&self.broker);
            looks = if rests { looks + 1 } else { 0 };
            if Instant::now() >= end || self.broken.is_some() {
                let queues = self.broker.queues();
                let why = format!("it never came to rest: {queues:?}");
                self.broken.get_or_insert(why);
                return;
            }
        }
        // A stream is at rest whatever was read of it.
        sleep(Duration::from_secs(60));
        self.end_due();
    }
}
