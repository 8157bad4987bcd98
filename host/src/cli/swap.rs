//! `hive-host swap` and `hive-host reload`: commands to a running host.

mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hive_config::files;
use serde_json::Value;

use super::Exit;
use super::all_hosts::Whose;
use super::remote::{Content, Remote, SUM_DIGITS, Where, encoded};
use super::say::{self, fault, out};
use crate::control::LARGEST_CODE;

/// How often a canary is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Swap {
    #[command(flatten)]
    host: Where,
    /// The name of the component: [components.NAME]
    component: String,
    /// The new code; without it, the file that hive.toml names
    #[arg(value_name = "FILE.wasm", conflicts_with_all = ["back", "promote", "roll_back"])]
    code: Option<PathBuf>,
    /// Returns to the previous version, or ends a canary or a shadow
    #[arg(long, conflicts_with_all = ["trial", "deliveries"])]
    back: bool,
    /// Ends a canary or a shadow: it takes over now
    #[arg(long, conflicts_with_all = ["back", "roll_back", "trial", "deliveries", "all_hosts"])]
    promote: bool,
    /// Ends a canary or a shadow: it goes
    #[arg(long, visible_alias = "drop", conflicts_with_all = ["back", "trial", "deliveries", "all_hosts"])]
    roll_back: bool,
    /// First gives the new version this share of the deliveries; it takes over if its failure rate is
    /// at most 1 percentage point above the old one's
    #[arg(long, value_name = "PERCENT", value_parser = percent, group = "trial", conflicts_with = "all_hosts")]
    canary: Option<f64>,
    /// First gives the new version a copy of each delivery; its answers are compared and dropped,
    /// until --promote or --drop
    #[arg(long, group = "trial", conflicts_with = "all_hosts")]
    shadow: bool,
    /// Judges a canary, or reports on a shadow, after this many [default: 200]
    #[arg(long, value_name = "N", requires = "trial", value_parser = clap::value_parser!(u32).range(1..))]
    deliveries: Option<u32>,
    /// Does not wait for the verdict on a canary, or the report on a shadow
    #[arg(long, requires = "trial")]
    no_wait: bool,
    #[command(flatten)]
    whose: Whose,
    /// Prints the host's answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    host: Where,
    #[command(flatten)]
    whose: Whose,
    /// Prints the host's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Reads a percentage, as in `5%` or `5`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("write a share above 0% and up to 100%, as in 5%".to_owned()),
    }
}

pub(super) fn run(arguments: &Swap) -> Exit {
    swap(arguments).unwrap_or_else(|exit| exit)
}

pub(super) fn reload(arguments: &Reload) -> Exit {
    let path = arguments.whose.on("/v1/reload".to_owned());
    let answer = arguments
        .host
        .find()
        .and_then(|host| host.post(&path, &Content::Nothing));
    let answer = match answer {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    arguments.whose.print(&answer, arguments.json, |answer| {
        let changes = answer["changes"].as_array().into_iter().flatten();
        let changes: Vec<_> = changes
            .filter_map(|change| change.as_str().map(str::to_owned))
            .collect();
        match changes.is_empty() {
            true => vec![format!(
                "nothing has changed in {}",
                arguments.host.file().display()
            )],
            false => changes,
        }
    })
}

fn swap(arguments: &Swap) -> Result<Exit, Exit> {
    let host = arguments.host.find()?;
    let code = arguments.code.as_deref().map(read).transpose();
    let code = code.map_err(|reason| {
        fault!("{reason}");
        Exit::Misused
    })?;
    let content = match &code {
        Some(code) => Content::Code(code),
        None => Content::Nothing,
    };
    // Nothing is wrong with the command or with hive.toml, whatever the code is like.
    let answer = host
        .post(&path(arguments), &content)
        .map_err(|_told| Exit::Failed)?;
    let exit = arguments.whose.print(&answer, arguments.json, |answer| {
        vec![sentence(&arguments.component, answer)]
    });
    if answer["done"] == "on_trial" && !arguments.no_wait {
        return verdict(arguments, &host, &answer);
    }
    if answer["done"] == "shadowed" && !arguments.no_wait {
        return reported(arguments, &host, &answer);
    }
    Ok(exit)
}

/// The code in a file, if a running host takes it; or why not.
fn read(file: &Path) -> Result<Vec<u8>, String> {
    let name = file.display();
    let length = file.metadata().map_or(0, |file| file.len());
    if length > LARGEST_CODE as u64 {
        return Err(format!(
            "{name} has {} MiB, and a running host is sent {} MiB at most; put it where the component's \
             `path` in hive.toml leads, and swap without a file",
            length.div_ceil(1 << 20),
            LARGEST_CODE >> 20
        ));
    }
    files::read(file).map_err(|error| format!("{name} cannot be read: {error}"))
}

fn path(arguments: &Swap) -> String {
    let component = encoded(&arguments.component);
    let ends = [
        (arguments.back, "back"),
        (arguments.promote, "promote"),
        (arguments.roll_back, "roll-back"),
    ];
    if let Some((_, verb)) = ends.iter().find(|(is_meant, _)| *is_meant) {
        return arguments
            .whose
            .on(format!("/v1/components/{component}/{verb}"));
    }
    let mut path = format!("/v1/components/{component}/swap");
    if let Some(percent) = arguments.canary {
        path.push_str(&format!("?canary={percent}"));
    }
    if arguments.shadow {
        path.push_str("?shadow=true");
    }
    if let Some(deliveries) = arguments.deliveries {
        path.push_str(&format!("&deliveries={deliveries}"));
    }
    arguments.whose.on(path)
}

fn sentence(component: &str, answer: &Value) -> String {
    let version = |key: &str| {
        let sum = answer[key]["sha256"].as_str().unwrap_or_default();
        let sum = sum.get(..SUM_DIGITS).unwrap_or(sum);
        format!("generation {} (sha256 {sum})", answer[key]["generation"])
    };
    match answer["done"].as_str() {
        Some("swapped") => format!("{component}: {} -> {}", version("before"), version("after")),
        Some("on_trial") => format!(
            "{component}: {} is on trial beside {}",
            version("canary"),
            version("current")
        ),
        Some("shadowed") => format!(
            "{component}: {} gets a copy of each delivery; {} serves",
            version("shadow"),
            version("current")
        ),
        Some("shadow_dropped") => format!(
            "{component}: {} is dropped, {} keeps serving",
            version("shadow"),
            version("current")
        ),
        Some("promoted") => format!(
            "{component}: {} is promoted; {} served before",
            version("after"),
            version("before")
        ),
        Some("trial_ended") => format!(
            "{component}: {} is off trial, {} keeps serving",
            version("canary"),
            version("current")
        ),
        Some("unchanged") => format!(
            "{component}: nothing changed; {} has this code already",
            version("current")
        ),
        _ => format!("{component}: {answer}"),
    }
}

/// The component, as the host shows it now.
fn look(component: &str, host: &Remote) -> Result<Value, Exit> {
    let components = host.get("/v1/components")?;
    let mut components = components.as_array().into_iter().flatten();
    let found = components.find(|one| one["component"] == component);
    Ok(found.cloned().unwrap_or(Value::Null))
}

fn wait() {
    #[expect(
        clippy::disallowed_methods,
        reason = "this thread has nothing else to do"
    )]
    std::thread::sleep(LOOK_EVERY);
}

/// Waits for the report of the shadow, and prints it.
fn reported(arguments: &Swap, host: &Remote, started: &Value) -> Result<Exit, Exit> {
    let generation = &started["shadow"]["generation"];
    let component = &arguments.component;
    let shadow = loop {
        let mut now = look(component, host)?;
        let shadow = now["shadow"].take();
        if shadow["generation"] != *generation {
            let last = now["last_shadow"].take();
            if last["generation"] != *generation {
                fault!("{component}: the shadow was ended, and nothing is known of it any more");
                return Ok(Exit::Failed);
            }
            break last;
        }
        if shadow["done"] == true {
            break shadow;
        }
        wait();
    };
    match arguments.json {
        true => say::json(&shadow),
        false => say::lines(&report::text(component, &shadow)),
    }
    let is_over = shadow["done"] == true;
    if !is_over {
        fault!(
            "{component}: the shadow was {} before {} deliveries were compared",
            shadow["end"].as_str().unwrap_or("ended"),
            shadow["wanted"]
        );
    }
    Ok(match is_over && shadow["all_same"] == true {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// Waits for what becomes of the canary.
fn verdict(arguments: &Swap, host: &Remote, started: &Value) -> Result<Exit, Exit> {
    let canary = &started["canary"]["generation"];
    let component = &arguments.component;
    loop {
        let now = look(component, host)?;
        if now["canary"]["generation"] == *canary {
            wait();
            continue;
        }
        let decision = &now["last_canary"];
        if decision["generation"] != *canary {
            fault!("{component}: the canary was ended before it was judged");
            return Ok(Exit::Failed);
        }
        let counts = format!(
            "{} of its {} deliveries failed, and {} of {} of the old version's",
            decision["failed"],
            decision["deliveries"],
            decision["current_failed"],
            decision["current_deliveries"]
        );
        let by_hand = match decision["by_hand"] == true {
            true => " by hand",
            false => "",
        };
        if decision["promoted"] == true {
            out!("{component}: the canary is promoted{by_hand}; {counts}");
            return Ok(Exit::Done);
        }
        fault!("{component}: the canary is rolled back{by_hand}; {counts}");
        return Ok(Exit::Failed);
    }
}
