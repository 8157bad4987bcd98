//! The connection of a command, with its faults printed.

use hive_config::plan::ConnectionPlan;

use super::Exit;
use super::run::Signals;
use super::say::fault;
pub(super) use crate::client::Client as Broker;

/// Connects as `plan` says, under `name`, and declares nothing.
pub(super) fn connect(plan: &ConnectionPlan, name: &'static str) -> Result<Broker, Exit> {
    Broker::connect(plan, name).map_err(|reason| {
        fault!([reason.code] "{reason}");
        Exit::Failed
    })
}

/// Resolves at the first signal that asks the process to stop.
pub(super) async fn told_to_stop() {
    match Signals::new() {
        Ok(mut signals) => {
            signals.stop(None).await;
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}
