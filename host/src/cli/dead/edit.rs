//! `dead edit`: a dead letter is changed, in an editor or by flags, and sent.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use hive_amqp::{LARGEST_BODY, Letter};
use hive_config::plan::Plan;
use hive_core::dead::Draft;
use rand::Rng;
use serde_json::{Map, Value, json};

use super::Which;
use super::walked::{cost_of_looking, failed};
use crate::cli::broker::{Broker, connect};
use crate::cli::message_flags::MessageFlags;
use crate::cli::say::{self, fault, out};
use crate::cli::{Exit, block_on_result, message_file};
use crate::dead::{
    Edited, Filter, Found, Meant, Place, contracts, draft_of, find, finish, replace_and_send,
};

const CLIENT: &str = "hive-host dead edit";

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    #[command(flatten)]
    pub(super) which: Which,
    /// The message-id of the dead letter, unless --where or --group leaves one alone
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Takes this file as the body, or with - standard input, in place of an editor
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Sets the routing key that a consumer sees
    #[arg(long, value_name = "KEY")]
    routing_key: Option<String>,
    #[command(flatten)]
    set: MessageFlags,
    /// Sends the message to this queue instead of the one in which it failed
    #[arg(long, value_name = "QUEUE")]
    pub(super) to: Option<String>,
    /// Sends it although an interrupted edit may have sent it already
    #[arg(long)]
    again: bool,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

/// What comes of a look at the dead letter.
enum Looked {
    /// It can be edited.
    Editable(Box<Letter>),
    /// There is nothing more to do.
    Over(Exit),
}

pub(super) fn run(edit: &Edit, plan: &Plan, meant: &Meant<'_>) -> Result<Exit, Exit> {
    let chosen = &edit.which.chosen;
    if edit.id.is_none() && edit.which.is_everything() {
        fault!(
            "which dead letter? Name its message-id behind the queue, or say which with --where"
        );
        return Err(Exit::Misused);
    }
    if chosen.limit.is_some() {
        fault!("`dead edit` is about one message; --limit does not go with it");
        return Err(Exit::Misused);
    }
    let filter = chosen.wanted(None, false).filter;
    let letter = match block_on_result(look(edit, meant, filter))? {
        Looked::Over(exit) => return Ok(exit),
        Looked::Editable(letter) => letter,
    };
    let before = draft_of(&letter);
    let draft = edit.draft(&before)?;
    if draft == before && !edit.again {
        out!("nothing was changed, and nothing was sent");
        return Ok(Exit::Done);
    }
    let to = edit.to.as_deref().or(letter.death.queue.as_deref());
    let checked = draft
        .replaces(&before)
        .and_then(|()| to.map_or(Ok(()), |to| contracts(plan, to, &draft)));
    checked.map_err(|reason| refused(&reason))?;
    let edited = block_on_result(async {
        let broker = connect(meant.connection, CLIENT)?;
        let publisher = broker.publisher();
        let place = place(meant, &broker, &publisher);
        let edited = replace_and_send(&place, &letter, draft, edit.to.as_deref()).await;
        broker.leave().await;
        edited.map_err(failed)
    })?;
    tell(&edited, meant, edit.json);
    Ok(Exit::Done)
}

fn place<'a>(
    meant: &'a Meant<'_>,
    broker: &'a Broker,
    publisher: &'a hive_amqp::Publisher,
) -> Place<'a> {
    Place {
        queue: &meant.queue,
        connection: &broker.connection,
        publisher,
        tasks: &broker.tasks,
    }
}

async fn look(edit: &Edit, meant: &Meant<'_>, filter: Filter) -> Result<Looked, Exit> {
    let broker = connect(meant.connection, CLIENT)?;
    let publisher = broker.publisher();
    let place = place(meant, &broker, &publisher);
    let looked = async {
        cost_of_looking(&meant.queue, edit.which.chosen.counted, &broker).await?;
        let found = find(&place, edit.id.as_deref(), filter).await;
        match found.map_err(failed)? {
            Found::Letter(letter) => Ok(Looked::Editable(letter)),
            Found::Draft { draft, .. } if edit.again => Ok(Looked::Editable(draft)),
            Found::Draft { draft, is_back } => {
                let is_sent = finish(&place, &draft, is_back).await.map_err(failed)?;
                Ok(Looked::Over(interrupted(&draft, is_sent, meant, edit.json)))
            }
            Found::None => {
                fault!("no dead letter in {:?} matches", meant.queue);
                Err(Exit::Failed)
            }
            Found::Several(several) => {
                fault!(
                    "{several} dead letters in {:?} match; say which with --where, as in --where number=3",
                    meant.queue
                );
                Err(Exit::Failed)
            }
        }
    };
    let looked = looked.await;
    broker.leave().await;
    looked
}

/// What is known of an edit that was interrupted.
fn interrupted(draft: &Letter, is_sent: bool, meant: &Meant<'_>, as_json: bool) -> Exit {
    let id = draft.delivery.original.message_id().unwrap_or_default();
    let to = draft.death.queue.as_deref().unwrap_or_default();
    if is_sent {
        match as_json {
            true => say::json(&result(id, to, meant, "finished")),
            false => out!(
                "an earlier edit had sent it as {id} to {to} and was interrupted then; that edit is finished now"
            ),
        }
        return Exit::Done;
    }
    fault!(
        "an earlier edit of it was interrupted as it was sent, as {id}, and {to:?} does not hold it: it was handled \
         meanwhile, or never sent. If it was handled, delete it: --where message-id={id} of `hive-host dead purge`. If \
         not, add --again, which sends it"
    );
    Exit::Failed
}

fn result(id: &str, to: &str, meant: &Meant<'_>, what: &str) -> Value {
    json!({ "queue": meant.queue, "result": what, "message-id": id, "to": to })
}

fn tell(edited: &Edited, meant: &Meant<'_>, as_json: bool) {
    let Edited { message_id, to } = edited;
    match as_json {
        true => say::json(&result(message_id, to, meant, "sent")),
        false => out!(
            "edited and sent from {} to {to}, as {message_id}",
            meant.queue
        ),
    }
}

fn refused(reason: &str) -> Exit {
    fault!("{reason}; nothing was changed");
    Exit::Misused
}

impl Edit {
    /// The letter as it is wanted: by flags, or out of an editor.
    fn draft(&self, before: &Draft) -> Result<Draft, Exit> {
        let by_flags = self.body.is_some() || self.routing_key.is_some() || self.set.are_there();
        match by_flags {
            true => self.by_flags(before),
            false if self.again => Ok(before.clone()),
            false => by_editor(before),
        }
    }

    fn by_flags(&self, before: &Draft) -> Result<Draft, Exit> {
        let mut draft = before.clone();
        if let Some(file) = &self.body {
            let (_, body) = message_file::read(Some(file), "the body", LARGEST_BODY)?;
            draft.message.body = body.into();
        }
        let mut front = draft.front();
        let set = self.set.object().map_err(|reason| refused(&reason))?;
        if let Value::Object(set) = set {
            for (name, value) in set {
                match (name.as_str(), value) {
                    ("headers", Value::Object(headers)) => {
                        let all = front
                            .entry("headers")
                            .or_insert_with(|| Value::Object(Map::new()));
                        if let Value::Object(all) = all {
                            all.extend(headers);
                        }
                    }
                    (_, value) => {
                        front.insert(name, value);
                    }
                }
            }
        }
        if let Some(key) = &self.routing_key {
            front.insert("routing-key".into(), key.as_str().into());
        }
        draft.with_front(front).map_err(|reason| refused(&reason))
    }
}

/// Has the user edit it. What cannot be taken is kept in its file.
fn by_editor(before: &Draft) -> Result<Draft, Exit> {
    let Some(text) = before.text() else {
        fault!("the body is not text; give another one with --body FILE");
        return Err(Exit::Misused);
    };
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then_some(value)
    });
    let Some(editor) = editor else {
        fault!(
            "set VISUAL or EDITOR to an editor, or say what to change with --body, --header or --property"
        );
        return Err(Exit::Misused);
    };
    let random: u64 = rand::rng().random();
    let file = std::env::temp_dir().join(format!("hive-edit-{random:016x}.txt"));
    let edited = write(&file, &text).and_then(|()| opened(&editor, &file));
    let edited = edited.map_err(|error| {
        let _gone = fs::remove_file(&file);
        fault!("{error}; nothing was changed");
        Exit::Failed
    })?;
    if edited == text {
        let _gone = fs::remove_file(&file);
        return Ok(before.clone());
    }
    let draft = before.read(&edited).and_then(|draft| {
        draft.replaces(before)?;
        Ok(draft)
    });
    match draft {
        Ok(draft) => {
            let _gone = fs::remove_file(&file);
            Ok(draft)
        }
        Err(reason) => {
            fault!(
                "{reason}; nothing was changed, and your text is in {}",
                file.display()
            );
            Err(Exit::Misused)
        }
    }
}

/// A file that only its user may read: it has a message in it.
fn write(file: &Path, text: &str) -> Result<(), String> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

fn opened(editor: &str, file: &Path) -> Result<String, String> {
    // The variable may hold arguments too, as a shell reads them.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg(editor)
        .arg(file)
        .status();
    match status {
        Err(error) => Err(format!("`{editor}` cannot be started: {error}")),
        Ok(status) if !status.success() => Err(format!("`{editor}` ended with {status}")),
        Ok(_) => fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display())),
    }
}
