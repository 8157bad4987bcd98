//! `hive-host status`: what a running host is doing.

mod screen;

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use super::Exit;
use super::remote::{SUM_DIGITS, Where};
use super::say;
use super::table::{Column, Table};

/// The time between two looks, from which rates are computed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The counters of a consumer that are shown with their rates.
const COUNTERS: [&str; 3] = ["acked", "retried", "dead_lettered"];

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    host: Where,
    /// Refreshes once a second, until it is stopped or the host is gone; at a terminal, a screen with keys
    #[arg(long)]
    watch: bool,
    /// Prints the host's answer as JSON, one object for each refresh
    #[arg(long)]
    json: bool,
}

/// The host's answer at one moment.
struct Look {
    at: Instant,
    said: Value,
}

pub(super) fn run(arguments: &Status) -> Exit {
    match look_on(arguments) {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

impl Status {
    /// Whether it is a screen that takes keys.
    pub(super) fn is_a_screen(&self) -> bool {
        self.watch && !self.json && screen::is_possible()
    }
}

fn look_on(arguments: &Status) -> Result<(), Exit> {
    if arguments.is_a_screen() {
        return screen::show(&arguments.host);
    }
    let host = arguments.host.find()?;
    let look = || {
        let said = host.get("/v1/status")?;
        let at = Instant::now();
        Ok(Look { at, said })
    };
    let mut before = look()?;
    loop {
        if arguments.json {
            say::json(&before.said);
            if !arguments.watch {
                return Ok(());
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread has nothing else to do"
        )]
        std::thread::sleep(LOOK_EVERY);
        let now = look()?;
        if !arguments.json {
            say::lines(&format_args!("{}\n", told(&before, &now)));
            if !arguments.watch {
                return Ok(());
            }
        }
        before = now;
    }
}

/// The whole of it, in five tables; more where queues are discovered, and where there are schedules.
fn told(before: &Look, now: &Look) -> String {
    let said = &now.said;
    let host = host(&said["host"]);
    let mut links = Table::new(["CONNECTION", "ROLE", "STATE", "REASON"].map(Column::Words));
    for link in list(&said["connections"]) {
        let [connection, role, state] =
            ["connection", "role", "state"].map(|key| words(&link[key]));
        links.row([connection, role, state, reason(link)]);
    }
    let consumers = consumers(before, now);
    let queues = queues(said);
    let mut components = Table::new([
        Column::Words("COMPONENT"),
        Column::Numbers("GENERATION"),
        Column::Words("SHA256"),
        Column::Words("SINCE"),
        Column::Words("TRIAL"),
    ]);
    for component in list(&said["components"]) {
        let (canary, shadow) = (&component["canary"], &component["shadow"]);
        let trial = match (canary.is_null(), shadow.is_null()) {
            (true, true) => String::new(),
            (false, _) => format!(
                "generation {}, {}% until {} deliveries: {} of {} failed",
                canary["generation"],
                canary["percent"],
                canary["wanted"],
                canary["failed"],
                canary["deliveries"]
            ),
            (true, false) => format!(
                "generation {}, a shadow: {} of {} compared, {} different, {} failed",
                shadow["generation"],
                shadow["compared"],
                shadow["wanted"],
                shadow["different"],
                shadow["failed"]
            ),
        };
        let sum = words(&component["sha256"]);
        components.row([
            words(&component["component"]),
            component["generation"].to_string(),
            sum.get(..SUM_DIGITS).unwrap_or(&sum).to_owned(),
            words(&component["since"]),
            trial,
        ]);
    }
    let discoveries = discoveries(said);
    let schedules = schedules(said);
    format!("{host}\n{links}\n{consumers}\n{discoveries}{schedules}{queues}\n{components}")
}

fn host(said: &Value) -> Table {
    let mut table = Table::new(["HOST", "VERSION", "UP", "FILE"].map(Column::Words));
    let up = Duration::from_secs(said["uptime_seconds"].as_u64().unwrap_or_default());
    table.row([
        words(&said["name"]),
        words(&said["version"]),
        humantime::format_duration(up).to_string(),
        said["file"].as_str().unwrap_or("-").to_owned(),
    ]);
    table
}

fn consumers(before: &Look, now: &Look) -> Table {
    let mut table = Table::new([
        Column::Words("CONSUMER"),
        Column::Words("QUEUE"),
        Column::Words("STATE"),
        Column::Numbers("WORKERS"),
        Column::Numbers("IN FLIGHT"),
        Column::Numbers("WAITING"),
        Column::Numbers("ACKED"),
        Column::Numbers("RETRIED"),
        Column::Numbers("DEAD"),
        Column::Words("REASON"),
    ]);
    let seconds = (now.at - before.at).as_secs_f64();
    for consumer in list(&now.said["consumers"]) {
        let name = &consumer["consumer"];
        let then = list(&before.said["consumers"]).find(|then| then["consumer"] == *name);
        let [acked, retried, dead] =
            COUNTERS.map(|counter| counted(consumer, then, counter, seconds));
        table.row([
            words(name),
            words(&consumer["queue"]),
            words(&consumer["state"]),
            workers(consumer),
            number(&consumer["in_flight"]),
            number(&consumer["waiting"]),
            acked,
            retried,
            dead,
            reason(consumer),
        ]);
    }
    table
}

/// The consumers with `queues`, with an empty line behind them; empty if there are none.
fn discoveries(said: &Value) -> String {
    let mut table = Table::new([
        Column::Words("DISCOVERY"),
        Column::Words("PATTERN"),
        Column::Numbers("QUEUES"),
        Column::Numbers("LEFT OUT"),
        Column::Words("LISTED"),
        Column::Words("REASON"),
    ]);
    let discoveries = list(&said["discoveries"]);
    let mut is_empty = true;
    for discovery in discoveries {
        is_empty = false;
        table.row([
            words(&discovery["consumer"]),
            words(&discovery["queues"]),
            number(&discovery["discovered"]),
            list(&discovery["left_out"]).count().to_string(),
            discovery["listed"].as_str().unwrap_or("never").to_owned(),
            reason(discovery),
        ]);
    }
    match is_empty {
        true => String::new(),
        false => format!("{table}\n"),
    }
}

/// The schedules, with an empty line behind them; empty if there are none.
fn schedules(said: &Value) -> String {
    let mut table = Table::new(["SCHEDULE", "STATE", "NEXT", "LAST", "REASON"].map(Column::Words));
    let mut is_empty = true;
    for schedule in list(&said["schedules"]) {
        is_empty = false;
        let or_none = |key: &str| schedule[key].as_str().unwrap_or("-").to_owned();
        table.row([
            words(&schedule["schedule"]),
            words(&schedule["state"]),
            or_none("next"),
            or_none("last"),
            reason(schedule),
        ]);
    }
    match is_empty {
        true => String::new(),
        false => format!("{table}\n"),
    }
}

/// The messages in the queues of every consumer, as the broker reports them.
fn queues(said: &Value) -> Table {
    let mut table = Table::new([
        Column::Words("QUEUE"),
        Column::Words("CONSUMER"),
        Column::Words("PURPOSE"),
        Column::Numbers("MESSAGES"),
        Column::Words("REASON"),
    ]);
    for consumer in list(&said["consumers"]) {
        for queue in list(&consumer["queues"]) {
            table.row([
                words(&queue["queue"]),
                words(&consumer["consumer"]),
                words(&queue["purpose"]).replace('_', " "),
                number(&queue["messages"]),
                reason(queue),
            ]);
        }
    }
    for queue in list(&said["shared_queues"]) {
        table.row([
            words(&queue["queue"]),
            "(shared)".to_owned(),
            words(&queue["purpose"]),
            number(&queue["messages"]),
            reason(queue),
        ]);
    }
    table
}

/// The reason of a row, behind its code if it has one.
fn reason(said: &Value) -> String {
    match said["code"].as_str() {
        Some(code) => format!("{code}: {}", words(&said["reason"])),
        None => words(&said["reason"]),
    }
}

/// A count, and its rate since the look before, if there was one.
fn counted(consumer: &Value, then: Option<&Value>, counter: &str, seconds: f64) -> String {
    let count = |consumer: &Value| consumer["deliveries"][counter].as_u64();
    let Some(now) = count(consumer) else {
        return number(&Value::Null);
    };
    let Some(then) = then.and_then(count) else {
        return now.to_string();
    };
    let rate = now.saturating_sub(then) as f64 / seconds;
    format!("{now} ({rate:.1}/s)")
}

/// The number of workers, the wanted number if it differs, and the bounds that an operator has set.
fn workers(consumer: &Value) -> String {
    let (there, wanted) = (&consumer["workers"], &consumer["workers_wanted"]);
    let workers = match there == wanted {
        true => number(there),
        false => format!("{there} of {wanted}"),
    };
    let scale = &consumer["scale"];
    match scale["by_hand"] == true {
        true => format!("{workers} ({} to {} by hand)", scale["min"], scale["max"]),
        false => workers,
    }
}

fn number(value: &Value) -> String {
    match value.is_null() {
        true => "-".to_owned(),
        false => value.to_string(),
    }
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn consumer(acked: u64) -> Value {
        json!({
            "consumer": "orders", "queue": "orders.created", "component": "orders",
            "connection": "main", "consuming": true, "state": "consuming", "workers": 2, "workers_wanted": 5,
            "waiting": 50, "in_flight": 2,
            "deliveries": { "acked": acked, "retried": 1, "dead_lettered": 0, "requeued": 0 },
            "queues": [
                { "queue": "orders.created", "purpose": "consumed", "messages": 50 },
                { "queue": "orders.created.dead", "purpose": "dead_letter", "messages": null, "reason": "no answer" },
            ],
        })
    }

    #[test]
    fn rates_are_those_since_the_look_before() {
        let at = Instant::now();
        let before = Look {
            at,
            said: json!({ "consumers": [consumer(10)] }),
        };
        let now = Look {
            at: at + Duration::from_secs(2),
            said: json!({
                "host": { "name": "main", "version": "0.1.0", "file": "/etc/hive.toml", "uptime_seconds": 3723 },
                "connections": [
                    { "connection": "main", "role": "publish", "state": "closed", "reason": "refused" },
                ],
                "consumers": [
                    consumer(35),
                    { "consumer": "late", "queue": "late", "state": "waiting", "reason": "starting" },
                    { "consumer": "rest", "queue": "rest", "state": "paused", "reason": "by hand" },
                ],
                "shared_queues": [
                    { "connection": "main", "queue": "hive.retries.lost", "purpose": "lost", "messages": 2 },
                ],
                "components": [
                    { "component": "orders", "generation": 3, "sha256": "0123456789abcdef", "since": "now" },
                ],
            }),
        };
        let expected = "\
HOST  VERSION  UP        FILE
main  0.1.0    1h 2m 3s  /etc/hive.toml

CONNECTION  ROLE     STATE   REASON
main        publish  closed  refused

CONSUMER  QUEUE           STATE      WORKERS  IN FLIGHT  WAITING        ACKED    RETRIED       DEAD  REASON
orders    orders.created  consuming   2 of 5          2       50  35 (12.5/s)  1 (0.0/s)  0 (0.0/s)
late      late            waiting          -          -        -            -          -          -  starting
rest      rest            paused           -          -        -            -          -          -  by hand

QUEUE                CONSUMER  PURPOSE      MESSAGES  REASON
orders.created       orders    consumed           50
orders.created.dead  orders    dead letter         -  no answer
hive.retries.lost    (shared)  lost                2

COMPONENT  GENERATION  SHA256        SINCE  TRIAL
orders              3  0123456789ab  now
";
        assert_eq!(told(&before, &now), expected);
    }
}
