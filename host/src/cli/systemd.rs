//! What systemd learns of a host that it runs as `Type=notify` (sd_notify(3)): that it is ready, that it reloads, that
//! it stops, and that its runtime makes progress.
//!
//! Each message is a datagram of lines `NAME=VALUE` to the socket that `NOTIFY_SOCKET` names; without that variable
//! none is sent. libsystemd is not needed for it.

use std::ffi::{OsStr, OsString};
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::MissedTickBehavior;

use crate::status::{Status, StatusReader};

/// The longest time until systemd learns of another state.
const EVERY: Duration = Duration::from_secs(5);

/// The time for closing connections, after the deliveries in flight have had theirs, with some to spare.
const CLOSING: Duration = Duration::from_secs(10);

/// The way to systemd, if it started this process.
pub(super) struct Systemd {
    way: Option<Way>,
    /// The longest time between two signs of life.
    watchdog: Option<Duration>,
}

struct Way {
    socket: UnixDatagram,
    address: SocketAddr,
    name: OsString,
    /// Whether a message was lost, which is logged once.
    failed: AtomicBool,
}

impl Systemd {
    /// As the environment of this process says.
    pub(super) fn of_process() -> Self {
        Self::of(|name| std::env::var_os(name), std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> Self {
        let name = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        // A watchdog for another process is inherited from a program that has started this one.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process));
        let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours);
        Self {
            way: name.and_then(Way::open),
            watchdog: micros.map(Duration::from_micros),
        }
    }

    /// The host has started: it consumes, or waits for its broker.
    pub(super) fn ready(&self, status: &Status) {
        self.send(&format!("READY=1\nSTATUS={}", in_words(status)));
    }

    /// A reload has begun. [`Systemd::ready`] ends it.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The host stops, which takes up to `shutdown_timeout`: systemd waits that long even if its `TimeoutStopSec` is
    /// shorter.
    pub(super) fn stopping(&self, shutdown_timeout: Duration) {
        let micros = shutdown_timeout.saturating_add(CLOSING).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.send(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS=finishing the deliveries in flight"
        ));
    }

    /// Sends signs of life and the state, until the host has stopped. The runtime sends them as it does everything
    /// else: where its timers or its threads stand still, there are none.
    pub(super) fn watch(self: &Arc<Self>, status: StatusReader, tasks: &Tasks) {
        if self.way.is_none() {
            return;
        }
        let systemd = Arc::clone(self);
        let close = tasks.close().clone();
        let drain = tasks.drain().clone();
        // Half of what systemd allows, as sd_watchdog_enabled(3) advises.
        let every = self
            .watchdog
            .map_or(EVERY, |longest| EVERY.min(longest / 2));
        tasks.spawn_service(async move {
            let mut beats = tokio::time::interval(every);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = String::new();
            loop {
                tokio::select! {
                    () = close.cancelled() => return,
                    _ = beats.tick() => {}
                }
                let mut lines = Vec::new();
                if systemd.watchdog.is_some() {
                    lines.push("WATCHDOG=1".to_owned());
                }
                let words = in_words(&status());
                if words != told && !drain.is_cancelled() {
                    lines.push(format!("STATUS={words}"));
                    told = words;
                }
                if !lines.is_empty() {
                    systemd.send(&lines.join("\n"));
                }
            }
        });
    }

    fn send(&self, message: &str) {
        let Some(way) = &self.way else {
            return;
        };
        if let Err(error) = way.socket.send_to_addr(message.as_bytes(), &way.address)
            && !way.failed.swap(true, Ordering::Relaxed)
        {
            Fact::SystemdNotNotified {
                socket: &way.name.to_string_lossy(),
                error: &error,
            }
            .emit();
        }
    }
}

impl Way {
    /// `None`, with a line in the log, if there can be no such socket.
    fn open(name: OsString) -> Option<Self> {
        let opened = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            // A systemd that does not read must not hold up the host.
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        });
        match opened {
            Ok((socket, address)) => Some(Self {
                socket,
                address,
                name,
                failed: AtomicBool::new(false),
            }),
            Err(error) => {
                Fact::SystemdNotNotified {
                    socket: &name.to_string_lossy(),
                    error: &error,
                }
                .emit();
                None
            }
        }
    }
}

/// A path, or with `@` in front a name in Linux's abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a path nor a name that begins with @",
        )),
    }
}

/// The state in one line, as `systemctl status` shows it.
fn in_words(status: &Status) -> String {
    let all = status.consumers.len();
    let paused = status.paused().count();
    let standing_by = status.standing_by().count();
    let mut words = format!("{} of {all} consumers consume", status.consuming());
    if standing_by > 0 {
        words.push_str(&format!(", {standing_by} stand by for another host"));
    }
    if paused > 0 {
        words.push_str(&format!(", {paused} paused"));
    }
    // The first reason is enough for one line; `hive-host status` has all of them.
    let waiting = status.missing().next();
    if let Some((consumer, reason)) =
        waiting.and_then(|one| Some((&one.consumer, one.waiting.as_ref()?)))
    {
        let reason = hive_core::escape::line(&reason.text);
        words.push_str(&format!("; {consumer}: {reason}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn systemd(variables: &[(&str, &str)]) -> Systemd {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Systemd::of(find, 7)
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let watchdog = |process| {
            let variables = [("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", process)];
            systemd(&variables).watchdog
        };
        assert_eq!(watchdog("7"), Some(Duration::from_secs(3)));
        assert_eq!(watchdog("8"), None);
        assert_eq!(systemd(&[("WATCHDOG_USEC", "0")]).watchdog, None);
        let unnamed = systemd(&[("WATCHDOG_USEC", "20")]).watchdog;
        assert_eq!(unnamed, Some(Duration::from_micros(20)));
    }

    #[test]
    fn a_socket_that_cannot_be_costs_nothing() {
        for name in ["", "relative", "vsock:2:1234"] {
            let systemd = systemd(&[("NOTIFY_SOCKET", name)]);
            assert!(systemd.way.is_none(), "{name}");
            systemd.stopping(Duration::MAX);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_message_arrives_in_the_abstract_namespace() -> io::Result<()> {
        let name = format!("hive-tests-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name)?;
        let socket = UnixDatagram::bind_addr(&address)?;
        systemd(&[("NOTIFY_SOCKET", &format!("@{name}"))]).reloading();
        let mut message = [0; 100];
        let length = socket.recv(&mut message)?;
        let message = String::from_utf8_lossy(&message[..length]);
        let number = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let number: Option<u64> = number.and_then(|number| number.parse().ok());
        assert!(number.is_some_and(|number| number > 0), "{message}");
        Ok(())
    }
}
