//! `hive-host run`: the main job.

use std::io::IsTerminal;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Exit;
use crate::app::{App, PlanSource};
use crate::config::plan::{HostPlan, LogFormat, Plan};
use crate::control::{Command, Control};
use crate::lifecycle::{Drained, Tasks};

pub(super) fn run((plan, source): (Plan, PlanSource)) -> Exit {
    if let Err(error) = start_log(&plan.host) {
        eprintln!("error: {error:#}");
        return Exit::Misused;
    }
    super::block_on(serve(plan, source))
}

async fn serve(plan: Plan, source: PlanSource) -> Exit {
    let telemetry = match super::telemetry() {
        Ok(telemetry) => telemetry,
        Err(exit) => return exit,
    };
    let shutdown_timeout = plan.host.shutdown_timeout;
    let tasks = Tasks::new();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "signals cannot be received");
            return Exit::Failed;
        }
    };

    let mut app = tokio::select! {
        started = App::start(plan, source, &tasks, &telemetry) => match started {
            Ok(app) => app,
            Err(fault) => {
                tasks.stop(shutdown_timeout).await;
                return super::refuse(&fault);
            }
        },
        signal = signals.stop(None) => {
            tracing::info!(signal, "stopping before anything was consumed");
            tasks.stop(shutdown_timeout).await;
            return Exit::Done;
        }
    };

    let control = app.control().clone();
    let gave_up = tokio::select! {
        signal = signals.stop(Some((&control, &tasks))) => {
            let shutdown_timeout = app.shutdown_timeout();
            // Before it is told, so that nothing is taken after the line.
            tasks.drain().cancel();
            tracing::info!(signal, ?shutdown_timeout, "draining: nothing new is taken, what is in hand is finished");
            None
        }
        reason = app.gave_up() => Some(reason),
    };
    let shutdown_timeout = app.shutdown_timeout();
    if let Some(reason) = &gave_up {
        tracing::error!(reason, "gave up");
    }

    tokio::select! {
        drained = tasks.stop(shutdown_timeout) => match drained {
            Drained::Cleanly if gave_up.is_none() => {
                tracing::info!("stopped");
                Exit::Done
            }
            Drained::Cleanly => Exit::Failed,
            Drained::AtDeadline => {
                tracing::warn!("stopped at the deadline; the deliveries named above went back to the broker");
                Exit::Failed
            }
        },
        signal = signals.stop(None) => {
            tracing::warn!(signal, "left at once; what was in hand goes back to the broker");
            Exit::Failed
        }
    }
}

/// The signals that a host listens to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("no handler for a signal could be installed");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that asks the host to stop; gives its name. SIGHUP asks for a reload
    /// meanwhile, of a host that takes commands.
    pub(super) async fn stop(&mut self, running: Option<(&Control, &Tasks)>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                // Unheard, it would end the process.
                _ = self.hang_up.recv() => match running {
                    Some((control, tasks)) => {
                        tracing::info!("SIGHUP: hive.toml is read again");
                        let control = control.clone();
                        // What comes of it is told in the log.
                        tasks.spawn_service(async move { control.ask(Command::Reload).await });
                    }
                    None => tracing::warn!("SIGHUP: ignored while the host starts or stops"),
                },
            }
        }
    }
}

fn start_log(plan: &HostPlan) -> anyhow::Result<()> {
    // RUST_LOG, which wins over `host.log`, is in the plan already.
    let filter = EnvFilter::try_new(&plan.log).with_context(|| {
        format!(
            "{:?} is not a log filter; an example: info,hive_host=debug",
            plan.log
        )
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(quiet_libraries(filter)?)
        .with_writer(std::io::stderr);
    match plan.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// lapin logs the whole of every message that comes back, and as errors what this host heals and
/// tells itself. Whoever names it in the filter gets it all the same.
fn quiet_libraries(filter: EnvFilter) -> anyhow::Result<EnvFilter> {
    if filter.to_string().contains("lapin") {
        return Ok(filter);
    }
    Ok(filter.add_directive("lapin=off".parse().context("the filter of lapin's lines")?))
}
