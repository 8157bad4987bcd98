//! The host's place in its group: it says that it is there, remembers who else is, answers what they ask, and asks them.
//! Where an operator wants it, it has the others carry out a command, and they have it.
//!
//! No delivery waits for anything here: a group that cannot be reached costs the view of it and nothing else.

mod everywhere;
mod obeying;
mod wanted;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use hive_amqp::{Connection, Invitation, Meeting, To, Unsent};
use hive_config::plan::{Placement, Plan};
use hive_core::codes::Reason;
use hive_core::group::{
    Answer, ConsumerState, HostState, Key, Member, Question, Report, Said, Sealed, Table,
};
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::obeying::{HELD_FOR, Obeying};
use super::board::Board;
use crate::audit::Audit;
use crate::control::Control;
use crate::random;
use crate::status::{ConsumerStatus, GroupStatus};

/// How often a host says that it is there, plus or minus a tenth. Others learn of it when it comes; this is for a
/// message that was lost.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);

/// The silence after which a member is looked for.
const SILENT_AFTER: Duration = Duration::from_secs(30);

/// How long the answer to a question is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers that may wait to be sent. Questions beyond them are not answered.
const MOST_ANSWERS: usize = 64;

/// How long an answer is kept for a host that cannot be reached: a reload may have opened the connection again over which
/// the hosts meet. And the pauses between the attempts.
const KEEP_ANSWER: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// The group of this host.
pub(super) struct Group {
    name: Arc<str>,
    me: Member,
    /// The connection over which the hosts meet.
    connection: Arc<str>,
    board: Arc<Board>,
    /// Of the commands for all hosts; `None` if this host takes and gives none.
    key: Option<Key>,
    obeying: Arc<Obeying>,
    /// Those of the host: a command may end the connection over which it came.
    tasks: Tasks,
    began: Instant,
    table: Mutex<Table>,
    /// Questions that wait for their answers: whom they were put to, and where the answer goes.
    asked: Mutex<HashMap<u64, (String, oneshot::Sender<Answer>)>>,
    next: AtomicU64,
    meeting: ArcSwapOption<Meeting>,
}

/// What came of a question to a member.
#[derive(Debug)]
enum Asked {
    Answered(Answer),
    /// It is there, and did not answer in time.
    Silent,
    Gone,
    /// The group cannot be reached.
    Away(Reason),
}

impl Group {
    /// The group that the plan names, which has not been joined yet.
    pub(super) fn of(
        plan: &Plan,
        board: &Arc<Board>,
        control: &Control,
        audit: &Audit,
        tasks: &Tasks,
    ) -> Option<Arc<Self>> {
        let name = Arc::clone(plan.host.group.as_ref()?);
        let main = plan.main_connection();
        let connection = main.or_else(|| plan.connections.values().next())?;
        let token = plan.host.admin_token.as_ref();
        Some(Arc::new(Self {
            key: token.map(|token| Key::new(token.expose_secret())),
            obeying: Obeying::new(&name, control, audit, tasks, HELD_FOR),
            tasks: tasks.clone(),
            name,
            me: Member {
                id: random::id(),
                host: plan.host.name.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            connection: Arc::clone(&connection.name),
            board: Arc::clone(board),
            began: Instant::now(),
            table: Mutex::default(),
            asked: Mutex::default(),
            next: AtomicU64::new(0),
            meeting: ArcSwapOption::empty(),
        }))
    }

    /// Joins over a connection, if that is the one of the group, until `tasks` close.
    pub(super) fn join(self: &Arc<Self>, name: &str, connection: &Connection, tasks: &Tasks) {
        if *name != *self.connection {
            return;
        }
        let invitation = Invitation {
            group: &self.name,
            id: &self.me.id,
            hello: Said::Here { is_new: true }.octets(&self.me),
        };
        let (meeting, heard) = connection.meet(invitation, tasks);
        self.meeting.store(Some(Arc::new(meeting.clone())));
        let (group, close) = (Arc::clone(self), tasks.close().clone());
        tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = group.attend(&meeting, heard) => {}
            }
        });
    }

    /// The hosts of the group, each with what it reports.
    pub(super) async fn status(&self) -> GroupStatus {
        let others = self.table().all();
        let asking = others.into_iter().map(async |member| {
            let number = self.next_number();
            let asked = self.ask(&member, number, Question::State, PATIENCE).await;
            (member, asked)
        });
        let mut away = self.away();
        let mut reports = vec![Report {
            member: self.me.clone(),
            state: Some(self.state()),
        }];
        for (member, asked) in join_all(asking).await {
            let state = match asked {
                Asked::Answered(Answer::State(state)) => Some(state),
                Asked::Silent | Asked::Answered(Answer::Step(_)) => None,
                Asked::Gone => continue,
                Asked::Away(reason) => {
                    away.get_or_insert(reason);
                    continue;
                }
            };
            reports.push(Report { member, state });
        }
        reports.sort_by(|one, other| one.member.host.cmp(&other.member.host));
        GroupStatus {
            group: Arc::clone(&self.name),
            this: self.me.id.clone(),
            away,
            reports,
        }
    }

    fn away(&self) -> Option<Reason> {
        match &*self.meeting.load() {
            Some(meeting) => meeting.away(),
            None => Some("the host is starting".into()),
        }
    }

    async fn attend(self: &Arc<Self>, meeting: &Meeting, mut heard: mpsc::Receiver<Vec<u8>>) {
        let mut sending = FuturesUnordered::<BoxFuture<'_, ()>>::new();
        let mut due = next_announcement();
        loop {
            tokio::select! {
                Some(octets) = heard.recv() => {
                    match self.hear(&octets) {
                        Some((to, reply)) if sending.len() < MOST_ANSWERS => {
                            sending.push(Box::pin(self.send(meeting, to, reply)));
                        }
                        Some((to, _)) => tracing::debug!(?to, "too many questions of the group; this one is not answered"),
                        None => {}
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    due = next_announcement();
                    let here = Said::Here { is_new: false };
                    sending.push(Box::pin(self.send(meeting, To::All, here.clone())));
                    let silent = self.table().silent(SILENT_AFTER, self.began.elapsed());
                    for id in silent {
                        sending.push(Box::pin(self.send(meeting, To::Member(id), here.clone())));
                    }
                }
                Some(()) = sending.next() => {}
            }
        }
    }

    /// Takes in a message of the group; the result is what is to be said about it, and to whom.
    fn hear(self: &Arc<Self>, octets: &[u8]) -> Option<(To, Said)> {
        let (member, said) = match Said::read(octets) {
            Ok(read) => read,
            Err(why) => {
                self.ignore(&why);
                return None;
            }
        };
        if member.id == self.me.id {
            return None;
        }
        let to = To::Member(member.id.clone());
        let sender = member.clone();
        self.table().heard(member, self.began.elapsed());
        match said {
            Said::Here { is_new } => is_new.then_some((to, Said::Here { is_new: false })),
            Said::Asks { number, question } => {
                let answer = match question {
                    Question::State => Answer::State(self.state()),
                    Question::Step(sealed) => {
                        self.obey_meanwhile(sender, number, sealed);
                        return None;
                    }
                };
                Some((to, Said::Answers { number, answer }))
            }
            Said::Answers { number, answer } => {
                self.answered(number, &sender.id, answer);
                None
            }
        }
    }

    /// An answer counts if it is that of the member who was asked.
    fn answered(&self, number: u64, sender: &str, answer: Answer) {
        let mut asked = self.asked();
        if asked.get(&number).is_some_and(|(whom, _)| whom == sender)
            && let Some((_, waits)) = asked.remove(&number)
            && waits.send(answer).is_err()
        {
            tracing::trace!("an answer of the group comes too late");
        }
    }

    async fn send(&self, meeting: &Meeting, to: To, said: Said) {
        let sent = meeting.send(to.clone(), said.octets(&self.me)).await;
        if let (To::Member(id), Err(Unsent::Gone)) = (&to, &sent) {
            self.table().gone(id);
        }
        if let Err(why) = sent {
            tracing::debug!(%why, ?to, "a message to the group was not sent");
        }
    }

    /// Takes a step for another host, and answers when it is taken.
    fn obey_meanwhile(self: &Arc<Self>, asker: Member, number: u64, sealed: Sealed) {
        let group = Arc::clone(self);
        self.tasks.spawn_service(async move {
            let answer = Answer::Step(group.obey(&asker, number, sealed).await);
            let octets = Said::Answers { number, answer }.octets(&group.me);
            let until = Instant::now() + KEEP_ANSWER;
            loop {
                let to = To::Member(asker.id.clone());
                let sent = match group.meeting.load_full() {
                    Some(meeting) => meeting.send(to, octets.clone()).await,
                    None => return,
                };
                match sent {
                    Ok(()) => return,
                    Err(why) if Instant::now() >= until => {
                        tracing::debug!(%why, host = asker.host, "what came of a command could not be said");
                        return;
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        });
    }

    fn ignore(&self, reason: &dyn Display) {
        let group = &self.name;
        Fact::GroupMessageIgnored { group, reason }.emit();
    }

    fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a question to a member.
    async fn ask(
        &self,
        member: &Member,
        number: u64,
        question: Question,
        patience: Duration,
    ) -> Asked {
        let (waits, answer) = oneshot::channel();
        self.asked().insert(number, (member.id.clone(), waits));
        let asking = self.ask_as(number, member, question, answer);
        let asked = tokio::time::timeout(patience, asking).await;
        self.asked().remove(&number);
        asked.unwrap_or(Asked::Silent)
    }

    async fn ask_as(
        &self,
        number: u64,
        member: &Member,
        question: Question,
        answer: oneshot::Receiver<Answer>,
    ) -> Asked {
        let Some(meeting) = self.meeting.load_full() else {
            return Asked::Away("the host is starting".into());
        };
        let said = Said::Asks { number, question };
        let to = To::Member(member.id.clone());
        match meeting.send(to, said.octets(&self.me)).await {
            Ok(()) => answer.await.map_or(Asked::Silent, Asked::Answered),
            Err(Unsent::Gone) => {
                self.table().gone(&member.id);
                Asked::Gone
            }
            Err(Unsent::Away(reason)) => Asked::Away(reason),
        }
    }

    fn state(&self) -> HostState {
        let status = self.board.status();
        HostState {
            uptime: self.began.elapsed().as_secs(),
            consumers: status.consumers.iter().map(consumer).collect(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, (String, oneshot::Sender<Answer>)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn consumer(status: &ConsumerStatus) -> ConsumerState {
    let idle = |idle: Duration| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    ConsumerState {
        consumer: status.consumer.to_string(),
        queue: status.queue.to_string(),
        connection: status.connection.to_string(),
        is_single: status.placement == Placement::Single,
        state: status.state().to_owned(),
        idle: status.idle.map(idle),
    }
}

/// The SHA-256, in hexadecimal.
fn sum(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// Hosts that were started together do not all announce themselves together.
fn next_announcement() -> Instant {
    Instant::now() + ANNOUNCE_EVERY.mul_f64(rand::random_range(0.9..1.1))
}
