//! `hive-host schedule`: list, run.

use clap::{Args, Subcommand};
use hive_amqp::{Outgoing, PublishFault};
use hive_config::plan::{Plan, SchedulePlan};
use hive_core::codes::Code;
use hive_core::{moments, nearest};
use hive_schedules::{ClockChange, Moment};
use serde_json::{Value, json};

use super::broker::{Broker, connect};
use super::say::{self, fault, out};
use super::{Exit, PlanFile};
use crate::schedules::{message, run_id};

/// Ends the help of `schedule`.
pub(super) const EXAMPLES: &str =
    "Examples:\n  hive-host schedule list hive.toml\n  hive-host schedule run hive.toml nightly";

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub(super) enum Schedule {
    /// Prints the next firings of each schedule, and what the next change of the clocks does to it.
    ///
    /// Reads hive.toml alone: neither a host nor a broker is asked.
    #[command(after_help = "Examples:\n  hive-host schedule list hive.toml\n  \
                            hive-host schedule list hive.toml --next 10 --json")]
    List(List),
    /// Publishes one firing of a schedule now, and waits for the broker's confirmation.
    ///
    /// Talks to the broker of hive.toml directly; works whether or not a host is running. The planned
    /// firings stay as they are. The message has an id of its own, which is printed. A message that no
    /// queue takes is reported, with exit code 1.
    #[command(after_help = "Example:\n  hive-host schedule run hive.toml nightly")]
    Run(Run),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    plan: PlanFile,
    /// The number of firings for each schedule
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    next: u16,
    /// Prints the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    plan: PlanFile,
    /// The name of the schedule: [schedules.NAME]
    schedule: String,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(schedule: &Schedule) -> Result<Exit, Exit> {
    match schedule {
        Schedule::List(arguments) => list(arguments),
        Schedule::Run(arguments) => fire(arguments),
    }
}

fn list(arguments: &List) -> Result<Exit, Exit> {
    let plan = arguments.plan.load()?;
    let next = usize::from(arguments.next);
    let all = plan.schedules.values().map(|plan| Firings::of(plan, next));
    let all: Vec<_> = all.collect();
    match arguments.json {
        true => {
            let all = all.iter().map(Firings::json).collect::<Vec<_>>();
            say::json(&json!({ "schedules": all }));
        }
        false if all.is_empty() => out!("no schedules"),
        false => all.iter().for_each(Firings::print),
    }
    Ok(Exit::Done)
}

/// When a schedule fires next.
pub(super) struct Firings {
    schedule: String,
    cron: String,
    timezone: String,
    next: Vec<String>,
    change: Option<ClockChange>,
}

impl Firings {
    pub(super) fn of(plan: &SchedulePlan, count: usize) -> Self {
        let times = &plan.cron;
        let now = Moment::from(moments::now());
        let next = std::iter::successors(times.next_after(now), |last| times.next_after(*last));
        Self {
            schedule: plan.name.to_string(),
            cron: times.cron().to_owned(),
            timezone: times.zone().to_owned(),
            next: next.take(count).map(|moment| times.local(moment)).collect(),
            change: times.next_change(now),
        }
    }

    pub(super) fn print(&self) {
        out!(
            "schedule {}: {:?} in {}",
            self.schedule,
            self.cron,
            self.timezone
        );
        for next in &self.next {
            out!("  fires at {next}");
        }
        if let Some(change) = &self.change {
            out!("  {change}");
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "schedule": self.schedule,
            "cron": self.cron,
            "timezone": self.timezone,
            "next": self.next,
            "clock-change": self.change.as_ref().map(ToString::to_string),
        })
    }
}

fn fire(arguments: &Run) -> Result<Exit, Exit> {
    let plan = arguments.plan.load()?;
    let schedule = schedule(&plan, &arguments.schedule)?;
    let Some(connection) = plan.connections.get(&schedule.connection) else {
        fault!("there is no connection {:?}", schedule.connection);
        return Err(Exit::Misused);
    };
    Ok(super::block_on(async {
        let broker = match connect(connection, "hive-host schedule run") {
            Ok(broker) => broker,
            Err(exit) => return exit,
        };
        let exit = publish(schedule, &broker, arguments.json).await;
        broker.leave().await;
        exit
    }))
}

fn schedule<'p>(plan: &'p Plan, name: &str) -> Result<&'p SchedulePlan, Exit> {
    plan.schedules.get(name).ok_or_else(|| {
        let names = plan.schedules.keys().map(|name| &**name);
        let advice = nearest::advice(name, names, "the schedules are");
        fault!([Some(Code::NoSuchSchedule)] "there is no schedule {name:?}: {advice}");
        Exit::Misused
    })
}

async fn publish(schedule: &SchedulePlan, broker: &Broker, json: bool) -> Exit {
    let name = &schedule.name;
    let id = run_id(name);
    let mut publication = message(schedule, moments::now().into());
    let limits = broker.connection.publish_limits();
    let outgoing = match Outgoing::publication(&mut publication, &id, &limits) {
        Ok(outgoing) => outgoing,
        Err(error) => {
            fault!([Some(Code::ScheduleUnpublished)] "schedule {name:?} did not fire: {error}");
            return Exit::Failed;
        }
    };
    let publisher = broker.publisher();
    let confirmation = publisher.publish(vec![outgoing]).await;
    let ended = tokio::select! {
        biased;
        ended = confirmation => ended,
        fault = broker.connection.gave_up() => {
            fault!([fault.code()] "{fault}");
            return Exit::Failed;
        }
    };
    let reason = match ended {
        Ok(()) => {
            match json {
                true => say::json(&json!({ "schedule": **name, "message-id": id })),
                false => out!("{name}: published, message-id {id}"),
            }
            return Exit::Done;
        }
        Err(PublishFault::Unroutable { text, .. }) => format!("no queue takes it ({text})"),
        Err(PublishFault::Refused { text, .. }) => text,
        Err(fault) => fault.to_string(),
    };
    fault!([Some(Code::ScheduleUnpublished)] "schedule {name:?} did not fire: {reason}");
    Exit::Failed
}
