//! `hive-host pause` and `hive-host resume`: whether a consumer of a running host consumes.

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::remote::{Content, Where, encoded};
use super::say::{self, out};

#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    host: Where,
    /// The name of the consumer: [consumers.NAME]
    consumer: String,
    /// Prints the host's answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn pause(arguments: &Named) -> Exit {
    command(arguments, "pause", |changed| match changed {
        true => "paused; deliveries in flight are finished",
        false => "was paused already",
    })
}

pub(super) fn resume(arguments: &Named) -> Exit {
    command(arguments, "resume", |changed| match changed {
        true => "resumed",
        false => "was not paused",
    })
}

fn command(arguments: &Named, verb: &str, words: impl Fn(bool) -> &'static str) -> Exit {
    let consumer = &arguments.consumer;
    let path = format!("/v1/consumers/{}/{verb}", encoded(consumer));
    let answer = arguments
        .host
        .find()
        .and_then(|host| host.post(&path, &Content::Nothing));
    match answer {
        Err(exit) => return exit,
        Ok(answer) if arguments.json => say::json(&answer),
        Ok(answer) => {
            let changed = answer["changed"] == Value::Bool(true);
            out!("{consumer}: {}", words(changed));
        }
    }
    Exit::Done
}
