//! What other hosts of the group have this one do: one command at a time, step by step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_core::group::{Reply, Step, Told, Wanted};
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use tokio::time::Instant;

use super::wanted;
use crate::admin::DoneView;
use crate::audit::{Audit, Given, Outcome};
use crate::control::{Control, LARGEST_CODE, Ticket};

/// How long a command is held for its next step: longer than a host that asks waits for the others.
pub(super) const HELD_FOR: Duration = Duration::from_secs(150);

/// Takes the steps of one command at a time, whichever host they come from.
pub(super) struct Obeying {
    group: Arc<str>,
    control: Control,
    audit: Audit,
    tasks: Tasks,
    /// How long a command is held for its next step.
    held_for: Duration,
    begun: Mutex<Option<Begun>>,
}

/// A command of which the first step was taken.
struct Begun {
    ticket: Ticket,
    /// What the host that gave it calls it.
    call: String,
    /// The host that gave the command.
    by: String,
    wanted: Wanted,
    /// The code so far.
    code: Vec<u8>,
    until: Instant,
}

impl Obeying {
    pub(super) fn new(
        group: &Arc<str>,
        control: &Control,
        audit: &Audit,
        tasks: &Tasks,
        held_for: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            held_for,
            group: Arc::clone(group),
            control: control.clone(),
            audit: audit.clone(),
            tasks: tasks.clone(),
            begun: Mutex::default(),
        })
    }

    /// Takes a step for the host `by`.
    pub(super) async fn take(self: &Arc<Self>, by: &str, step: Step) -> Reply {
        match step {
            Step::Begin { call, command } => self.begin(by, call, command),
            Step::Part { ticket, code } => self.part(&ticket, &code),
            Step::Prepare { ticket } => self.prepare(&ticket).await,
            Step::CarryOut { ticket } => self.carry_out(&ticket).await,
            Step::GiveUp { call } => {
                let begun = self.begun().take_if(|begun| begun.call == call);
                if let Some(begun) = begun {
                    self.control.give_up(&begun.ticket).await;
                }
                Reply::Taken
            }
        }
    }

    fn begin(self: &Arc<Self>, by: &str, call: String, wanted: Wanted) -> Reply {
        let most = LARGEST_CODE;
        if wanted.sent().is_some_and(|(bytes, _)| bytes > most) {
            let error = format!("a running host is sent {} MiB at most", most >> 20);
            return refused(&*error);
        }
        let mut begun = self.begun();
        if let Some(before) = &*begun {
            let left = before.until.saturating_duration_since(Instant::now());
            let error = format!(
                "the host {:?} has begun a command for all hosts, which is not carried out yet: {}; \
                 try again in {} s at the latest",
                before.by,
                before.wanted,
                left.as_secs() + 1
            );
            return refused(&*error);
        }
        let ticket: Ticket = crate::random::id().into();
        *begun = Some(Begun {
            ticket: Arc::clone(&ticket),
            call,
            by: by.to_owned(),
            wanted,
            code: Vec::new(),
            until: Instant::now() + self.held_for,
        });
        self.forget_in_time(&ticket);
        Reply::Begun {
            ticket: ticket.to_string(),
        }
    }

    fn part(&self, ticket: &str, code: &[u8]) -> Reply {
        let mut begun = self.begun();
        let Some(begun) = self.next_step(&mut begun, ticket) else {
            return self.too_late();
        };
        let (bytes, _) = begun.wanted.sent().unwrap_or_default();
        if begun.code.len() + code.len() > bytes {
            return refused("more code was sent than was said");
        }
        begun.code.extend(code);
        Reply::Taken
    }

    async fn prepare(&self, ticket: &str) -> Reply {
        let (ticket, given, wanted, code) = {
            let mut begun = self.begun();
            let Some(begun) = self.next_step(&mut begun, ticket) else {
                return self.too_late();
            };
            let code = std::mem::take(&mut begun.code);
            let is_whole = match begun.wanted.sent() {
                Some((bytes, sha256)) => code.len() == bytes && super::sum(&code) == sha256,
                None => true,
            };
            if !is_whole {
                return refused("the code did not arrive whole");
            }
            let given = Given::of_group(&begun.by, &begun.wanted);
            (Arc::clone(&begun.ticket), given, begun.wanted.clone(), code)
        };
        let prepared = self
            .control
            .prepare(&ticket, wanted::whole(wanted, code))
            .await;
        if self.next_step(&mut self.begun(), &ticket).is_none() {
            // It took longer than it is held.
            self.control.give_up(&ticket).await;
            return self.too_late();
        }
        match prepared {
            Ok(()) => Reply::Taken,
            Err(refusal) => {
                self.audit.record(given, Outcome::of_code(refusal.code()));
                refused(refusal)
            }
        }
    }

    async fn carry_out(&self, ticket: &str) -> Reply {
        let begun = self.begun().take_if(|begun| *begun.ticket == *ticket);
        let Some(Begun {
            ticket, by, wanted, ..
        }) = begun
        else {
            return self.too_late();
        };
        Fact::GroupCommand {
            group: &self.group,
            by: &by,
            command: &wanted,
        }
        .emit();
        let answer = self.control.carry_out(&ticket).await;
        let given = Given::of_group(&by, &wanted);
        self.audit.record(given, Outcome::of(&answer));
        match answer {
            Ok(done) => Reply::Done(serde_json::json!(DoneView::from(&done))),
            Err(refusal) => refused(refusal),
        }
    }

    /// Lets go of a command whose host does not go on with it.
    fn forget_in_time(self: &Arc<Self>, ticket: &Ticket) {
        let (obeying, ticket) = (Arc::clone(self), Arc::clone(ticket));
        let close = self.tasks.close().clone();
        self.tasks.spawn_service(async move {
            let forgotten = async {
                loop {
                    let until = match &*obeying.begun() {
                        Some(begun) if begun.ticket == ticket => begun.until,
                        _ => return,
                    };
                    if until <= Instant::now() {
                        break;
                    }
                    tokio::time::sleep_until(until).await;
                }
                obeying.begun().take_if(|begun| begun.ticket == ticket);
                obeying.control.give_up(&ticket).await;
            };
            tokio::select! {
                () = close.cancelled() => {}
                () = forgotten => {}
            }
        });
    }

    /// The command of this ticket, which is held for another while.
    fn next_step<'a>(&self, begun: &'a mut Option<Begun>, ticket: &str) -> Option<&'a mut Begun> {
        let begun = begun.as_mut().filter(|begun| *begun.ticket == *ticket)?;
        begun.until = Instant::now() + self.held_for;
        Some(begun)
    }

    fn too_late(&self) -> Reply {
        let held = self.held_for.as_secs();
        let error = format!(
            "the next step of the command came after more than {held} s, and it is not held any more"
        );
        refused(&*error)
    }

    fn begun(&self) -> MutexGuard<'_, Option<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(told: impl Into<Told>) -> Reply {
    Reply::Refused(told.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::{self, Command, Order, Orders, Refusal};

    fn pause() -> Step {
        Step::Begin {
            call: "7".to_owned(),
            command: Wanted::Pause {
                consumer: "orders".to_owned(),
            },
        }
    }

    fn obeying(held_for: Duration) -> (Arc<Obeying>, Orders) {
        let (control, orders) = control::line();
        let audit = Audit::default();
        let obeying = Obeying::new(&"shop".into(), &control, &audit, &Tasks::new(), held_for);
        (obeying, orders)
    }

    async fn begun(obeying: &Arc<Obeying>, step: Step) -> String {
        match obeying.take("a", step).await {
            Reply::Begun { ticket } => ticket,
            reply => panic!("{reply:?}"),
        }
    }

    fn error(reply: Reply) -> String {
        match reply {
            Reply::Refused(told) => told.error,
            reply => panic!("{reply:?}"),
        }
    }

    #[tokio::test]
    async fn one_command_at_a_time_and_one_that_is_left_lying_is_forgotten() {
        let (obeying, mut orders) = obeying(Duration::from_millis(100));
        let ticket = begun(&obeying, pause()).await;
        let refused = error(obeying.take("b", pause()).await);
        assert!(
            refused.contains("host \"a\"") && refused.contains("pause orders"),
            "{refused}"
        );
        // When its time is over.
        let given_up = orders.recv().await;
        assert!(
            matches!(&given_up, Some(Order::GiveUp { ticket: it }) if **it == *ticket),
            "{given_up:?}"
        );
        let late = error(obeying.take("a", Step::CarryOut { ticket }).await);
        assert!(late.contains("not held any more"), "{late}");
        begun(&obeying, pause()).await;
    }

    #[tokio::test]
    async fn code_that_did_not_arrive_whole_is_not_loaded() {
        let (obeying, mut orders) = obeying(HELD_FOR);
        let code = b"some code";
        let swap = |sha256: &str| Step::Begin {
            call: "7".to_owned(),
            command: Wanted::Swap {
                component: "orders".to_owned(),
                code: hive_core::group::CodeSource::Sent {
                    bytes: code.len(),
                    sha256: sha256.to_owned(),
                },
            },
        };
        let part = |ticket: &str, code: &[u8]| Step::Part {
            ticket: ticket.to_owned(),
            code: code.to_owned(),
        };
        let prepare = |ticket: &str| Step::Prepare {
            ticket: ticket.to_owned(),
        };
        let sum = super::super::sum(code);
        for (sent, sum) in [(&code[..4], &*sum), (code, "00")] {
            let ticket = begun(&obeying, swap(sum)).await;
            obeying.take("a", part(&ticket, sent)).await;
            let refused = error(obeying.take("a", prepare(&ticket)).await);
            assert_eq!(refused, "the code did not arrive whole");
            let call = "7".to_owned();
            obeying.take("a", Step::GiveUp { call }).await;
            assert!(matches!(orders.recv().await, Some(Order::GiveUp { .. })));
        }
        let ticket = begun(&obeying, swap(&sum)).await;
        for part_of in [&code[..4], &code[4..]] {
            let reply = obeying.take("a", part(&ticket, part_of)).await;
            assert!(matches!(reply, Reply::Taken), "{reply:?}");
        }
        let too_much = error(obeying.take("a", part(&ticket, b"x")).await);
        assert_eq!(too_much, "more code was sent than was said");
        let host = async {
            let Some(Order::Prepare {
                command: Command::Swap { code, .. },
                answer,
                ..
            }) = orders.recv().await
            else {
                panic!("a swap is prepared");
            };
            answer.send(Err(Refusal::Stopping)).unwrap();
            code
        };
        let (reply, loaded) = tokio::join!(obeying.take("a", prepare(&ticket)), host);
        assert_eq!(error(reply), "the host is stopping");
        assert!(
            matches!(&loaded, control::NewCode::Content(bytes) if bytes == code),
            "{loaded:?}"
        );
    }
}
