//! `hive-host peek`: the messages of any queue.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::dead::WIDEST;
use super::dead::walked::{Chosen, LISTED, Rows, SHOWN, list, looked, over, show};
use super::parts::cell;
use super::say::fault;
use super::table::Column;
use crate::dead::{self, Numbered, Walk, line_json};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host peek hive.toml orders.created\n  \
    hive-host peek hive.toml orders.created --where message-id=o-17 --show\n  \
    hive-host peek hive.toml orders.created --limit 1 --show --json";

const MESSAGES: Rows = Rows {
    columns: |_| {
        &[
            Column::Numbers("#"),
            Column::Words("MESSAGE-ID"),
            Column::Words("EXCHANGE"),
            Column::Words("ROUTING-KEY"),
            Column::Numbers("BYTES"),
            Column::Words("BODY"),
        ]
    },
    cells,
    json,
};

#[derive(Debug, Args)]
pub(super) struct Peek {
    /// The file with the connection to the broker [default: hive.toml]
    #[arg(value_name = "HIVE.TOML")]
    file: PathBuf,
    /// The queue, whether hive.toml has it or not
    #[arg(value_name = "QUEUE")]
    queue: String,
    #[command(flatten)]
    chosen: Chosen,
    /// Prints each message in full, with its body
    #[arg(long)]
    show: bool,
    /// Prints a JSON object for each message; with --show in the format of docs/message-format.md
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Peek) -> Result<Exit, Exit> {
    let Peek {
        file,
        queue,
        chosen,
        show: whole,
        json,
    } = arguments;
    let plan = super::load(file)?.plan;
    let meant = dead::meant(&plan, queue, true, chosen.connection.as_deref());
    let meant = meant.map_err(|reason| {
        fault!("{reason}");
        Exit::Misused
    })?;
    let otherwise = match whole {
        true => SHOWN,
        false => LISTED,
    };
    let limit = Some(chosen.limit.unwrap_or(otherwise));
    let done = async |walk: &mut Walk, _: &_| {
        match whole {
            true => show(walk, queue, *json).await?,
            false => list(walk, queue, &MESSAGES, *json).await?,
        }
        looked(walk, limit);
        Ok(Exit::Done)
    };
    let wanted = chosen.wanted(limit, false);
    Ok(over(&meant, "hive-host peek", wanted, chosen.counted, done))
}

/// The exchange and the routing key with which the message was first published: a copy that waits in a delay queue or
/// in a dead-letter queue keeps them.
fn published(one: &Numbered) -> (&str, &str) {
    let death = &one.letter.death;
    let envelope = &one.letter.delivery.envelope;
    (
        death.exchange.as_deref().unwrap_or(&envelope.exchange),
        death
            .routing_key
            .as_deref()
            .unwrap_or(&envelope.routing_key),
    )
}

fn cells(one: &Numbered) -> Vec<String> {
    let message = &one.letter.delivery.envelope.message;
    let id = message.properties.message_id.as_deref();
    let (exchange, routing_key) = published(one);
    let body = std::str::from_utf8(&message.body);
    vec![
        one.number.to_string(),
        id.map_or("-".to_owned(), |id| cell(id, WIDEST)),
        cell(exchange, WIDEST),
        cell(routing_key, WIDEST),
        message.body.len().to_string(),
        body.map_or("(not text)".to_owned(), |text| cell(text, 2 * WIDEST)),
    ]
}

fn json(one: &Numbered) -> Value {
    let (exchange, routing_key) = published(one);
    let mut line = line_json(one);
    line["exchange"] = exchange.into();
    line["routing-key"] = routing_key.into();
    line
}
