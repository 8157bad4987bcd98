//! One life of the host: from its start to a stop, or to a power cut.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use hive_amqp::Network;
use hive_config::Environment;
use hive_host::app::{App, PlanSource, Surroundings};
use hive_host::control::Command;
use hive_lifecycle::Tasks;
use hive_sandbox::Compiling;
use hive_store::Store;
use hive_telemetry::Telemetry;
use tokio::sync::mpsc;

use crate::threads::{Group, with};

/// What a host is told.
#[derive(Debug)]
enum Order {
    Carry(Command),
    Stop,
}

/// A host that runs on threads of its own.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) group: Group,
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<Result<(), String>>,
}

/// What a host is started with.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) store: Arc<dyn Store>,
    /// The runtime's threads.
    pub(crate) workers: usize,
}

impl Life {
    /// Starts a host on a hive.toml.
    pub(crate) fn start(group: Group, hive_toml: &Path, around: Around) -> Result<Self, String> {
        let (orders, taken) = mpsc::unbounded_channel();
        let file = hive_toml.to_owned();
        with(|threads| threads.found(Some(group)));
        let spawned = std::thread::Builder::new()
            .name("host".to_owned())
            .spawn(move || live(&file, around, taken));
        with(|threads| threads.found(None));
        Ok(Self {
            group,
            orders,
            thread: spawned.map_err(|error| error.to_string())?,
        })
    }

    /// Gives it a command, and does not wait for the answer.
    pub(crate) fn carry(&self, command: Command) {
        // A host that has just ended carries nothing out.
        let _sent = self.orders.send(Order::Carry(command));
    }

    /// Stops it in peace.
    pub(crate) fn stop(self) -> Result<(), String> {
        let _sent = self.orders.send(Order::Stop);
        let ended = self.thread.join();
        ended.map_err(|_| "the host panicked".to_owned())?
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

fn live(
    file: &Path,
    around: Around,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> Result<(), String> {
    let mut runtime = match around.workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        workers => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(workers);
            runtime
        }
    };
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let environment = Environment::of_process();
        let loaded = hive_config::load(file, &environment);
        let plan = loaded.map_err(|problems| problems.to_string())?.plan;
        let source = PlanSource {
            file: file.to_owned(),
            environment,
        };
        let tasks = Tasks::new();
        let telemetry = Telemetry::new().map_err(|error| error.to_string())?;
        let surroundings = Surroundings {
            network: Some(around.network),
            store: Some(around.store),
            ..Surroundings::default()
        };
        let compiling = Compiling::Alone;
        let started = App::start_in(surroundings, plan, source, compiling, &tasks, &telemetry);
        let mut app = started.await.map_err(|fault| fault.to_string())?;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Carry(command)) => {
                        let control = app.control().clone();
                        tasks.spawn_service(async move {
                            // A host that stops refuses, which is an answer too.
                            let _answer = control.ask(command).await;
                        });
                    }
                    Some(Order::Stop) | None => break,
                },
                reason = app.gave_up() => return Err(format!("the host gave up: {reason}")),
            }
        }
        let timeout = app.shutdown_timeout();
        let _drained = tasks.stop(timeout).await;
        Ok(())
    })
}
