//! `hive-host run`: the main job.

use std::sync::Arc;

use anyhow::Context;
use hive_config::plan::Plan;
use hive_core::codes::Code;
use hive_lifecycle::aside::Aside;
use hive_lifecycle::{Drained, Tasks};
use hive_sandbox::Compiling;
use hive_telemetry::{Fact, Telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::say::fault;
use super::systemd::Systemd;
use super::{Exit, first_process};
use crate::app::{App, PlanSource};
use crate::audit::{Audit, By, Given, Outcome};
use crate::control::{Command, Control};
use crate::log;
use crate::status::StatusReader;

pub(super) fn run((plan, source): (Plan, PlanSource)) -> Exit {
    let telemetry = match super::telemetry() {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let log = match log::start(&plan.host, telemetry.log()) {
        Ok(log) => log,
        Err(error) => {
            fault!("{error:#}");
            return Exit::Misused;
        }
    };
    let exit = super::block_on(serve(plan, source, telemetry));
    // Its last lines are written now, unless standard error is not read.
    drop(log);
    exit
}

async fn serve(plan: Plan, source: PlanSource, telemetry: Telemetry) -> Exit {
    let shutdown_timeout = plan.host.shutdown_timeout;
    let tasks = match Aside::start() {
        Ok(aside) => Tasks::new().with_aside(aside),
        // As for any thread that cannot be started, but the host can do without these.
        Err(error) => {
            tracing::debug!(%error, "calls that take long stay where they are");
            Tasks::new()
        }
    };
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            let error = &format!("{error:#}");
            Fact::SignalsUnavailable { error }.emit();
            return Exit::Failed;
        }
    };

    if first_process::is_this() {
        tasks.spawn_service(first_process::reap(tasks.close().clone()));
    }
    let systemd = Arc::new(Systemd::of_process());

    let mut app = tokio::select! {
        started = App::start(plan, source, Compiling::BesideDeliveries, &tasks, &telemetry) => match started {
            Ok(app) => app,
            Err(fault) => {
                tasks.stop(shutdown_timeout).await;
                return super::refuse(&fault);
            }
        },
        signal = signals.stop(None) => {
            systemd.stopping(shutdown_timeout);
            Fact::StoppedEarly { signal }.emit();
            tasks.stop(shutdown_timeout).await;
            return Exit::Done;
        }
    };

    let status = app.status();
    systemd.ready(&status());
    systemd.watch(status, &tasks);

    let running = Running {
        control: app.control().clone(),
        audit: app.audit().clone(),
        status: app.status(),
        systemd: Arc::clone(&systemd),
        tasks: tasks.clone(),
    };
    let gave_up = tokio::select! {
        signal = signals.stop(Some(&running)) => {
            let shutdown_timeout = app.shutdown_timeout();
            // Before the log line, so that nothing is taken after it.
            tasks.drain().cancel();
            Fact::Draining {
                signal,
                shutdown_timeout,
            }
            .emit();
            let stop = Given::plain(By::Signal(signal), "stop");
            app.audit().record(stop, Outcome::Done);
            None
        }
        reason = app.gave_up() => Some(reason),
    };
    let shutdown_timeout = app.shutdown_timeout();
    systemd.stopping(shutdown_timeout);
    if let Some(reason) = &gave_up {
        Fact::GaveUp {
            code: reason.code.map(Code::as_str),
            reason: &reason.text,
        }
        .emit();
    }

    tokio::select! {
        drained = tasks.stop(shutdown_timeout) => match drained {
            Drained::Cleanly if gave_up.is_none() => {
                Fact::Stopped {}.emit();
                Exit::Done
            }
            Drained::Cleanly => Exit::Failed,
            Drained::AtDeadline => {
                Fact::StoppedAtDeadline {}.emit();
                Exit::Failed
            }
        },
        signal = signals.stop(None) => {
            Fact::LeftAtOnce { signal }.emit();
            Exit::Failed
        }
    }
}

/// A host that takes commands, as far as a signal asks something of it.
pub(super) struct Running {
    control: Control,
    audit: Audit,
    status: StatusReader,
    systemd: Arc<Systemd>,
    tasks: Tasks,
}

impl Running {
    fn reload(&self) {
        Fact::ReloadRequested {}.emit();
        let Self {
            control,
            audit,
            status,
            systemd,
            ..
        } = self;
        let (control, audit) = (control.clone(), audit.clone());
        let status = Arc::clone(status);
        let systemd = Arc::clone(systemd);
        self.tasks.spawn_service(async move {
            systemd.reloading();
            let answer = control.ask(Command::Reload).await;
            let reload = Given::plain(By::Signal("SIGHUP"), "reload");
            audit.record(reload, Outcome::of(&answer));
            systemd.ready(&status());
        });
    }
}

/// SIGXFSZ, which a process gets with a write beyond what it may write to a file (`ulimit -f`, `LimitFSIZE`).
const FILE_SIZE: i32 = 25;

/// The signals that a host listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Unheard, it would end the process. The write fails as on a full disk, and that is all.
    _file_size: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("no handler for a signal could be installed");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            _file_size: listen(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    /// Waits for a signal that asks the host to stop; gives its name. SIGHUP asks for a reload
    /// meanwhile, of a host that takes commands.
    pub(super) async fn stop(&mut self, running: Option<&Running>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                // Unheard, it would end the process.
                _ = self.hang_up.recv() => match running {
                    Some(running) => running.reload(),
                    None => Fact::ReloadIgnored {}.emit(),
                },
            }
        }
    }
}
