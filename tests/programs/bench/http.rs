//! Requests over HTTP that become messages: a route of the host, and the same service by hand with axum and lapin.
//!
//! Both are started in turns, on one quorum queue of one broker, and get the same requests from the same clients. Each
//! request is answered with 202 once the broker has confirmed its message. After each run, the messages at the broker are
//! counted and have to be as many as the answers with 2xx.

mod by_hand;
mod clients;
mod report;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Vhost, eventually, most_descriptors, processor_time,
    reserve_ports, start,
};
use lapin::options::QueuePurgeOptions;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

pub(crate) use self::by_hand::ByHand;
use self::clients::{Answered, answered};
use self::report::{Crowd, Table};
use super::contender::Running;
use super::ring::look;
use super::turns::turns;
use super::work::QUEUE;
use super::{Options, myself, say, wanted};

/// The bytes of a body.
const SIZE: usize = 1024;

/// Connections of a run at full rate.
const CONNECTIONS: usize = 200;

/// Requests of a run at full rate.
const REQUESTS: u32 = 100_000;

/// Requests before it, of which the times do not count.
const WARM_UP: usize = 5_000;

/// Requests at once.
const CROWD: usize = 30_000;

/// Descriptors that a process has for other things than connections.
const OTHERS: usize = 500;

/// Whoever takes longer to start stands still.
const LONGEST_START: Duration = Duration::from_secs(60);

/// The services that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// A route of the host.
    Hive,
    /// The same of another build of the host.
    HiveOther(&'static std::path::Path),
    /// With axum and lapin.
    ByHand,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hive => "hive",
            Self::HiveOther(_) => "hive, the other build",
            Self::ByHand => "axum and lapin",
        }
    }
}

/// What a run took.
pub(crate) struct Taken {
    pub(crate) answered: Answered,
    /// Microseconds of processor time of the service for each request, and of the broker.
    pub(crate) service: f64,
    pub(crate) broker: f64,
}

pub(crate) async fn measure(broker: &Broker, options: &Options) -> Result<()> {
    let bench = Bench::on(broker).await?;
    let services = [Service::ByHand, Service::Hive].into_iter();
    let others = options.other_build().map(Service::HiveOther);
    let services: Vec<Service> = services
        .chain(others)
        .filter(|one| wanted(one.name(), &options.only))
        .collect();
    ensure!(!services.is_empty(), "nothing is left to be measured");
    let rounds = options.rounds.unwrap_or(5);
    let count = REQUESTS.saturating_mul(options.messages.unwrap_or(100)) / 100;
    let count = usize::try_from(count)?.max(1);
    let mut table = Table::default();
    for round in 0..rounds {
        for service in turns(&services, round) {
            let taken = bench.run(service, CONNECTIONS, count).await;
            table.add(service, taken.with_context(|| service.name())?);
        }
    }
    say(&table.text(&format!(
        "POST of {SIZE} B of JSON, quorum queue, {count} requests over {CONNECTIONS} connections"
    )));
    let connections = CROWD.min(most_descriptors()?.saturating_sub(OTHERS));
    let mut crowd = Crowd::default();
    for round in 0..rounds {
        for service in turns(&services, round) {
            let taken = bench.run(service, connections, CROWD).await;
            crowd.add(service, taken.with_context(|| service.name())?);
        }
    }
    say(&crowd.text(&format!(
        "{CROWD} such requests at once, over {connections} connections{}",
        match connections < CROWD {
            true => "; as many as `ulimit -n` allows, and each of the first to be answered sends one more",
            false => "",
        }
    )));
    Ok(())
}

/// The broker, with the queue.
struct Bench<'b> {
    broker: &'b Broker,
    vhost: Vhost,
}

impl<'b> Bench<'b> {
    async fn on(broker: &'b Broker) -> Result<Self> {
        let vhost = broker.vhost("bench-http").await?;
        // It declares the queue, for the other service too.
        let [port] = reserve_ports::<1>()?;
        let mut host = HostProcess::run(&vhost, &hive_toml(port)).await?.quietly();
        let readiness = async || Ok(host.readiness().await?.0);
        eventually("the host is ready", readiness, |status| *status == 200).await?;
        host.stop().await?;
        Ok(Self { broker, vhost })
    }

    /// Has a service answer so many requests.
    async fn run(&self, service: Service, connections: usize, count: usize) -> Result<Taken> {
        let channel = self.vhost.channel().await?;
        let purge = channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default());
        purge.await?;
        let [port] = reserve_ports::<1>()?;
        let running = self.start(service, port)?;
        listening(port).await?;
        let warm = self.warm(port).await?;
        let clients = clients::connected(port, connections).await?;
        let before = (running.processor_time()?, processor_time(self.broker.id())?);
        let answered = answered(clients, count).await;
        let after = (running.processor_time()?, processor_time(self.broker.id())?);
        let stored = u32::try_from(warm + answered.stored())?;
        // Not less after a moment, and not more.
        let there = async || look(&channel, QUEUE).await;
        eventually("each 2xx is in the queue", there, |there| *there >= stored).await?;
        let there = look(&channel, QUEUE).await?;
        ensure!(
            there == stored,
            "{stored} requests were answered with 2xx, and {there} messages are in the queue"
        );
        channel.close(200, "done".into()).await?;
        let of_each = |time: Duration| time.as_secs_f64() * 1e6 / (count as f64);
        Ok(Taken {
            answered,
            service: of_each(after.0 - before.0),
            broker: of_each(after.1 - before.1),
        })
    }

    fn start(&self, service: Service, port: u16) -> Result<Running> {
        let url = self.vhost.url();
        let toml = || hive_toml(port).text_for(&url);
        Ok(match service {
            Service::Hive => Running::Hive(HostProcess::launch(&toml())?.quietly()),
            Service::HiveOther(program) => {
                Running::Hive(HostProcess::launch_other(program, &toml())?.quietly())
            }
            Service::ByHand => {
                let mut command = std::process::Command::new(myself()?);
                command.arg("http-by-hand").arg(&url).arg(port.to_string());
                Running::Other(start(&mut command)?)
            }
        })
    }

    /// Answered until the service is as fast as it becomes; gives how many.
    async fn warm(&self, port: u16) -> Result<usize> {
        let deadline = Instant::now() + LONGEST_START;
        // A host says 503 before its connection to the broker is there.
        while answered(clients::connected(port, 1).await?, 1)
            .await
            .stored()
            == 0
        {
            ensure!(Instant::now() < deadline, "it never stores a message");
            sleep(Duration::from_millis(20)).await;
        }
        let clients = clients::connected(port, CONNECTIONS).await?;
        let answered = answered(clients, WARM_UP).await;
        answered.all_stored()?;
        Ok(answered.stored() + 1)
    }
}

/// One route, with room for all clients.
fn hive_toml(port: u16) -> HiveToml {
    HiveToml::new()
        .queue(QUEUE, "type = \"quorum\"")
        .section(
            "http",
            &format!("listen = \"127.0.0.1:{port}\"\nmax_connections = 65536\ntimeout = \"5m\""),
        )
        .section(
            "http.routes.\"POST /t\"",
            &format!("exchange = \"\"\nrouting_key = \"{QUEUE}\""),
        )
}

/// Waits until a service listens.
async fn listening(port: u16) -> Result<()> {
    let deadline = Instant::now() + LONGEST_START;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        ensure!(Instant::now() < deadline, "it does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
