//! The duties of the first process of a container, which no other process has (pid_namespaces(7)).
//!
//! The kernel takes no default action for it: a signal that it does not handle does nothing, so that SIGTERM would not
//! end a command. It also becomes the parent of each process whose own parent has ended, such as what a shell under
//! `kubectl exec` leaves behind. Such a process stays as a zombie until its parent asks for its end.

use std::io;
use std::process;
use std::sync::mpsc;
use std::thread;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::run::Signals;

/// What a shell adds to the number of the signal that has ended a program.
const BY_SIGNAL: i32 = 128;

/// Whether this process is the first one of its container.
pub(super) fn is_this() -> bool {
    process::id() == 1
}

/// Ends this process at SIGTERM and at ctrl-c, from now on: for commands that handle no signals of their own.
pub(super) fn end_at_signals() -> io::Result<()> {
    let (listening, listens) = mpsc::channel();
    let end = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            return;
        };
        runtime.block_on(async {
            let Ok(mut signals) = Signals::new() else {
                return;
            };
            // The command may have ended already.
            let _nobody_waits = listening.send(());
            let number = match signals.stop(None).await {
                "SIGINT" => SignalKind::interrupt(),
                _ => SignalKind::terminate(),
            };
            process::exit(BY_SIGNAL + number.as_raw_value());
        });
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(end)?;
    // An error: the thread has ended without a handler, and the command runs as it would without this.
    let _listens = listens.recv();
    Ok(())
}

/// Takes leave of every child that ends, until the host stops: only for a process that starts no children itself.
pub(super) async fn reap(close: CancellationToken) {
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return;
    };
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        tokio::select! {
            biased;
            () = close.cancelled() => return,
            _ = ended.recv() => {}
        }
    }
}
