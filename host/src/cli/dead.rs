//! `hive-host dead`: list, group, show, edit, republish, letter, purge.

mod edit;
mod print;
mod show;
pub(super) mod walked;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hive_config::plan::Plan;
use serde_json::json;

pub(super) use self::print::WIDEST;
use self::walked::{Chosen, LISTED, SHOWN, failed, list, looked, over, show};
use super::Exit;
use super::broker::{Broker, told_to_stop};
use super::say::{self, fault, out};
use crate::conditions::Field;
use crate::dead::{self, DeadLetters, FIELDS, MOST_HELD, Meant, Target, Walk, Way, replay};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum Dead {
    #[command(flatten)]
    OfMany(OfMany),
    /// Changes a dead letter, in an editor or by flags, and sends it.
    ///
    /// The editor is that of VISUAL or EDITOR. It has the properties as JSON, a line ---, and the body. A body that
    /// was JSON stays JSON, and has to match the schema of the consumer. However the command is interrupted, nothing
    /// is lost and nothing is sent twice: running it again says how far it came.
    #[command(
        after_help = "Examples:\n  hive-host dead edit hive.toml orders o-17\n  \
                      hive-host dead edit hive.toml orders o-17 --body fixed.json\n  \
                      hive-host dead edit hive.toml orders --where number=3 --header tries:=0"
    )]
    Edit(edit::Edit),
}

impl Dead {
    /// Whether messages are taken out of their queue.
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::OfMany(command) => command.takes(),
            // It may be interrupted anywhere.
            Self::Edit(_) => false,
        }
    }

    fn which(&self) -> &Which {
        match self {
            Self::OfMany(command) => command.which(),
            Self::Edit(edit) => &edit.which,
        }
    }
}

/// What to do with those that are chosen.
#[derive(Debug, Subcommand)]
pub(super) enum OfMany {
    /// Prints one line for each message: when it died, why, where it was.
    ///
    /// Changes nothing: the messages go back to their places in the queue.
    #[command(after_help = "Examples:\n  hive-host dead list hive.toml orders\n  \
                      hive-host dead list hive.toml orders --where reason=timeout --where newer=1h")]
    List {
        #[command(flatten)]
        which: Which,
        /// Prints a JSON object for each message, without bodies
        #[arg(long)]
        json: bool,
    },
    /// Counts the messages that failed alike: by class, error and function of the component.
    ///
    /// Numbers and ids in an error do not count. KEY is the group for --group in the other commands. Changes
    /// nothing: the messages go back to their places in the queue.
    #[command(after_help = "Examples:\n  hive-host dead group hive.toml orders\n  \
                      hive-host dead republish hive.toml orders --group 3f9a0c11d2 --expect 14")]
    Group {
        #[command(flatten)]
        which: Which,
        /// Prints one JSON object with all groups
        #[arg(long)]
        json: bool,
    },
    /// Prints each message in full, with its body and the story of its end.
    ///
    /// Changes nothing: the messages go back to their places in the queue.
    #[command(
        after_help = "Examples:\n  hive-host dead show hive.toml orders --where number=3\n  \
                      hive-host dead show hive.toml orders --where message-id=o-17 --json"
    )]
    Show {
        #[command(flatten)]
        which: Which,
        /// Prints each as one line of JSON, in the format of docs/message-format.md
        #[arg(long)]
        json: bool,
    },
    /// Sends messages back to the queue in which they failed, as they were before.
    ///
    /// Each goes straight to its queue, so that no other queue of its exchange gets it, and starts at
    /// its first attempt. A message that waits in a delay queue is retried at once, and keeps the attempt
    /// that it waits for. It leaves the dead-letter queue when the broker has confirmed it. A message
    /// that dies again meanwhile is not sent again. Ctrl-c stops between two messages and loses none.
    #[command(
        after_help = "Examples:\n  hive-host dead republish hive.toml orders --dry-run\n  \
                      hive-host dead republish hive.toml orders --limit 1\n  \
                      hive-host dead republish hive.toml orders --where reason=error --where error~refused\n  \
                      hive-host dead republish hive.toml orders.retry.10s"
    )]
    Republish {
        #[command(flatten)]
        which: Which,
        /// Sends all messages to this queue instead
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
        /// Does nothing unless exactly N messages match, as a dry run or `hive-host dead group` has counted
        #[arg(long, value_name = "N")]
        expect: Option<u64>,
        /// Prints what would be sent, and sends nothing
        #[arg(long)]
        dry_run: bool,
        /// Prints the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Moves messages that wait for a retry to the dead-letter queue, without another attempt.
    ///
    /// QUEUE is a delay queue, as in orders.retry.10s. Each message becomes the dead letter that its last
    /// failure would have made of it. It leaves the delay queue when the broker has confirmed it.
    #[command(
        after_help = "Examples:\n  hive-host dead letter hive.toml orders.retry.10s --dry-run\n  \
                      hive-host dead letter hive.toml orders.retry.10s --where error~refused"
    )]
    Letter {
        #[command(flatten)]
        which: Which,
        /// The dead-letter queue, if it does not follow from QUEUE
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
        /// Does nothing unless exactly N messages match, as a dry run or `hive-host dead group` has counted
        #[arg(long, value_name = "N")]
        expect: Option<u64>,
        /// Prints what would be moved, and moves nothing
        #[arg(long)]
        dry_run: bool,
        /// Prints the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Deletes messages.
    #[command(
        after_help = "Examples:\n  hive-host dead purge hive.toml orders --where older=30d\n  \
                      hive-host dead purge hive.toml orders --yes"
    )]
    Purge {
        #[command(flatten)]
        which: Which,
        /// Does nothing unless exactly N messages match, as a dry run or `hive-host dead group` has counted
        #[arg(long, value_name = "N")]
        expect: Option<u64>,
        /// Prints what would be deleted, and deletes nothing
        #[arg(long)]
        dry_run: bool,
        /// Deletes all messages; required without --where and --limit
        #[arg(long)]
        yes: bool,
        /// Prints the result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which messages.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The file with the connection to the broker [default: hive.toml]
    #[arg(value_name = "HIVE.TOML")]
    file: PathBuf,
    /// A dead-letter queue; or a consumer, or the queue of a consumer, whose dead-letter queue is meant
    #[arg(value_name = "QUEUE")]
    queue: String,
    #[command(flatten)]
    chosen: Chosen,
    /// Takes QUEUE as the name of a queue, never as that of a consumer
    #[arg(long)]
    exact: bool,
}

/// The fields of `--where`, and how to begin.
pub(super) fn fields() -> String {
    let fields = of_where(FIELDS);
    format!("{fields}\nExample:\n  hive-host dead list hive.toml orders --where class=timeout")
}

/// What `--where` may ask for.
pub(super) fn of_where(fields: &[Field]) -> String {
    let mut text = "Fields of --where:\n".to_owned();
    // Those that mean the same share a line.
    for alike in fields.chunk_by(|(_, one), (_, other)| one == other) {
        let names: Vec<_> = alike.iter().map(|(name, _)| *name).collect();
        let (names, meaning) = (names.join(", "), alike[0].1);
        text.push_str(&format!("  {names:<14}  {meaning}\n"));
    }
    text
}

/// Reads the plan, and does it.
pub(super) fn run(command: Dead) -> Result<Exit, Exit> {
    let which = command.which();
    let plan = super::load(&which.file)?.plan;
    let plan = plan.with_consumer_of(&which.queue);
    let meant = which.meant(&plan)?;
    let command = match command {
        Dead::Edit(edit) => return edit::run(&edit, &plan, &meant),
        Dead::OfMany(command) => command,
    };
    let which = command.which();
    if let OfMany::Republish { to: Some(to), .. } | OfMany::Letter { to: Some(to), .. } = &command
        && *to == meant.queue
    {
        fault!("--to names the queue that the messages are in, {to:?}; name another");
        return Err(Exit::Misused);
    }
    if let OfMany::Letter { to: None, .. } = &command
        && meant.dead_letters.is_empty()
    {
        fault!(
            "hive.toml has no consumer with a delay queue {:?} and one dead-letter queue; name a delay queue, as \
             in orders.retry.10s, or the dead-letter queue with --to",
            meant.queue
        );
        return Err(Exit::Misused);
    }
    if let OfMany::Republish { to: Some(to), .. } = &command
        && meant.dead_letters.values().any(|queue| **queue == **to)
    {
        fault!(
            "{to:?} is the dead-letter queue of {:?}; `hive-host dead letter` makes dead letters of messages",
            meant.queue
        );
        return Err(Exit::Misused);
    }
    if let OfMany::Purge {
        yes: false,
        dry_run: false,
        which,
        ..
    } = &command
        && which.is_everything()
    {
        fault!(
            "this deletes every message in {:?}; add --yes for that, or say which with --where, --group or --limit",
            meant.queue
        );
        return Err(Exit::Misused);
    }
    let mut wanted = which.chosen.wanted(command.limit(), command.takes());
    wanted.held = command.expected().is_some();
    let done = async |walk: &mut Walk, broker: &Broker| {
        if let Some(count) = command.expected() {
            walk.expect(count, MOST_HELD).await.map_err(failed)?;
        }
        carry_out(&command, &meant, walk, broker).await
    };
    Ok(over(
        &meant,
        "hive-host dead",
        wanted,
        which.chosen.counted,
        done,
    ))
}

impl Which {
    fn meant<'a>(&self, plan: &'a Plan) -> Result<Meant<'a>, Exit> {
        let connection = self.chosen.connection.as_deref();
        dead::meant(plan, &self.queue, self.exact, connection).map_err(|reason| {
            fault!("{reason}");
            Exit::Misused
        })
    }

    /// Whether nothing says which messages.
    fn is_everything(&self) -> bool {
        let Chosen {
            conditions,
            group,
            limit,
            ..
        } = &self.chosen;
        conditions.is_empty() && group.is_none() && limit.is_none()
    }
}

impl OfMany {
    fn which(&self) -> &Which {
        match self {
            Self::List { which, .. }
            | Self::Group { which, .. }
            | Self::Show { which, .. }
            | Self::Republish { which, .. }
            | Self::Letter { which, .. }
            | Self::Purge { which, .. } => which,
        }
    }

    /// The largest number of messages.
    fn limit(&self) -> Option<u64> {
        let otherwise = match self {
            Self::List { .. } => Some(LISTED),
            Self::Show { .. } => Some(SHOWN),
            Self::Group { .. }
            | Self::Republish { .. }
            | Self::Letter { .. }
            | Self::Purge { .. } => None,
        };
        self.which().chosen.limit.or(otherwise)
    }

    /// Whether messages are taken out of their queue.
    fn takes(&self) -> bool {
        match self {
            Self::List { .. } | Self::Group { .. } | Self::Show { .. } => false,
            Self::Republish { dry_run, .. }
            | Self::Letter { dry_run, .. }
            | Self::Purge { dry_run, .. } => !dry_run,
        }
    }

    /// How many messages have to match.
    fn expected(&self) -> Option<u64> {
        match self {
            Self::List { .. } | Self::Group { .. } | Self::Show { .. } => None,
            Self::Republish { expect, .. }
            | Self::Letter { expect, .. }
            | Self::Purge { expect, .. } => *expect,
        }
    }

    fn json(&self) -> bool {
        match self {
            Self::List { json, .. }
            | Self::Group { json, .. }
            | Self::Show { json, .. }
            | Self::Republish { json, .. }
            | Self::Letter { json, .. }
            | Self::Purge { json, .. } => *json,
        }
    }
}

async fn carry_out(
    command: &OfMany,
    meant: &Meant<'_>,
    walk: &mut Walk,
    broker: &Broker,
) -> Result<Exit, Exit> {
    let queue = meant.queue.as_str();
    match command {
        OfMany::List { json, .. } => {
            list(walk, queue, &print::DEAD, *json).await?;
            looked(walk, command.limit());
            Ok(Exit::Done)
        }
        OfMany::Group { json, .. } => {
            let (groups, others) = walk.groups().await.map_err(failed)?.sorted();
            print::groups(&groups, others, walk, queue, *json);
            looked(walk, command.limit());
            Ok(Exit::Done)
        }
        OfMany::Show { json, .. } => {
            show(walk, queue, *json).await?;
            looked(walk, command.limit());
            Ok(Exit::Done)
        }
        OfMany::Republish { to, .. } => {
            let way = to.clone().map_or(Way::Home, Way::To);
            send(command, queue, way, walk, broker).await
        }
        OfMany::Letter { to, .. } => {
            let to = match to {
                Some(to) => DeadLetters::One(to.clone()),
                None => DeadLetters::Of(meant.dead_letters.clone()),
            };
            send(command, queue, Way::Dead(to), walk, broker).await
        }
        OfMany::Purge { dry_run, json, .. } => {
            if *dry_run {
                return dry(walk, queue, "would be deleted", *json).await;
            }
            let (purged, fault) = match dead::purge(walk, told_to_stop()).await {
                Ok(purged) => (purged, None),
                Err((purged, fault)) => (purged, Some(fault)),
            };
            match json {
                true => {
                    say::json(&json!({ "queue": queue, "purged": purged, "there": walk.there() }))
                }
                false => out!("{purged} of {} messages deleted from {queue}", walk.there()),
            }
            fault.map_or(Ok(Exit::Done), |fault| Err(failed(fault)))
        }
    }
}

/// Sends messages on their way, or looks at those that would be sent.
async fn send(
    command: &OfMany,
    queue: &str,
    way: Way,
    walk: &mut Walk,
    broker: &Broker,
) -> Result<Exit, Exit> {
    let json = command.json();
    let done = done(&way);
    if !command.takes() {
        return dry(walk, queue, &format!("would be {done}"), json).await;
    }
    let from = queue.to_owned();
    let (target, publisher) = (Target { from, way }, broker.publisher());
    let replayed = replay(
        walk,
        &target,
        &broker.connection,
        &publisher,
        told_to_stop(),
    )
    .await;
    print::replayed(&replayed, walk, queue, done, json);
    if replayed.is_whole() && !replayed.stopped {
        looked(walk, command.limit());
    }
    Ok(match replayed.is_whole() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// What became of a message that went this way.
fn done(way: &Way) -> &'static str {
    match way {
        Way::Home | Way::To(_) => "republished",
        Way::Dead(_) => "dead-lettered",
    }
}

/// Looks at what would be taken.
async fn dry(walk: &mut Walk, queue: &str, what: &str, json: bool) -> Result<Exit, Exit> {
    list(walk, queue, &print::DEAD, json).await?;
    if !json {
        out!("{} {what}; nothing was changed", walk.matched());
    }
    looked(walk, None);
    Ok(Exit::Done)
}
