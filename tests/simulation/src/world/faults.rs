//! How each fault begins and ends.

use std::time::{Duration, Instant};

use hive_broker::Fault as BrokerFault;
use hive_host::control::{Command, NewCode};

use super::{Components, World};
use crate::interposed::let_others;
use crate::link::{Line, Way};
use crate::schedule::{Fault, QUEUES};
use crate::threads::with;

/// The end of a fault.
pub(super) enum End {
    Stall(Line, Way),
    Broker,
    Block,
    Freeze(&'static str),
    Store,
    Pause(&'static str),
    PowerCut,
    Leaving,
}

impl World {
    /// A fault begins.
    pub(super) fn happen(&mut self, fault: &Fault) {
        let vhost = || "/".to_owned();
        match fault.clone() {
            Fault::LineCut { line } => {
                if let Some(line) = self.line(line) {
                    line.cut();
                }
            }
            Fault::LineCutAt { line, way, octets } => {
                if let Some(line) = self.line(line) {
                    line.cut_after(way, octets);
                }
            }
            Fault::LineStalled { line, way, held } => {
                if let Some(line) = self.line(line) {
                    line.stall(way, true);
                    self.later(held, End::Stall(line, way));
                }
            }
            Fault::BrokerKilled { away } => {
                self.net.close(true);
                self.inject(BrokerFault::Crash);
                self.later(away, End::Broker);
            }
            Fault::BrokerRestarted { away } => {
                self.net.close(true);
                self.inject(BrokerFault::Cut { connection: None });
                self.later(away, End::Broker);
            }
            Fault::ConfirmsDropped { times } => self.inject(BrokerFault::DropConfirms { times }),
            Fault::PublicationsRefused { times } => {
                self.inject(BrokerFault::NackPublishes { times });
            }
            Fault::CutAtMethod { method } => self.inject(BrokerFault::CutAt {
                method: method.to_owned(),
            }),
            Fault::Error { method, code } => self.inject(BrokerFault::Answer {
                method: method.to_owned(),
                code,
                text: "simulated".to_owned(),
                times: 1,
            }),
            Fault::Blocked { held } => {
                let reason = "low on memory".to_owned();
                self.inject(BrokerFault::Block { reason });
                self.later(held, End::Block);
            }
            Fault::QueueFrozen { queue, held } => {
                self.inject(BrokerFault::Freeze {
                    vhost: vhost(),
                    queue: queue.to_owned(),
                });
                self.later(held, End::Freeze(queue));
            }
            Fault::ConsumersCancelled { queue } => self.inject(BrokerFault::CancelConsumers {
                vhost: vhost(),
                queue: queue.to_owned(),
            }),
            Fault::QueueDeleted { queue } => {
                if self.broker.delete("/", queue) {
                    let inside = self.published.iter();
                    let inside = inside.filter(|message| message.queue == queue);
                    self.excused.extend(inside.map(|message| message.number));
                }
            }
            Fault::StoreAway { held } => {
                self.store.set_away(true);
                self.later(held, End::Store);
            }
            Fault::StoreAnswersLost { times } => self.store.lose_answers(times),
            Fault::PowerCut {
                after,
                away,
                written,
            } => self.cut_power(after, away, written),
            Fault::HostRestarted => {
                if let Some(host) = self.host.take() {
                    self.stop(host);
                    self.start_host();
                }
            }
            Fault::HandedOver { after } => {
                if let Some(host) = self.host.take() {
                    self.leaving.push(host);
                    self.was_handed_over = true;
                    self.start_host();
                    self.later(after, End::Leaving);
                }
            }
            Fault::ClockJumps { by } => {
                let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
                with(|threads| threads.jump(by));
            }
            Fault::Paused { consumer, held } => {
                self.command(Command::Pause {
                    consumer: consumer.to_owned(),
                });
                self.later(held, End::Pause(consumer));
            }
            Fault::Reloaded => {
                self.reloads += 1;
                self.write_hive_toml();
                self.command(Command::Reload);
            }
            Fault::Swapped => {
                self.swapped = !self.swapped;
                let Components { soak, other, .. } = &self.components;
                let code = if self.swapped { other } else { soak };
                let code = std::fs::read(code).expect("the component can be read");
                self.command(Command::Swap {
                    component: "soak".to_owned(),
                    code: NewCode::Content(code),
                    trial: None,
                });
            }
        }
    }

    /// Ends what is due by now, and notices a host that has ended by itself.
    pub(super) fn end_due(&mut self) {
        let now = Instant::now();
        let (due, rest) = std::mem::take(&mut self.due)
            .into_iter()
            .partition(|(when, _)| *when <= now);
        self.due = rest;
        let due: Vec<(Instant, End)> = due;
        for (_, end) in due {
            self.end(end);
        }
        if let Some(host) = self.host.take_if(|host| host.has_ended()) {
            let why = match host.stop() {
                Ok(()) => "the host ended by itself".to_owned(),
                Err(why) => why,
            };
            self.broken.get_or_insert(why);
        }
    }

    /// Nothing is wrong any more.
    pub(super) fn heal(&mut self) {
        let due = std::mem::take(&mut self.due);
        for (_, end) in due {
            self.end(end);
        }
        self.store.lose_answers(0);
        self.inject(BrokerFault::Clear);
        for queue in QUEUES {
            self.command(Command::Resume {
                consumer: queue.to_owned(),
            });
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Stall(line, way) => line.stall(way, false),
            End::Broker => self.net.close(false),
            End::Block => self.inject(BrokerFault::Unblock),
            End::Freeze(queue) => self.inject(BrokerFault::Thaw {
                vhost: "/".to_owned(),
                queue: queue.to_owned(),
            }),
            End::Store => self.store.set_away(false),
            End::Pause(consumer) => self.command(Command::Resume {
                consumer: consumer.to_owned(),
            }),
            End::Leaving => {
                if !self.leaving.is_empty() {
                    let host = self.leaving.remove(0);
                    self.stop(host);
                }
            }
            End::PowerCut => {
                if self.host.is_none() {
                    self.start_host();
                }
            }
        }
    }

    fn cut_power(&mut self, after: u64, away: Duration, written: bool) {
        let Some(host) = self.host.take() else {
            return;
        };
        let group = host.group;
        with(|threads| threads.crash_after(group, after));
        // It may make fewer: then it is at rest, and loses power like that.
        for _ in 0..after {
            if with(|threads| threads.is_frozen(group)) {
                break;
            }
            let_others(8);
        }
        with(|threads| {
            if !threads.is_frozen(group) {
                threads.freeze_when_possible(group);
            }
        });
        while !with(|threads| threads.is_frozen(group)) {
            let_others(8);
        }
        // Its threads never run again, and nothing of it is given back.
        std::mem::forget(host);
        self.net.end_lines_of(group, written);
        self.later(away, End::PowerCut);
    }

    fn inject(&self, fault: BrokerFault) {
        // What a fault is about may be gone at the moment.
        let _injected = self.broker.inject(fault);
    }

    fn line(&self, number: usize) -> Option<Line> {
        let lines = self.net.lines();
        let count = lines.len();
        lines.into_iter().nth(number.checked_rem(count)?)
    }

    fn later(&mut self, held: Duration, end: End) {
        self.due.push((Instant::now() + held, end));
    }
}
