//! `hive-host scale`: how many workers a consumer of a running host may have.

use clap::Args;
use hive_core::scaling::NewBounds;
use serde_json::Value;

use super::Exit;
use super::all_hosts::Whose;
use super::remote::{Content, Where, encoded};

/// The bounds of `scale` in hive.toml.
fn workers() -> clap::builder::RangedU64ValueParser<u16> {
    clap::builder::RangedU64ValueParser::new().range(1..)
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("bounds").required(true).multiple(true).args(["min", "max", "reset"]))]
pub(super) struct Scale {
    #[command(flatten)]
    host: Where,
    /// The name of the consumer: [consumers.NAME]
    consumer: String,
    /// Never fewer workers
    #[arg(long, value_name = "N", value_parser = workers())]
    min: Option<u16>,
    /// Never more workers
    #[arg(long, value_name = "N", value_parser = workers())]
    max: Option<u16>,
    /// Returns to the bounds of hive.toml
    #[arg(long, conflicts_with_all = ["min", "max"])]
    reset: bool,
    #[command(flatten)]
    whose: Whose,
    /// Prints the host's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Scale) -> Exit {
    let answer = arguments
        .host
        .find()
        .and_then(|host| host.post(&path(arguments), &Content::Nothing));
    match answer {
        Err(exit) => exit,
        Ok(answer) => arguments.whose.print(&answer, arguments.json, |answer| {
            vec![sentence(&arguments.consumer, answer)]
        }),
    }
}

fn path(arguments: &Scale) -> String {
    let consumer = encoded(&arguments.consumer);
    let Scale { min, max, .. } = *arguments;
    let bounds = NewBounds { min, max }.named();
    let bounds = bounds.map(|(name, bound)| format!("{name}={bound}"));
    let reset = arguments.reset.then(|| "reset=true".to_owned());
    let query: Vec<_> = bounds.chain(reset).collect();
    let path = format!("/v1/consumers/{consumer}/scale?{}", query.join("&"));
    arguments.whose.on(path)
}

fn sentence(consumer: &str, answer: &Value) -> String {
    let bounds = |key: &str| format!("{} to {} workers", answer[key]["min"], answer[key]["max"]);
    let until = match answer["after"] == answer["written"] {
        true => "as hive.toml has it".to_owned(),
        false => format!("hive.toml has {}", bounds("written")),
    };
    match answer["before"] == answer["after"] {
        true => format!("{consumer}: has {} already; {until}", bounds("after")),
        false => format!(
            "{consumer}: {} -> {}; {until}",
            bounds("before"),
            bounds("after")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_says_what_holds_and_what_hive_toml_has() {
        let bounds = |min, max| json!({ "min": min, "max": max });
        let said = |before, after| {
            let answer = json!({ "before": before, "after": after, "written": bounds(1, 4) });
            sentence("orders", &answer)
        };
        assert_eq!(
            said(bounds(1, 4), bounds(2, 8)),
            "orders: 1 to 4 workers -> 2 to 8 workers; hive.toml has 1 to 4 workers"
        );
        assert_eq!(
            said(bounds(2, 8), bounds(1, 4)),
            "orders: 2 to 8 workers -> 1 to 4 workers; as hive.toml has it"
        );
        assert_eq!(
            said(bounds(2, 8), bounds(2, 8)),
            "orders: has 2 to 8 workers already; hive.toml has 1 to 4 workers"
        );
    }
}
