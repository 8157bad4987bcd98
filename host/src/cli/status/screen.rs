//! `hive-host status --watch` at a terminal: the screen of `hive-screen`, on what the host says.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use hive_screen::{Ended, Look, watch};
use tokio::time::Instant;

use crate::cli::remote::{Unanswered, Where, encoded};
use crate::cli::say::fault;
use crate::cli::{Exit, colour, until};

/// Whether there is a terminal for it, and someone who types there.
pub(super) fn is_possible() -> bool {
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Shows the host until the screen is left, or the host is gone.
pub(super) fn show(host: &Where) -> Result<(), Exit> {
    let host = Arc::new(host.find()?);
    let (looked, began) = (Arc::clone(&host), Instant::now());
    let look = move |opened: Option<&str>| -> Result<Look, Unanswered> {
        let status = looked.ask("/v1/status")?;
        // Another token than that of an operator is refused here, and still sees the status.
        let deliveries = opened.and_then(|name| {
            let path = format!("/v1/consumers/{}/deliveries", encoded(name));
            looked.ask(&path).ok()
        });
        Ok(Look {
            status,
            deliveries,
            at: began.elapsed(),
        })
    };
    let stop = at_signals();
    match watch(!colour::is_refused(), &stop, look) {
        Ended::Left => Ok(()),
        Ended::Away(unanswered) => Err(host.say(unanswered)),
        Ended::Terminal(error) => {
            fault!("the terminal cannot be used: {error}");
            Err(Exit::Failed)
        }
    }
}

/// Set at SIGTERM and at SIGINT: the terminal is restored before the process ends.
fn at_signals() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        // Without one, a signal ends the process as it ends any other.
        if let Ok(runtime) = runtime {
            runtime.block_on(until::ended());
            set.store(true, Ordering::Relaxed);
        }
    });
    stop
}
