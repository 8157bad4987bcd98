//! One run: the world around the hosts, the steps of the schedule, and what they come to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hive_broker::{Broker, Fault as BrokerFault, Settings};
use hive_host::control::{Command, NewCode};
use hive_store::Store;
use lapin::BasicProperties;
use lapin::types::FieldTable;
use tokio::runtime::{Builder, Handle};

use crate::account::{Account, Printed, Verdict, is_at_rest, is_consumed};
use crate::host::{Around, Life};
use crate::interposed::let_others;
use crate::network::Net;
use crate::schedule::{Fault, Message, Pause, QUEUES, Schedule, Step};
use crate::store::Remote;
use crate::threads::{Group, with};

/// How long everything may take to come to rest once nothing is wrong any more. A quorum queue tries to dead-letter again
/// after three minutes (RabbitMQ, "Quorum Queues", at-least-once dead lettering), and a delay may end in that.
const REST: Duration = Duration::from_secs(3600);

/// It is at rest when it was so at so many looks in a row.
const LOOKS: u32 = 5;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A broker's acknowledgements are written down a second later.
const WRITTEN_AFTER: Duration = Duration::from_secs(1);

/// The values between which a reload changes the prefetch.
const PREFETCHES: [u16; 2] = [20, 7];

/// That of the ordered queue stays: a smaller one may cost the order (docs/ordering.md).
const ORDERED_PREFETCH: u16 = 20;

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
    prefetch: usize,
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

/// The end of a fault.
enum End {
    Stall(crate::link::Line, crate::link::Way),
    Broker,
    Block,
    Freeze(&'static str),
    Store,
    Pause(&'static str),
    PowerCut,
    Leaving,
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
        prefetch: 0,
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
    fn file(&self) -> PathBuf {
        self.folder.join("hive.toml")
    }

    fn write_hive_toml(&self) {
        let prefetch = PREFETCHES[self.prefetch % PREFETCHES.len()];
        let (soak, batch) = (&self.components.soak, &self.components.batch);
        let text = format!(
            r#"[host]
admin = "off"
shutdown_timeout = "10s"

[connections.main]
url = "amqp://guest:guest@broker:5672"
heartbeat = "10s"
connect_timeout = "5s"
reconnect = {{ first = "100ms", max = "5s" }}

[components.soak]
path = {soak:?}
log_lines = 1000000
timeout = "10m"

[components.batch]
path = {batch:?}
log_lines = 1000000
timeout = "10m"

[queues.out]
type = "quorum"

[queues.events]
type = "stream"

[consumers.work]
queue = "work"
component = "soak"
concurrency = 3
prefetch = {prefetch}
retry = {{ limit = 3, delays = ["2s", "10s"] }}

[consumers.ordered]
queue = "ordered"
component = "soak"
concurrency = 3
prefetch = {ORDERED_PREFETCH}
ordered_by = "header:key"
placement = "single"
retry = {{ limit = 3, delays = ["2s"] }}

[consumers.once]
queue = "once"
component = "soak"
concurrency = 2
prefetch = {prefetch}
dedup = {{ key = "message-id" }}
publish_dedup = {{ key = "message-id" }}
retry = {{ limit = 3, delays = ["2s", "10s"] }}

[consumers.many]
queue = "many"
component = "batch"
batch = {{ size = 4, wait = "500ms" }}
retry = {{ limit = 3, delays = ["2s"] }}

[consumers.events]
queue = "events"
component = "soak"
concurrency = 2
stream = {{ offset = "first", on_error = "dead-letter" }}

[queues.work]
[queues.ordered]
[queues.once]
[queues.many]
"#
        );
        std::fs::write(self.file(), text).expect("the folder of the run can be written");
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

    fn inject(&self, fault: BrokerFault) {
        // What a fault is about may be gone at the moment.
        let _injected = self.broker.inject(fault);
    }

    fn line(&self, number: usize) -> Option<crate::link::Line> {
        let lines = self.net.lines();
        let count = lines.len();
        lines.into_iter().nth(number.checked_rem(count)?)
    }

    fn later(&mut self, held: Duration, end: End) {
        self.due.push((Instant::now() + held, end));
    }

    fn happen(&mut self, fault: &Fault) {
        let vhost = || "/".to_owned();
        match fault.clone() {
            Fault::LineCut { line } => {
                if let Some(line) = self.line(line) {
                    line.cut();
                }
            }
            Fault::LineCutAt { line, way, octets } => {
                if let Some(line) = self.line(line) {
                    line.cut_after(way, octets);
                }
            }
            Fault::LineStalled { line, way, held } => {
                if let Some(line) = self.line(line) {
                    line.stall(way, true);
                    self.later(held, End::Stall(line, way));
                }
            }
            Fault::BrokerKilled { away } => {
                self.net.close(true);
                self.inject(BrokerFault::Crash);
                self.later(away, End::Broker);
            }
            Fault::BrokerRestarted { away } => {
                self.net.close(true);
                self.inject(BrokerFault::Cut { connection: None });
                self.later(away, End::Broker);
            }
            Fault::ConfirmsDropped { times } => self.inject(BrokerFault::DropConfirms { times }),
            Fault::PublicationsRefused { times } => {
                self.inject(BrokerFault::NackPublishes { times });
            }
            Fault::CutAtMethod { method } => self.inject(BrokerFault::CutAt {
                method: method.to_owned(),
            }),
            Fault::Error { method, code } => self.inject(BrokerFault::Answer {
                method: method.to_owned(),
                code,
                text: "simulated".to_owned(),
                times: 1,
            }),
            Fault::Blocked { held } => {
                let reason = "low on memory".to_owned();
                self.inject(BrokerFault::Block { reason });
                self.later(held, End::Block);
            }
            Fault::QueueFrozen { queue, held } => {
                self.inject(BrokerFault::Freeze {
                    vhost: vhost(),
                    queue: queue.to_owned(),
                });
                self.later(held, End::Freeze(queue));
            }
            Fault::ConsumersCancelled { queue } => self.inject(BrokerFault::CancelConsumers {
                vhost: vhost(),
                queue: queue.to_owned(),
            }),
            Fault::QueueDeleted { queue } => {
                if self.broker.delete("/", queue) {
                    let inside = self.published.iter();
                    let inside = inside.filter(|message| message.queue == queue);
                    self.excused.extend(inside.map(|message| message.number));
                }
            }
            Fault::StoreAway { held } => {
                self.store.set_away(true);
                self.later(held, End::Store);
            }
            Fault::StoreAnswersLost { times } => self.store.lose_answers(times),
            Fault::PowerCut {
                after,
                away,
                written,
            } => self.cut_power(after, away, written),
            Fault::HostRestarted => {
                if let Some(host) = self.host.take() {
                    self.stop(host);
                    self.start_host();
                }
            }
            Fault::HandedOver { after } => {
                if let Some(host) = self.host.take() {
                    self.leaving.push(host);
                    self.was_handed_over = true;
                    self.start_host();
                    self.later(after, End::Leaving);
                }
            }
            Fault::ClockJumps { by } => {
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                with(|threads| threads.jump(by));
            }
            Fault::Paused { consumer, held } => {
                self.command(Command::Pause {
                    consumer: consumer.to_owned(),
                });
                self.later(held, End::Pause(consumer));
            }
            Fault::Reloaded => {
                self.prefetch += 1;
                self.write_hive_toml();
                self.command(Command::Reload);
            }
            Fault::Swapped => {
                self.swapped = !self.swapped;
                let Components { soak, other, .. } = &self.components;
                let code = if self.swapped { other } else { soak };
                let code = std::fs::read(code).expect("the component can be read");
                self.command(Command::Swap {
                    component: "soak".to_owned(),
                    code: NewCode::Content(code),
                    canary: None,
                });
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

    fn cut_power(&mut self, after: u64, away: Duration, written: bool) {
        let Some(host) = self.host.take() else {
            return;
        };
        let group = host.group;
        with(|threads| threads.crash_after(group, after));
        // It may make fewer: then it is at rest, and loses power like that.
        for _ in 0..after {
            if with(|threads| threads.is_frozen(group)) {
                break;
            }
            let_others(8);
        }
        with(|threads| {
            if !threads.is_frozen(group) {
                threads.freeze_when_possible(group);
            }
        });
        while !with(|threads| threads.is_frozen(group)) {
            let_others(8);
        }
        // Its threads never run again, and nothing of it is given back.
        std::mem::forget(host);
        self.net.end_lines_of(group, written);
        self.later(away, End::PowerCut);
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

    fn end_due(&mut self) {
        let now = Instant::now();
        let (due, rest) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(when, _)| *when <= now);
        self.due = rest;
        let due: Vec<(Instant, End)> = due;
        for (_, end) in due {
            self.end(end);
        }
        if let Some(host) = self.host.take_if(|host| host.has_ended()) {
            let why = match host.stop() {
                Ok(()) => "the host ended by itself".to_owned(),
                Err(why) => why,
            };
            self.broken.get_or_insert(why);
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Stall(line, way) => line.stall(way, false),
            End::Broker => self.net.close(false),
            End::Block => self.inject(BrokerFault::Unblock),
            End::Freeze(queue) => self.inject(BrokerFault::Thaw {
                vhost: "/".to_owned(),
                queue: queue.to_owned(),
            }),
            End::Store => self.store.set_away(false),
            End::Pause(consumer) => self.command(Command::Resume {
                consumer: consumer.to_owned(),
            }),
            End::Leaving => {
                if !self.leaving.is_empty() {
                    let host = self.leaving.remove(0);
                    self.stop(host);
                }
            }
            End::PowerCut => {
                if self.host.is_none() {
                    self.start_host();
                }
            }
        }
    }

    /// Nothing is wrong any more.
    fn heal(&mut self) {
        let due = std::mem::take(&mut self.due);
        for (_, end) in due {
            self.end(end);
        }
        self.store.lose_answers(0);
        self.inject(BrokerFault::Clear);
        for queue in QUEUES {
            self.command(Command::Resume {
                consumer: queue.to_owned(),
            });
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
