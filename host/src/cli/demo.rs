//! `hive-host demo`: the orders example on a broker in this process, with its component from this program.

use std::io;
use std::time::Duration;

use hive_broker::Settings;
use hive_config::Environment;
use hive_config::plan::Plan;
use hive_core::message::{Message, Properties, Publication};
use hive_demo::{CREATED, DEAD, EXCHANGE, HIVE_TOML, ORDERS, PRICED, ROUTING_KEY};
use hive_lifecycle::{Drained, Tasks};
use hive_sandbox::Compiling;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::broker::{connect, told_to_stop};
use super::dev::stream::Stream;
use super::publish::publish_all;
use super::say::{fault, out};
use super::{Exit, PlanFile};
use crate::app::{App, PlanSource};

/// Until the host consumes, and again until every order has come to its end: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) fn run() -> Result<Exit, Exit> {
    let component = hive_demo::component().map_err(|reason| {
        fault!("this hive-host was built without the demo's component: {reason}; then build hive-host again");
        Exit::Failed
    })?;
    Ok(super::block_on(async {
        tokio::select! {
            shown = show(component) => shown.unwrap_or_else(|exit| exit),
            () = told_to_stop() => Exit::Done,
        }
    }))
}

/// Everything, from the start of the broker to the end of the host.
async fn show(component: &[u8]) -> Result<Exit, Exit> {
    let begun = Instant::now();
    let broker = hive_broker::Broker::start(Settings::default()).await;
    let broker = broker.map_err(|error| failed(&error))?;
    // Components and configurations are files to the host. It goes when this function ends.
    let folder = files(component).map_err(|error| failed(&error))?;
    let (plan, source) = plan(&folder, &broker.url())?;
    out!("a broker runs in this process: {}", broker.url());
    let _shown = Stream::start_brief();
    let tasks = Tasks::new();
    let started = App::start(
        plan.clone(),
        source,
        Compiling::Alone,
        &tasks,
        &super::telemetry()?,
    )
    .await;
    let _app = started.map_err(|fault| super::refuse(&fault))?;
    until(&broker, |broker| {
        let queue = broker.queue("/", CREATED);
        queue.is_some_and(|queue| queue.consumers > 0)
    })
    .await?;
    out!(
        "{} orders are published; the component `orders` prices them:",
        ORDERS.len()
    );
    publish(&plan).await?;
    until(&broker, is_over).await?;
    let drained = tasks.stop(plan.host.shutdown_timeout).await;
    tell(&broker, begun.elapsed());
    Ok(match drained {
        Drained::Cleanly => Exit::Done,
        Drained::AtDeadline => Exit::Failed,
    })
}

/// A folder with the component and hive.toml, which is removed with the value.
fn files(component: &[u8]) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("hive-demo-").tempdir()?;
    std::fs::write(folder.path().join("orders.wasm"), component)?;
    std::fs::write(folder.path().join("hive.toml"), HIVE_TOML)?;
    Ok(folder)
}

/// The plan of hive.toml, independent of the environment of the process.
fn plan(folder: &TempDir, url: &str) -> Result<(Plan, PlanSource), Exit> {
    let file = folder.path().join("hive.toml");
    let environment = Environment {
        broker: Some(url.to_owned()),
        ..Environment::default()
    };
    let plan = PlanFile { file: file.clone() }.load_in(&environment)?;
    Ok((plan, PlanSource { file, environment }))
}

/// Publishes the orders as any client would.
async fn publish(plan: &Plan) -> Result<(), Exit> {
    let connections = plan.connections.values();
    for connection in connections {
        let broker = connect(connection, "hive-host demo")?;
        let tally = publish_all(ORDERS.iter().map(order), &broker).await;
        broker.leave().await;
        if tally.published < ORDERS.len() as u64 {
            // The reason has been printed.
            return Err(Exit::Failed);
        }
    }
    Ok(())
}

fn order(order: &hive_demo::Order) -> Publication {
    Publication {
        exchange: EXCHANGE.to_owned(),
        routing_key: ROUTING_KEY.to_owned(),
        message: Message {
            properties: Properties {
                message_id: Some(order.id.to_owned()),
                content_type: Some("application/json".to_owned()),
                ..Properties::default()
            },
            body: order.body.into(),
        },
        mandatory: true,
        delay: None,
    }
}

/// Whether every order is priced or a dead letter, and nothing waits or is being handled.
fn is_over(broker: &hive_broker::Broker) -> bool {
    let is_end = |name: &str| name == PRICED || name == DEAD;
    let (ends, others): (Vec<_>, Vec<_>) = broker
        .queues()
        .into_iter()
        .partition(|queue| is_end(&queue.name));
    let ended: usize = ends.iter().map(|queue| queue.ready).sum();
    ended == ORDERS.len() && others.iter().all(|queue| queue.ready + queue.unacked == 0)
}

/// Waits for a state of the broker.
async fn until(
    broker: &hive_broker::Broker,
    is_there: impl Fn(&hive_broker::Broker) -> bool,
) -> Result<(), Exit> {
    let deadline = Instant::now() + PATIENCE;
    while !is_there(broker) {
        if Instant::now() > deadline {
            fault!("the orders have not come to their end within {PATIENCE:?}");
            count(broker);
            return Err(Exit::Failed);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn tell(broker: &hive_broker::Broker, took: Duration) {
    out!("what the broker has now:");
    count(broker);
    out!(
        "every order was acknowledged; the demo took {:.1} s",
        took.as_secs_f64()
    );
    out!("next: hive-host new greeter --lang rust (or js, ts, python, c, go)");
}

/// How many messages are in each queue.
fn count(broker: &hive_broker::Broker) {
    for queue in broker.queues() {
        out!("  {:<32} {:>3}", queue.name, queue.ready + queue.unacked);
    }
}

fn failed(error: &dyn std::fmt::Display) -> Exit {
    fault!("{error}");
    Exit::Failed
}
