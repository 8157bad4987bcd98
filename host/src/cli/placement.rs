//! `hive-host placement`: which host is home of which queue, and which one is active.

use std::time::Duration;

use clap::Args;
use hive_core::codes::Code;
use serde_json::Value;

use super::Exit;
use super::remote::Where;
use super::say::{self, fault};
use super::table::{Column, Table};

#[derive(Debug, Args)]
pub(super) struct Placement {
    #[command(flatten)]
    host: Where,
    /// Prints the host's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Placement) -> Exit {
    let answer = arguments.host.find().and_then(|host| host.get("/v1/hosts"));
    let answer = match answer {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    if arguments.json {
        say::json(&answer);
    } else {
        say::lines(&format_args!("{}\n{}", hosts(&answer), queues(&answer)));
    }
    match answer["reason"].as_str() {
        None => Exit::Done,
        Some(reason) => {
            let code = answer["code"].as_str().and_then(Code::parse);
            fault!([code] "the other hosts of the group cannot be asked: {reason}");
            Exit::Failed
        }
    }
}

fn hosts(answer: &Value) -> Table {
    let mut table = Table::new(["HOST", "VERSION", "UP", "ANSWER"].map(Column::Words));
    for host in list(&answer["hosts"]) {
        let up = host["uptime_seconds"].as_u64();
        let up = up.map(|up| humantime::format_duration(Duration::from_secs(up)).to_string());
        let answer = match (host["this"] == true, host["answered"] == true) {
            (true, _) => "this host",
            (false, true) => "yes",
            (false, false) => "none within 2 s",
        };
        table.row([
            words(&host["host"]),
            words(&host["version"]),
            up.unwrap_or_else(|| "-".to_owned()),
            answer.to_owned(),
        ]);
    }
    table
}

fn queues(answer: &Value) -> Table {
    let mut table = Table::new(["QUEUE", "HOME", "ACTIVE", "NOTE"].map(Column::Words));
    for queue in list(&answer["queues"]) {
        table.row(["queue", "home", "active", "note"].map(|key| words(&queue[key])));
    }
    table
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_without_an_answer_and_a_queue_without_an_active_host_have_their_rows() {
        let answer = json!({
            "hosts": [
                {"host": "a", "version": "0.1.0", "this": true, "answered": true, "uptime_seconds": 61},
                {"host": "b", "version": "0.1.0", "this": false, "answered": false},
            ],
            "queues": [
                {"queue": "letters", "home": "a", "active": "a"},
                {"queue": "parcels", "home": "a", "active": null, "note": "no message for a minute"},
            ],
        });
        let expected = "HOST  VERSION  UP     ANSWER\n\
                        a     0.1.0    1m 1s  this host\n\
                        b     0.1.0    -      none within 2 s\n";
        assert_eq!(hosts(&answer).to_string(), expected);
        let expected = "QUEUE    HOME  ACTIVE  NOTE\n\
                        letters  a     a       -\n\
                        parcels  a     -       no message for a minute\n";
        assert_eq!(queues(&answer).to_string(), expected);
    }
}
