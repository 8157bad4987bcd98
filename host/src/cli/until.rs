//! The end of a command that goes on until someone ends it. SIGHUP, which comes as its terminal closes, ends it as it ends
//! any other program.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM and at ctrl-c.
pub(super) async fn ended() {
    let terminate = signal(SignalKind::terminate());
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, signal(SignalKind::interrupt()))
    else {
        // Without a handler the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
