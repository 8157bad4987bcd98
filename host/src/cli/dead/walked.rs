//! A walk over a queue, from the connection to its end: what `dead` and `peek` have in common.

use clap::Args;
use hive_amqp::LookCost;
use serde_json::Value;

use super::print;
use super::show::whole;
use crate::cli::Exit;
use crate::cli::broker::{Broker, connect};
use crate::cli::say::{self, fault, out, warning};
use crate::cli::table::{Column, Table};
use crate::dead::{Condition, Filter, Meant, Numbered, Walk, Wanted, whole_json};

/// The default limit of lists.
pub(in crate::cli) const LISTED: u64 = 100;
/// The default limit of whole messages.
pub(in crate::cli) const SHOWN: u64 = 10;

/// Which messages of a queue, and how it is reached.
#[derive(Debug, Args)]
pub(in crate::cli) struct Chosen {
    /// Only the first N, counted from the head of the queue
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// Only messages for which FIELD=VALUE, FIELD!=VALUE or FIELD~VALUE (contains) holds; if given
    /// several times, all must hold; `hive-host dead --help` lists the fields
    #[arg(long = "where", value_name = "CONDITION", value_parser = Condition::parse)]
    pub(in crate::cli) conditions: Vec<Condition>,
    /// Only messages of this group, by its key in `hive-host dead group`; with --where, both must hold
    #[arg(long, value_name = "KEY", value_parser = Condition::group)]
    pub(in crate::cli) group: Option<Condition>,
    /// Looks even where the broker counts a look as a return of each message, and drops a message that
    /// returned too often
    #[arg(long)]
    pub(in crate::cli) counted: bool,
    /// The connection of hive.toml to use, if it does not follow from QUEUE
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) connection: Option<String>,
}

impl Chosen {
    /// The same for a walk.
    pub(in crate::cli) fn wanted(&self, limit: Option<u64>, taken: bool) -> Wanted {
        let conditions = self.conditions.iter().chain(&self.group).cloned();
        Wanted {
            filter: Filter::new(conditions.collect()),
            limit,
            taken,
            held: false,
        }
    }
}

/// How a list shows a message.
pub(in crate::cli) struct Rows {
    /// By the first message: a queue has either dead letters or copies that wait.
    pub(in crate::cli) columns: fn(&Numbered) -> &'static [Column],
    /// A cell for each column.
    pub(in crate::cli) cells: fn(&Numbered) -> Vec<String>,
    pub(in crate::cli) json: fn(&Numbered) -> Value,
}

/// Connects, begins the walk, does something with it, and ends both. `client` is the name that the broker shows.
pub(in crate::cli) fn over(
    meant: &Meant<'_>,
    client: &'static str,
    wanted: Wanted,
    may_count: bool,
    done: impl AsyncFnOnce(&mut Walk, &Broker) -> Result<Exit, Exit>,
) -> Exit {
    crate::cli::block_on(async {
        let broker = match connect(meant.connection, client) {
            Ok(broker) => broker,
            Err(exit) => return exit,
        };
        let exit = match begin(&meant.queue, wanted, may_count, &broker).await {
            Ok((mut walk, cost)) => {
                let exit = done(&mut walk, &broker).await;
                counted(&walk, &cost);
                walk.end().await;
                exit
            }
            Err(exit) => Err(exit),
        };
        broker.leave().await;
        exit.unwrap_or_else(|exit| exit)
    })
}

async fn begin(
    queue: &str,
    wanted: Wanted,
    may_count: bool,
    broker: &Broker,
) -> Result<(Walk, LookCost), Exit> {
    let cost = match wanted.puts_back() {
        true => cost_of_looking(queue, may_count, broker).await?,
        false => LookCost::Free,
    };
    let walk = Walk::begin(&broker.connection, queue, wanted, &broker.tasks);
    Ok((walk.await.map_err(failed)?, cost))
}

/// What a look at the queue costs its messages; refused where that is something and the user has not agreed.
pub(super) async fn cost_of_looking(
    queue: &str,
    may_count: bool,
    broker: &Broker,
) -> Result<LookCost, Exit> {
    let cost = broker.connection.cost_of_looking(queue).await;
    let cost = cost.map_err(failed)?;
    if let (LookCost::Return { limit, remedy }, false) = (&cost, may_count) {
        let often = match limit {
            Some(limit) => format!("more than {limit} times"),
            None => "too often".to_owned(),
        };
        fault!(
            "this broker counts each look at {queue:?} as a return of every message in it, and drops a \
             message that came back {often}, unless a policy says otherwise; {remedy}; or add --counted to \
             look all the same"
        );
        return Err(Exit::Failed);
    }
    Ok(cost)
}

pub(in crate::cli) fn failed(fault: impl std::fmt::Display) -> Exit {
    fault!("{fault}");
    Exit::Failed
}

/// Prints a line for each message.
pub(in crate::cli) async fn list(
    walk: &mut Walk,
    queue: &str,
    rows: &Rows,
    json: bool,
) -> Result<(), Exit> {
    let mut table = None;
    while let Some(one) = walk.next().await.map_err(failed)? {
        match json {
            true => say::json(&(rows.json)(&one)),
            false => table
                .get_or_insert_with(|| Table::new((rows.columns)(&one)))
                .row((rows.cells)(&one)),
        }
    }
    if !json {
        if let Some(table) = &table {
            say::lines(table);
        }
        out!("{}", print::count(walk, queue, "listed"));
    }
    Ok(())
}

/// Prints each message in full.
pub(in crate::cli) async fn show(walk: &mut Walk, queue: &str, json: bool) -> Result<(), Exit> {
    while let Some(one) = walk.next().await.map_err(failed)? {
        match json {
            true => say::json(&whole_json(&one)),
            false => say::lines(&format_args!("{}\n", whole(&one, queue))),
        }
    }
    if !json {
        out!("{}", print::count(walk, queue, "shown"));
    }
    Ok(())
}

/// Prints which messages a look could not reach.
pub(in crate::cli) fn looked(walk: &Walk, limit: Option<u64>) {
    let is_limited = limit.is_some_and(|limit| walk.matched() >= limit);
    if walk.seen() < walk.there() && !is_limited {
        warning!(
            "{} messages were there and {} came; another consumer has the rest, or more than {} stay behind",
            walk.there(),
            walk.seen(),
            u16::MAX
        );
    }
}

/// Prints how many looks the broker still allows, if it counts them.
fn counted(walk: &Walk, cost: &LookCost) {
    if let LookCost::Return {
        limit: Some(limit), ..
    } = cost
        && walk.seen() > 0
    {
        let left = limit.saturating_sub(walk.most_handed_out() + 1);
        warning!(
            "the broker counted this look; after {left} more it drops a message of this queue when \
             that comes back, unless a policy says otherwise"
        );
    }
}
