//! What the admin server does with dead letters: one thing at a time, over a connection of its own, with bounds on what
//! it holds. [`super::Walk`], [`super::replay`](fn@super::replay) and [`super::find`] do the work, as they do for `hive-host
//! dead`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hive_amqp::{Connection, LARGEST_BODY, Letter, LookCost};
use hive_config::plan::Plan;
use hive_core::codes::{Code, Coded};
use hive_core::dead::Draft;
use hive_core::json::base64;
use hive_lifecycle::Tasks;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::{
    Edited, Filter, Found, Numbered, Place, Target, Unexpected, Walk, Wanted, Way, contracts,
    draft_of, find, finish, groups_json, line_json, meant, purge, replace_and_send, replay,
    replayed_json, whole_json,
};
use crate::client::Client;

/// The name of the connection.
const CLIENT: &str = "hive-host admin";

/// How long one waits for those before it.
const TURN: Duration = Duration::from_secs(10);

/// The most bytes of a body that are shown.
const SHOWN_BODY: usize = 64 << 10;

/// Messages of a list, unless another number is asked for, and at most.
const LISTED: u64 = 100;
const MOST_LISTED: u64 = 1_000;

/// The same of whole messages.
const SHOWN: u64 = 10;
const MOST_SHOWN: u64 = 50;

/// The plan at the moment of the call.
pub type PlanReader = Arc<dyn Fn() -> Arc<Plan> + Send + Sync>;

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// A consumer or a queue: see [`meant`].
    pub name: String,
    /// Whether the name is that of a queue, and of nothing else.
    pub is_exact: bool,
    /// The connection, if it does not follow from the name.
    pub connection: Option<String>,
    /// Which of its messages.
    pub filter: Filter,
    /// The largest number of them.
    pub limit: Option<u64>,
    /// Look even where the broker counts a look as a return.
    pub may_count: bool,
}

/// What is to be done with them.
#[derive(Debug)]
pub enum Job {
    /// A line for each.
    List,
    /// How many there are.
    Count,
    /// Those that ended alike, counted.
    Groups,
    /// Each in full.
    Show,
    /// Back to where they failed, or to another queue, if there are as many as expected.
    Republish {
        /// The other queue.
        to: Option<String>,
        /// How many there have to be.
        expect: u64,
    },
    /// Deleted, if there are as many as expected.
    Purge {
        /// The name of the queue, as the person has typed it.
        name: String,
        /// How many there have to be.
        expect: u64,
    },
    /// The one that there is, changed and sent.
    Edit(Revision),
}

/// A dead letter as it is wanted.
#[derive(Debug, Default)]
pub struct Revision {
    /// Its properties and headers, as it is shown with them; as they are without.
    pub front: Option<Map<String, Value>>,
    /// Its body; as it is without.
    pub body: Option<Vec<u8>>,
    /// Another queue than that in which it failed.
    pub to: Option<String>,
    /// Although an interrupted edit may have sent it already.
    pub again: bool,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskFault {
    /// The request makes no sense.
    #[error("{0}")]
    Misused(String),
    /// Bodies and headers are not shown on this host.
    #[error(
        "`host.admin_bodies` is false on this host: bodies and headers are not shown, asked for or edited"
    )]
    Hidden,
    /// The queue has other messages than were expected, or they cannot be sent.
    #[error("{0}")]
    Conflict(String),
    /// The broker counts a look, and the request does not say that it may.
    #[error("{0}")]
    Counted(String),
    /// The broker cannot be asked.
    #[error("{0}")]
    Away(Coded),
    /// Somebody else looks at dead letters.
    #[error("another look at dead letters, or a replay, is running; try again when it has ended")]
    Busy,
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

impl DeskFault {
    /// Its code, if it has one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Away(fault) => fault.code,
            _ => None,
        }
    }
}

/// Clones share its turn.
#[derive(Clone)]
pub struct Desk {
    plan: PlanReader,
    shows_bodies: bool,
    turn: Arc<Semaphore>,
    tasks: Tasks,
}

impl Desk {
    /// For the host of this plan.
    pub fn new(plan: PlanReader, shows_bodies: bool, tasks: &Tasks) -> Self {
        Self {
            plan,
            shows_bodies,
            turn: Arc::new(Semaphore::new(1)),
            tasks: tasks.clone(),
        }
    }

    /// Does it, to the end even where nobody waits for the answer any more.
    ///
    /// # Errors
    ///
    /// See [`DeskFault`]; each says what was done, if anything was.
    pub async fn carry_out(&self, choice: Choice, job: Job) -> Result<Value, DeskFault> {
        let edits = matches!(job, Job::Edit(_));
        if !self.shows_bodies && (choice.filter.asks_content() || edits) {
            return Err(DeskFault::Hidden);
        }
        let turn = Arc::clone(&self.turn).acquire_owned();
        let turn = tokio::time::timeout(TURN, turn).await;
        let Ok(Ok(turn)) = turn else {
            return Err(DeskFault::Busy);
        };
        let plan = (self.plan)();
        let desk = self.clone();
        let done = self.tasks.spawn_work(async move {
            let done = desk.done(&plan, &choice, job).await;
            drop(turn);
            done
        });
        done.await.unwrap_or(Err(DeskFault::Stopping))
    }

    async fn done(&self, plan: &Plan, choice: &Choice, job: Job) -> Result<Value, DeskFault> {
        let discovered;
        let plan = match plan.patterns.is_empty() {
            true => plan,
            false => {
                discovered = plan.clone().with_consumer_of(&choice.name);
                &discovered
            }
        };
        let connection = choice.connection.as_deref();
        let meant =
            meant(plan, &choice.name, choice.is_exact, connection).map_err(DeskFault::Misused)?;
        if let Job::Purge { name, .. } = &job
            && *name != meant.queue
        {
            return Err(DeskFault::Misused(format!(
                "this deletes messages of {:?}, and the name that was typed is {name:?}",
                meant.queue
            )));
        }
        let client = Client::connect(meant.connection, CLIENT).map_err(DeskFault::Away)?;
        let work = Work {
            plan,
            choice,
            queue: &meant.queue,
            client: &client,
            shows_bodies: self.shows_bodies,
        };
        let drain = self.tasks.drain();
        // What takes messages out ends by itself, between two of them.
        let done = match &job {
            Job::Republish { .. } | Job::Purge { .. } | Job::Edit(_) => work.take(job, drain).await,
            _ => tokio::select! {
                () = drain.cancelled() => Err(DeskFault::Stopping),
                done = work.look(&job) => done,
            },
        };
        client.leave().await;
        done
    }
}

struct Work<'a> {
    plan: &'a Plan,
    choice: &'a Choice,
    queue: &'a str,
    client: &'a Client,
    shows_bodies: bool,
}

impl Work<'_> {
    async fn look(&self, job: &Job) -> Result<Value, DeskFault> {
        let limit = match job {
            Job::List => Some(self.limit(LISTED, MOST_LISTED)),
            Job::Show => Some(self.limit(SHOWN, MOST_SHOWN)),
            _ => self.choice.limit,
        };
        let mut walk = self.begin(limit, None).await?;
        let looked = match job {
            Job::Groups => {
                let groups = walk.groups().await.map_err(away)?;
                let (groups, others) = groups.sorted();
                groups_json(&groups, others, &walk, self.queue)
            }
            _ => {
                let mut messages = Vec::new();
                while let Some(one) = walk.next().await.map_err(away)? {
                    match job {
                        Job::List => messages.push(self.line(&one)),
                        Job::Show => messages.push(self.whole(one)),
                        _ => {}
                    }
                }
                let mut looked = json!({
                    "queue": self.queue,
                    "there": walk.there(),
                    "seen": walk.seen(),
                    "matched": walk.matched(),
                });
                if !matches!(job, Job::Count) {
                    looked["messages"] = messages.into();
                }
                looked
            }
        };
        walk.end().await;
        Ok(looked)
    }

    async fn take(
        &self,
        job: Job,
        drain: &tokio_util::sync::CancellationToken,
    ) -> Result<Value, DeskFault> {
        match job {
            Job::Republish { to, expect } => {
                if to.as_deref() == Some(self.queue) {
                    let text = "`to` names the queue that the messages are in; name another";
                    return Err(DeskFault::Misused(text.to_owned()));
                }
                let mut walk = self.begin(self.choice.limit, Some(expect)).await?;
                let target = Target {
                    from: self.queue.to_owned(),
                    way: to.map_or(Way::Home, Way::To),
                };
                let (connection, publisher) = (self.connection(), self.client.publisher());
                let stop = drain.cancelled();
                let replayed = replay(&mut walk, &target, connection, &publisher, stop).await;
                let done = replayed_json(&replayed, &walk, self.queue, "republished");
                walk.end().await;
                match replayed.broken {
                    Some(reason) if replayed.sent.is_empty() => Err(DeskFault::Conflict(reason)),
                    _ => Ok(done),
                }
            }
            Job::Purge { expect, .. } => {
                let mut walk = self.begin(self.choice.limit, Some(expect)).await?;
                let (purged, fault) = match purge(&mut walk, drain.cancelled()).await {
                    Ok(purged) => (purged, None),
                    Err((purged, fault)) => (purged, Some(fault.to_string())),
                };
                let there = walk.there();
                walk.end().await;
                Ok(
                    json!({ "queue": self.queue, "purged": purged, "there": there, "broken": fault }),
                )
            }
            Job::Edit(revision) => self.edit(revision).await,
            Job::List | Job::Count | Job::Groups | Job::Show => self.look(&job).await,
        }
    }

    /// A walk over what is chosen; with a number, all of it is held, and is as many.
    async fn begin(&self, limit: Option<u64>, expect: Option<u64>) -> Result<Walk, DeskFault> {
        self.may_look().await?;
        let wanted = Wanted {
            filter: self.choice.filter.clone(),
            limit,
            taken: expect.is_some(),
            held: expect.is_some(),
        };
        let tasks = &self.client.tasks;
        let walk = Walk::begin(self.connection(), self.queue, wanted, tasks).await;
        let mut walk = walk.map_err(away)?;
        if let Some(count) = expect
            && let Err(unexpected) = walk.expect(count, LARGEST_BODY).await
        {
            walk.end().await;
            return Err(match unexpected {
                Unexpected::Unread(fault) => away(fault),
                unexpected => DeskFault::Conflict(unexpected.to_string()),
            });
        }
        Ok(walk)
    }

    /// Whether a look costs nothing, or may cost something.
    async fn may_look(&self) -> Result<(), DeskFault> {
        let cost = self.connection().cost_of_looking(self.queue).await;
        match cost.map_err(away)? {
            LookCost::Return { remedy, .. } if !self.choice.may_count => {
                Err(DeskFault::Counted(format!(
                    "this broker counts each look at {:?} as a return of every message in it, and drops a message \
                     that came back too often, unless a policy says otherwise; {remedy}",
                    self.queue
                )))
            }
            _ => Ok(()),
        }
    }

    fn connection(&self) -> &Arc<Connection> {
        &self.client.connection
    }

    fn limit(&self, usual: u64, most: u64) -> u64 {
        self.choice.limit.unwrap_or(usual).min(most)
    }

    fn line(&self, one: &Numbered) -> Value {
        let mut line = line_json(one);
        line["identity"] = one.letter.identity().into();
        line
    }

    /// A whole message, with its body cut, and with what of it can be edited.
    fn whole(&self, mut one: Numbered) -> Value {
        let identity = one.letter.identity();
        let bytes = one.letter.delivery.envelope.message.body.len();
        let content = self.shows_bodies.then(|| content(&mut one.letter));
        one.letter.delivery.envelope.message.body = Bytes::new();
        if !self.shows_bodies {
            one.letter.delivery.envelope.message.properties.headers = Vec::new();
        }
        let mut whole = whole_json(&one);
        if let Some(whole) = whole.as_object_mut() {
            whole.retain(|name, _| !name.starts_with("body"));
        }
        whole["identity"] = identity.into();
        whole["bytes"] = bytes.into();
        if let Some(Content { body, front }) = content {
            whole["body"] = body;
            whole["cut"] = (bytes > SHOWN_BODY).into();
            whole["front"] = front.into();
        }
        whole
    }

    async fn edit(&self, revision: Revision) -> Result<Value, DeskFault> {
        self.may_look().await?;
        let publisher = self.client.publisher();
        let place = Place {
            queue: self.queue,
            connection: self.connection(),
            publisher: &publisher,
            tasks: &self.client.tasks,
        };
        let conflict = |fault: super::EditFault| DeskFault::Conflict(fault.to_string());
        let found = find(&place, None, self.choice.filter.clone()).await;
        let letter = match found.map_err(conflict)? {
            Found::Letter(letter) => letter,
            Found::Draft { draft, .. } if revision.again => draft,
            Found::Draft { draft, is_back } => {
                let is_sent = finish(&place, &draft, is_back).await.map_err(conflict)?;
                return self.interrupted(&draft, is_sent);
            }
            Found::None => {
                let text = format!("no dead letter in {:?} matches", self.queue);
                return Err(DeskFault::Conflict(text));
            }
            Found::Several(several) => {
                let text = format!("{several} dead letters in {:?} match", self.queue);
                return Err(DeskFault::Conflict(text));
            }
        };
        let before = draft_of(&letter);
        let to = revision.to.as_deref().or(letter.death.queue.as_deref());
        let draft = self
            .draft(&before, &revision, to)
            .map_err(DeskFault::Misused)?;
        let edited = replace_and_send(&place, &letter, draft, revision.to.as_deref()).await;
        let Edited { message_id, to } = edited.map_err(conflict)?;
        Ok(self.sent("sent", &message_id, &to))
    }

    fn draft(
        &self,
        before: &Draft,
        revision: &Revision,
        to: Option<&str>,
    ) -> Result<Draft, String> {
        let mut draft = before.clone();
        if let Some(body) = &revision.body {
            draft.message.body = body.clone().into();
        }
        if let Some(front) = &revision.front {
            draft = draft.with_front(front.clone())?;
        }
        if draft == *before && !revision.again {
            return Err("nothing was changed, and nothing was sent".to_owned());
        }
        draft.replaces(before)?;
        if let Some(to) = to {
            contracts(self.plan, to, &draft)?;
        }
        Ok(draft)
    }

    /// What is known of an edit that was interrupted.
    fn interrupted(&self, draft: &Letter, is_sent: bool) -> Result<Value, DeskFault> {
        let id = draft.delivery.original.message_id().unwrap_or_default();
        let to = draft.death.queue.as_deref().unwrap_or_default();
        match is_sent {
            true => Ok(self.sent("finished", id, to)),
            false => Err(DeskFault::Conflict(format!(
                "an earlier edit of it was interrupted as it was sent, as {id}, and {to:?} does not hold it: it was \
                 handled meanwhile, or never sent. If it was handled, delete it; if not, `hive-host dead edit --again` \
                 sends it"
            ))),
        }
    }

    fn sent(&self, what: &str, id: &str, to: &str) -> Value {
        json!({ "queue": self.queue, "result": what, "message-id": id, "to": to })
    }
}

/// What is in a message, for a person.
struct Content {
    /// At most the beginning of it.
    body: Value,
    /// What of it can be edited beside the body.
    front: Map<String, Value>,
}

/// Shows the content of a message, whose body is cut.
fn content(letter: &mut Letter) -> Content {
    let body = &mut letter.delivery.envelope.message.body;
    let is_cut = body.len() > SHOWN_BODY;
    if is_cut {
        // Not a part of the whole one, which would stay in memory.
        *body = Bytes::copy_from_slice(&body[..SHOWN_BODY]);
    }
    let shown = match std::str::from_utf8(body) {
        Ok(text) => json!({ "text": text }),
        // A cut in the middle of a character.
        Err(error) if is_cut && error.error_len().is_none() => {
            json!({ "text": String::from_utf8_lossy(&body[..error.valid_up_to()]) })
        }
        Err(_) => json!({ "base64": base64(body) }),
    };
    Content {
        body: shown,
        front: draft_of(letter).front(),
    }
}

fn away(fault: impl std::fmt::Display) -> DeskFault {
    DeskFault::Away(Coded::plain(fault))
}
