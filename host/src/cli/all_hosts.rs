//! `--all-hosts`: the command is for every host of the group, and the answer has what came of it on each.

use clap::Args;
use hive_core::codes::Code;
use serde_json::Value;

use super::Exit;
use super::say::{self, fault, out};

/// Which hosts a command is for.
#[derive(Debug, Args)]
pub(super) struct Whose {
    /// For every host of `host.group`; if one of them refuses, nothing is changed on any
    #[arg(long)]
    all_hosts: bool,
    /// Changes the hosts that accept, whatever the others answer
    #[arg(long, requires = "all_hosts")]
    force: bool,
}

impl Whose {
    /// The path of a request that says for whom the command is.
    pub(super) fn on(&self, mut path: String) -> String {
        if self.all_hosts {
            path.push_str(match path.contains('?') {
                true => "&all_hosts=true",
                false => "?all_hosts=true",
            });
        }
        if self.force {
            path.push_str("&force=true");
        }
        path
    }

    /// Prints an answer in the words of the command, for each host that gave one.
    pub(super) fn print(
        &self,
        answer: &Value,
        as_json: bool,
        words: impl Fn(&Value) -> Vec<String>,
    ) -> Exit {
        if as_json {
            say::json(answer);
        }
        if !self.all_hosts {
            if !as_json {
                words(answer).iter().for_each(|line| out!("{line}"));
            }
            return Exit::Done;
        }
        for host in hosts(answer).filter(|host| !as_json && host["answer"].is_object()) {
            let name = name(host);
            for line in words(&host["answer"]) {
                out!("{name}: {line}");
            }
        }
        match refusals(answer) {
            0 => Exit::Done,
            _ => Exit::Failed,
        }
    }
}

/// Prints what the hosts that refused have said. Returns their number.
pub(super) fn refusals(answer: &Value) -> usize {
    let mut count = 0;
    for host in hosts(answer) {
        if let Some(error) = host["error"].as_str() {
            let code = host["code"].as_str().and_then(Code::parse);
            fault!([code] "{}: {error}", name(host));
            count += 1;
        }
    }
    count
}

fn hosts(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["hosts"].as_array().into_iter().flatten()
}

fn name(host: &Value) -> &str {
    host["host"].as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_says_for_whom_the_command_is() {
        let on = |all_hosts, force, path: &str| Whose { all_hosts, force }.on(path.to_owned());
        assert_eq!(on(false, false, "/v1/reload"), "/v1/reload");
        assert_eq!(on(true, false, "/v1/reload"), "/v1/reload?all_hosts=true");
        assert_eq!(
            on(true, true, "/v1/reload?canary=5"),
            "/v1/reload?canary=5&all_hosts=true&force=true"
        );
    }
}
