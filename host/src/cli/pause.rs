//! `hive-host pause` and `hive-host resume`: whether a consumer of a running host consumes.

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::all_hosts::Whose;
use super::remote::{Content, Where, encoded};

#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    host: Where,
    /// The name of the consumer: [consumers.NAME]
    consumer: String,
    #[command(flatten)]
    whose: Whose,
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
    let path = arguments.whose.on(path);
    let answer = arguments
        .host
        .find()
        .and_then(|host| host.post(&path, &Content::Nothing));
    match answer {
        Err(exit) => exit,
        Ok(answer) => arguments.whose.print(&answer, arguments.json, |answer| {
            let changed = answer["changed"] == Value::Bool(true);
            vec![format!("{consumer}: {}", words(changed))]
        }),
    }
}
