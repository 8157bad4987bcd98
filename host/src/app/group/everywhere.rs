//! A command for all hosts: each finds out whether it would carry it out, and when all would, all do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hive_core::group::{
    Answer, Exchange, Kind, Member, PART, Question, Reply, Sealed, Step, Told, Wanted,
};
use tokio::sync::oneshot;

use super::{Asked, Group, PATIENCE, wanted};
use crate::control::{Command, FromAll, FromHost, Outcome, Refusal};

/// How long a host may take to get a command ready: it may compile a large component.
const GETTING_READY: Duration = Duration::from_secs(120);

/// How long it may take to carry one out: a reload waits for deliveries in flight.
const CARRYING_OUT: Duration = Duration::from_secs(120);

const ANOTHER_ANSWER: &str = "it gave another answer than was asked for";

/// A host that is asked, and where it stands.
struct Stand {
    member: Member,
    is_this: bool,
    /// The command's, if the host is ready to carry it out.
    ticket: Option<String>,
    outcome: Outcome,
}

/// Why there is no reply.
enum Without {
    /// The host has gone.
    Gone,
    Told(Told),
}

impl Group {
    /// Has all hosts carry out a command, if each of them would; with `force`, those that would. Dropping the future
    /// does not cancel it.
    pub(in crate::app) async fn command(
        self: &Arc<Self>,
        command: Command,
        force: bool,
    ) -> Result<FromAll, Refusal> {
        if self.key.is_none() {
            return Err(Refusal::Conflict(
                "a command for all hosts needs `host.admin_token`, the same on each of them: it proves to the others \
                 where the command comes from; set it, and restart the hosts"
                    .to_owned(),
            ));
        }
        let (wanted, code) =
            wanted::parts(command).map_err(|why| Refusal::Conflict(why.to_owned()))?;
        if let (Some(reason), false) = (self.away(), force) {
            return Err(Refusal::Conflict(format!(
                "nothing was changed: the other hosts of the group cannot be reached: {reason}"
            )));
        }
        let (tell, told) = oneshot::channel();
        let group = Arc::clone(self);
        self.tasks.spawn_service(async move {
            let from_all = group.on_all(&wanted, &code, force).await;
            if tell.send(from_all).is_err() {
                tracing::debug!("nobody waits for what came of a command for all hosts");
            }
        });
        told.await.map_err(|_| Refusal::Stopping)
    }

    async fn on_all(self: &Arc<Self>, wanted: &Wanted, code: &[u8], force: bool) -> FromAll {
        let members = std::iter::once(self.me.clone()).chain(self.table().all());
        let call = crate::random::id();
        let standing = members.map(|member| self.get_ready(member, &call, wanted, code));
        let standing = join_all(standing).await;
        let mut standing: Vec<_> = standing.into_iter().flatten().collect();
        standing.sort_by(|one, other| one.member.host.cmp(&other.member.host));
        let all_are_ready = standing.iter().all(|one| one.outcome == Outcome::Ready);
        let carried_out = all_are_ready || force;
        if carried_out {
            // A reload may open the connection again over which the others answer, so this host is the last.
            let (this, others): (Vec<_>, Vec<_>) = standing.iter_mut().partition(|one| one.is_this);
            join_all(others.into_iter().map(|one| self.carry_out(one))).await;
            join_all(this.into_iter().map(|one| self.carry_out(one))).await;
        }
        if !all_are_ready {
            self.give_up(&call, &standing).await;
        }
        let hosts = standing.into_iter().map(|one| FromHost {
            host: one.member.host,
            is_this: one.is_this,
            outcome: one.outcome,
        });
        FromAll {
            group: Arc::clone(&self.name),
            carried_out,
            hosts: hosts.collect(),
        }
    }

    /// Has those hosts forget the command that have begun with it, or may have.
    async fn give_up(self: &Arc<Self>, call: &str, standing: &[Stand]) {
        let giving_up = |member: Member| {
            let group = Arc::clone(self);
            let call = call.to_owned();
            async move {
                // A host that does not hear it forgets the command after a while.
                let _heard_or_not = group
                    .take_step(&member, Step::GiveUp { call }, PATIENCE)
                    .await;
            }
        };
        let mut soon = Vec::new();
        for one in standing {
            match &one.outcome {
                Outcome::Done(_) => {}
                Outcome::Ready => soon.push(giving_up(one.member.clone())),
                // It may not answer now either, and nobody is to wait for that.
                Outcome::Refused(_) => {
                    self.tasks.spawn_service(giving_up(one.member.clone()));
                }
            }
        }
        join_all(soon).await;
    }

    /// Has a host get ready. `None` if it has gone.
    async fn get_ready(
        self: &Arc<Self>,
        member: Member,
        call: &str,
        wanted: &Wanted,
        code: &[u8],
    ) -> Option<Stand> {
        let (ticket, outcome) = match self.steps(&member, call, wanted, code).await {
            Ok(ticket) => (Some(ticket), Outcome::Ready),
            Err(Without::Told(told)) => (None, Outcome::Refused(told)),
            Err(Without::Gone) => return None,
        };
        Some(Stand {
            is_this: member.id == self.me.id,
            member,
            ticket,
            outcome,
        })
    }

    async fn steps(
        self: &Arc<Self>,
        member: &Member,
        call: &str,
        wanted: &Wanted,
        code: &[u8],
    ) -> Result<String, Without> {
        let step = Step::Begin {
            call: call.to_owned(),
            command: wanted.clone(),
        };
        let Reply::Begun { ticket } = self.take_step(member, step, PATIENCE).await? else {
            return Err(Without::Told(ANOTHER_ANSWER.into()));
        };
        for part in code.chunks(PART) {
            let step = Step::Part {
                ticket: ticket.clone(),
                code: part.to_owned(),
            };
            self.take_step(member, step, GETTING_READY).await?;
        }
        let prepare = Step::Prepare {
            ticket: ticket.clone(),
        };
        self.take_step(member, prepare, GETTING_READY).await?;
        Ok(ticket)
    }

    async fn carry_out(self: &Arc<Self>, one: &mut Stand) {
        let Some(ticket) = one.ticket.take() else {
            return;
        };
        let step = Step::CarryOut { ticket };
        one.outcome = match self.take_step(&one.member, step, CARRYING_OUT).await {
            Ok(Reply::Done(answer)) => Outcome::Done(answer),
            Ok(_) => Outcome::Refused(ANOTHER_ANSWER.into()),
            Err(Without::Told(told)) => Outcome::Refused(told),
            Err(Without::Gone) => Outcome::Refused("it has gone meanwhile".into()),
        };
    }

    /// Has a host take a step, this one too. A refusal is an error.
    async fn take_step(
        self: &Arc<Self>,
        member: &Member,
        step: Step,
        patience: Duration,
    ) -> Result<Reply, Without> {
        let reply = match member.id == self.me.id {
            true => self.obeying.take(&self.me.host, step).await,
            false => self.ask_for(member, &step, patience).await?,
        };
        match reply {
            Reply::Refused(told) => Err(Without::Told(told)),
            reply => Ok(reply),
        }
    }

    async fn ask_for(
        &self,
        member: &Member,
        step: &Step,
        patience: Duration,
    ) -> Result<Reply, Without> {
        let told = |error: &str| Without::Told(error.into());
        let Some(key) = &self.key else {
            return Err(told("this host has no `host.admin_token`"));
        };
        let number = self.next_number();
        let exchange = Exchange {
            asker: &self.me.id,
            asked: &member.id,
            number,
        };
        let question = Question::Step(key.seal(Kind::Question, &exchange, step.text()));
        match self.ask(member, number, question, patience).await {
            Asked::Answered(Answer::Step(sealed)) => {
                let text = key.open(Kind::Answer, &exchange, &sealed).ok_or_else(|| {
                    told("it has another `host.admin_token`, or none, so it takes no command from this host")
                })?;
                Reply::read(text)
                    .map_err(|_| told("this version of hive-host does not understand its answer"))
            }
            Asked::Answered(_) => Err(told(ANOTHER_ANSWER)),
            Asked::Silent => Err(told(&format!(
                "it did not answer within {} s",
                patience.as_secs()
            ))),
            Asked::Gone => Err(Without::Gone),
            Asked::Away(reason) => Err(told(&format!("it cannot be reached: {reason}"))),
        }
    }

    /// Takes the step that another host asks for; the result is sealed for it.
    pub(super) async fn obey(
        self: &Arc<Self>,
        asker: &Member,
        number: u64,
        sealed: Sealed,
    ) -> Sealed {
        let exchange = Exchange {
            asker: &asker.id,
            asked: &self.me.id,
            number,
        };
        let Some(key) = &self.key else {
            self.ignore(&"a command of another host, and this one has no `host.admin_token`");
            return Sealed {
                text: String::new(),
                seal: String::new(),
            };
        };
        let reply = match key.open(Kind::Question, &exchange, &sealed) {
            Some(text) => match Step::read(text) {
                Ok(step) => self.obeying.take(&asker.host, step).await,
                Err(_) => {
                    Reply::Refused("its version of hive-host does not know the command".into())
                }
            },
            None => {
                self.ignore(&"a command that is not sealed with this host's `host.admin_token`");
                Reply::Refused("the command is not sealed with its `host.admin_token`".into())
            }
        };
        key.seal(Kind::Answer, &exchange, reply.text())
    }
}
