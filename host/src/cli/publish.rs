//! `hive-host publish`: from standard input to an exchange.

use std::path::PathBuf;

use clap::Args;
use hive_amqp::{Confirmation, LARGEST_BODY, Outgoing, PublishFault, Unpublishable};
use hive_config::files;
use hive_core::json::read_deliveries;
use hive_core::message::{Message, Publication};
use rand::Rng;
use serde_json::json;

use super::Exit;
use super::broker::{Broker, connect};
use super::message_file::LARGEST_MESSAGES;
use super::message_flags::MessageFlags;
use super::say::{self, fault, out};
use crate::dead::connection_of;

pub(super) const EXAMPLES: &str = "Examples:\n  \
    echo '{\"id\": 1}' | hive-host publish hive.toml orders order.created -p content-type=application/json\n  \
    hive-host dead show hive.toml orders --json | jq -c '…' | hive-host publish hive.toml --queue orders.created --json";

/// Publications in flight.
const ON_THE_WAY: usize = 200;

/// Faults that are listed one by one.
const MOST_TOLD: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The file with the connection to the broker [default: hive.toml]
    #[arg(value_name = "HIVE.TOML")]
    file: PathBuf,
    /// The exchange; '' is the default exchange, which routes to the queue named by the routing key
    #[arg(value_name = "EXCHANGE", required_unless_present = "queue")]
    exchange: Option<String>,
    /// The routing key
    #[arg(value_name = "ROUTING_KEY", required_unless_present = "queue")]
    routing_key: Option<String>,
    /// The queue to publish to, in place of an exchange and a routing key
    #[arg(long, value_name = "NAME", conflicts_with_all = ["exchange", "routing_key"])]
    queue: Option<String>,
    #[command(flatten)]
    said: MessageFlags,
    /// Each line of the input is a message as JSON
    #[arg(long, conflicts_with_all = ["properties", "headers"])]
    json: bool,
    /// A message that no queue takes is not an error
    #[arg(long)]
    optional: bool,
    /// The connection of hive.toml to use, if it does not follow from the names
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

pub(super) fn run(arguments: &Publish) -> Result<Exit, Exit> {
    let misused = |reason: String| {
        fault!("{reason}");
        Exit::Misused
    };
    let plan = super::load(&arguments.file)?.plan;
    let (exchange, routing_key) = arguments.address();
    let name = entity(exchange, routing_key);
    let connection = connection_of(&plan, name, arguments.connection.as_deref());
    let connection = connection.map_err(misused)?;
    let most = match arguments.json {
        true => LARGEST_MESSAGES,
        false => LARGEST_BODY,
    };
    let input = files::all_of(std::io::stdin(), most).map_err(|error| {
        fault!("standard input cannot be read: {error}");
        Exit::Failed
    })?;
    let messages = match arguments.json {
        true => lines(&input),
        false => arguments.said.message(input).map(|message| vec![message]),
    };
    let messages = messages.map_err(misused)?;
    Ok(super::block_on(async {
        let broker = match connect(connection, "hive-host publish") {
            Ok(broker) => broker,
            Err(exit) => return exit,
        };
        let publications = messages.into_iter().map(|message| Publication {
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            message,
            mandatory: !arguments.optional,
            delay: None,
        });
        let tally = publish_all(publications, &broker).await;
        let exit = tell(&tally, arguments.json);
        broker.leave().await;
        exit
    }))
}

impl Publish {
    /// The exchange and the routing key. The default exchange leads to the queue named by the key (AMQP 0-9-1,
    /// section 3.1.3.1).
    fn address(&self) -> (&str, &str) {
        match &self.queue {
            Some(queue) => ("", queue),
            None => (
                self.exchange.as_deref().unwrap_or_default(),
                self.routing_key.as_deref().unwrap_or_default(),
            ),
        }
    }
}

/// The entity that determines the connection of hive.toml: the exchange, or the queue that the default one
/// leads to.
pub(super) fn entity<'a>(exchange: &'a str, routing_key: &'a str) -> &'a str {
    match exchange {
        "" => routing_key,
        exchange => exchange,
    }
}

/// One message a line. A delivery is a message too: what else it says is passed over.
fn lines(input: &[u8]) -> Result<Vec<Message>, String> {
    let deliveries = read_deliveries(input).map_err(|faults| {
        let told = faults.iter();
        let told = told.map(|one| format!("line {}: {}", one.line, one.fault));
        let told: Vec<String> = told.collect();
        format!("{}\nnothing was published", told.join("\nerror: "))
    })?;
    let messages = deliveries.into_iter().map(|delivery| delivery.message);
    Ok(messages.collect())
}

/// Publishes all of them, in their order; those that the broker refuses are reported.
pub(super) async fn publish_all(
    publications: impl IntoIterator<Item = Publication>,
    broker: &Broker,
) -> Tally {
    let limits = broker.connection.publish_limits();
    let publisher = broker.publisher();
    // Distinguishes publications without an id, within this run and from those of others.
    let run: u64 = rand::rng().random();
    let mut tally = Tally::default();
    let mut pending: Vec<(usize, Confirmation)> = Vec::new();
    for (index, mut publication) in publications.into_iter().enumerate() {
        let id = format!("hive-{run:016x}-{index}");
        match Outgoing::publication(&mut publication, &id, &limits) {
            Err(Unpublishable(reason)) => tally.refused(index, &reason),
            Ok(outgoing) => pending.push((index, publisher.publish(vec![outgoing]).await)),
        }
        if pending.len() == ON_THE_WAY {
            tally.settle(&mut pending, broker).await;
            if tally.broken {
                break;
            }
        }
    }
    tally.settle(&mut pending, broker).await;
    tally
}

/// Prints how many.
fn tell(tally: &Tally, json: bool) -> Exit {
    match json {
        true => say::json(&json!({ "published": tally.published, "refused": tally.refused })),
        false => out!("{} published", tally.published),
    }
    match tally.refused == 0 && !tally.broken {
        true => Exit::Done,
        false => Exit::Failed,
    }
}

/// The results of the messages.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) published: u64,
    refused: u64,
    /// The broker is gone, so that continuing is useless.
    broken: bool,
}

impl Tally {
    fn refused(&mut self, index: usize, reason: &str) {
        self.refused += 1;
        if self.refused <= MOST_TOLD as u64 {
            fault!("message {}: {reason}", index + 1);
        }
    }

    async fn settle(&mut self, pending: &mut Vec<(usize, Confirmation)>, broker: &Broker) {
        for (index, confirmation) in pending.drain(..) {
            let ended = tokio::select! {
                biased;
                ended = confirmation => ended,
                fault = broker.connection.gave_up() => {
                    // Told once, however many wait.
                    if !self.broken {
                        fault!([fault.code()] "{fault}");
                    }
                    self.broken = true;
                    continue;
                }
            };
            match ended {
                Ok(()) => self.published += 1,
                Err(PublishFault::Unroutable { text, .. }) => {
                    self.refused(index, &format!("no queue takes it ({text})"));
                }
                Err(PublishFault::Refused { text, .. }) => self.refused(index, &text),
                Err(fault) => {
                    self.refused(index, &fault.to_string());
                    self.broken |= fault != PublishFault::Nacked;
                }
            }
        }
    }
}
