//! `hive-host dev`: builds, runs, builds again when a source changes, and shows each delivery.

mod brought;
pub(super) mod build;
mod feed;
mod keys;
pub(super) mod sources;
pub(super) mod stream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hive_config::Environment;
use hive_config::plan::Plan;
use hive_core::codes::Coded;
use hive_lifecycle::{Drained, Tasks};
use hive_sandbox::Compiling;
use tokio::sync::mpsc;

use self::brought::Choice;
use self::build::build;
use self::keys::{Key, Keys};
use self::sources::Sources;
use self::stream::Stream;
use super::run::Signals;
use super::say::{self, fault, out};
use super::{Exit, PlanFile, progress};
use crate::app::{App, PlanSource, StartFault};
use crate::control::{Command, Control, Done};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host dev hive.toml\n  \
    hive-host dev hive.toml --feed messages.jsonl\n  \
    hive-host dev hive.toml --broker memory --port 0\n  \
    hive-host dev hive.toml --broker amqp://guest:guest@localhost:5672/dev";

#[derive(Debug, Args)]
pub(super) struct Dev {
    #[command(flatten)]
    file: PlanFile,
    /// The broker to use instead of every connection's `url`; `memory` is one in this process
    #[arg(long, value_name = "URL|memory")]
    broker: Option<String>,
    /// The port of the broker in this process: 5672 unless set, 0 for any that is free
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Publishes the messages of this file (docs/message-format.md) when every consumer consumes
    #[arg(long, value_name = "FILE.JSONL")]
    feed: Option<PathBuf>,
    /// A further folder of sources, besides the folder of hive.toml
    #[arg(long = "source", value_name = "FOLDER")]
    sources: Vec<PathBuf>,
}

/// The state of the command.
struct Session {
    plan: Plan,
    source: PlanSource,
    sources: Sources,
    feed: Option<PathBuf>,
    keys: mpsc::Receiver<Key>,
    /// What was printed of hive.toml last, if anything is wrong with it.
    told: Option<String>,
    stream: Stream,
    /// The broker in this process, if there is one: it outlives every build and every start.
    _brought: Option<brought::Broker>,
}

pub(super) fn run(arguments: &Dev) -> Result<Exit, Exit> {
    progress::show();
    Ok(super::block_on(async {
        let (keyboard, keys) = Keys::new();
        match Session::prepare(arguments, keys).await {
            Ok(session) => serve(session, keyboard).await,
            Err(exit) => exit,
        }
    }))
}

/// A component without a `build` is built by other means, and swapped when its file changes.
fn watched(mut plan: Plan) -> Plan {
    for component in plan.components.values_mut() {
        component.watch |= component.build.is_none();
    }
    plan
}

/// The folder of a file, in which its build commands run.
pub(super) fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

async fn serve(mut session: Session, keyboard: Keys) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            fault!("{error:#}");
            return Exit::Failed;
        }
    };
    let tasks = Tasks::new();
    let timeout = session.plan.host.shutdown_timeout;
    let ended = tokio::select! {
        exit = session.work(&tasks) => exit,
        _ = signals.stop(None) => Exit::Done,
        () = keyboard.until_quit() => Exit::Done,
    };
    tokio::select! {
        drained = tasks.stop(timeout) => match drained {
            Drained::Cleanly => ended,
            Drained::AtDeadline => Exit::Failed,
        },
        _ = signals.stop(None) => Exit::Failed,
    }
}

impl Session {
    async fn prepare(arguments: &Dev, keys: mpsc::Receiver<Key>) -> Result<Self, Exit> {
        let mut environment = Environment::of_process();
        // In the form that its folder lists it, so that a change is recognised.
        let file = arguments.file.file.as_path();
        let file = folder(file).join(file.file_name().unwrap_or_default());
        let choice = Choice::of(arguments, &file, &environment)?;
        let brought = brought::start(&choice).await?;
        environment.broker = match (&brought, choice) {
            (Some(broker), _) => Some(broker.url()),
            (None, Choice::Url(url)) => Some(url),
            (None, _) => None,
        };
        let plan = watched(PlanFile { file: file.clone() }.load_in(&environment)?);
        if let Some(feed) = &arguments.feed {
            // Its faults are printed before anything starts.
            feed::read(feed, &plan)?;
        }
        let mut folders = vec![folder(&file).to_owned()];
        folders.extend(arguments.sources.iter().cloned());
        let made = plan.components.values();
        let made = made.map(|component| component.path.clone()).collect();
        Ok(Self {
            plan,
            source: PlanSource { file, environment },
            sources: Sources::new(folders, made),
            feed: arguments.feed.clone(),
            keys,
            told: None,
            stream: Stream::start(),
            _brought: brought,
        })
    }

    /// Returns an exit if it cannot continue.
    async fn work(&mut self, tasks: &Tasks) -> Exit {
        let mut app = match self.start(tasks).await {
            Ok(app) => app,
            Err(exit) => return exit,
        };
        let control = app.control().clone();
        if self.feed.is_some() {
            let consumers = self.plan.consumers.len();
            tokio::select! {
                () = self.stream.consuming(consumers) => {}
                reason = app.gave_up() => return gave_up(&reason),
            }
            self.feed().await;
        }
        loop {
            tokio::select! {
                changed = self.sources.changed(tasks) => self.take(&changed, &control, tasks).await,
                Some(key) = self.keys.recv() => match key {
                    Key::Rebuild => self.build(&control, tasks).await,
                    Key::Feed => self.feed().await,
                },
                reason = app.gave_up() => return gave_up(&reason),
            }
        }
    }

    /// Publishes the messages of `--feed` as the file has them now.
    async fn feed(&self) {
        let Some(file) = &self.feed else {
            out!("there is nothing to feed: begin with `hive-host dev --feed FILE.jsonl`");
            return;
        };
        // The faults of the file have been printed.
        if let Ok(publications) = feed::read(file, &self.plan) {
            feed::publish(publications, &self.plan).await;
        }
    }

    /// Builds and starts, until the result can be run.
    async fn start(&mut self, tasks: &Tasks) -> Result<App, Exit> {
        loop {
            self.sources.look(tasks).await;
            let folder = folder(&self.source.file).to_owned();
            for component in self.plan.components.values() {
                // After a failed build the previous component still serves.
                let _built = build(component, &folder).await;
            }
            self.sources.built(tasks).await;
            let telemetry = super::telemetry()?;
            // Tasks of a failed start must not be there at the next one.
            let attempt = tasks.branch();
            let (plan, source) = (self.plan.clone(), self.source.clone());
            match App::start(plan, source, Compiling::Repeatedly, &attempt, &telemetry).await {
                Ok(app) => return Ok(app),
                Err(fault @ StartFault::Host(_)) => return Err(super::refuse(&fault)),
                Err(fault) => {
                    let _why = super::refuse(&fault);
                    let _drained = attempt.stop(Duration::ZERO).await;
                    out!("waiting for a change of the sources");
                    self.another_try(tasks).await;
                    self.read_again();
                }
            }
        }
    }

    /// Waits for a reason to build again.
    async fn another_try(&mut self, tasks: &Tasks) {
        loop {
            tokio::select! {
                _ = self.sources.changed(tasks) => return,
                Some(key) = self.keys.recv() => match key {
                    Key::Feed => out!("nothing consumes yet, so nothing is fed"),
                    Key::Rebuild => return,
                },
            }
        }
    }

    /// Applies the changes: hive.toml itself, and everything that is built.
    async fn take(&mut self, changed: &[PathBuf], control: &Control, tasks: &Tasks) {
        let here = folder(&self.source.file);
        let names = changed
            .iter()
            .map(|path| path.strip_prefix(here).unwrap_or(path));
        let names = names.map(|path| path.display().to_string());
        out!("changed: {}", names.collect::<Vec<_>>().join(", "));
        let is_reloaded = changed.contains(&self.source.file);
        let is_whole = !is_reloaded || self.read_again();
        if is_reloaded && is_whole {
            // The host itself reports the changes, or why it refuses them.
            let _reported = control.ask(Command::Reload).await;
        }
        if is_whole || changed.len() > 1 {
            self.build(control, tasks).await;
        }
    }

    /// Builds every component, and has the host take what is new.
    async fn build(&mut self, control: &Control, tasks: &Tasks) {
        let folder = folder(&self.source.file).to_owned();
        for (name, component) in &self.plan.components {
            if build(component, &folder).await != build::Built::Newly {
                continue;
            }
            // The host itself reports why it is refused.
            if let Ok(Done::Unchanged { .. }) = control.file_changed(name).await {
                out!("{name}: the same code as before");
            }
        }
        self.sources.built(tasks).await;
    }

    /// Commands and components may be other ones. Returns whether the file has no fault. What was printed of it is not
    /// printed again.
    fn read_again(&mut self) -> bool {
        match hive_config::load(&self.source.file, &self.source.environment) {
            Ok(loaded) => {
                self.told = None;
                self.plan = watched(loaded.plan);
                true
            }
            Err(problems) => {
                let told = Some(problems.to_string());
                if self.told != told {
                    say::problems(&problems);
                    self.told = told;
                }
                false
            }
        }
    }
}

fn gave_up(reason: &Coded) -> Exit {
    fault!([reason.code] "{reason}");
    Exit::Failed
}
