//! A host that systemd runs as `Type=notify`: it says when it is ready, reloads and stops, and that it lives.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, eventually, scratch};

/// What systemd has in the place of a service's socket.
struct Notices(UnixDatagram);

impl Notices {
    /// Waits for a message one of whose lines begins so, and gives the whole.
    async fn wait_for(&self, line: &str) -> Result<String> {
        let look = async || {
            let mut message = [0; 1024];
            let found = match self.0.recv(&mut message) {
                Ok(length) => Some(String::from_utf8(message[..length].to_vec())?),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
                Err(error) => return Err(error.into()),
            };
            Ok(found.filter(|text| text.lines().any(|each| each.starts_with(line))))
        };
        let found = eventually(&format!("systemd got {line}"), look, Option::is_some).await?;
        found.context("it came")
    }
}

/// A host of this hive.toml, and what it says.
fn launch(text: &str, watchdog: Duration) -> Result<(HostProcess, Notices)> {
    let folder = scratch("systemd");
    // The path of a socket has a hundred letters at most.
    let short = std::env::temp_dir().join(format!("hive-notify-{}", std::process::id()));
    let socket = short.with_extension(folder.file_name().unwrap_or_default());
    let notices = UnixDatagram::bind(&socket)?;
    notices.set_nonblocking(true)?;
    let file = folder.join("hive.toml");
    std::fs::write(&file, text)?;
    let variables = [
        ("NOTIFY_SOCKET", &*socket.to_string_lossy()),
        ("WATCHDOG_USEC", &watchdog.as_micros().to_string()),
    ];
    let host = HostProcess::launch_file(&file, &variables)?;
    Ok((host, Notices(notices)))
}

#[tokio::test]
async fn systemd_learns_that_a_host_is_ready_lives_reloads_and_stops() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("systemd").await?;
    let toml = HiveToml::one("letters", "ack", "").host("shutdown_timeout = \"50s\"");
    let (mut host, notices) = launch(&toml.text(&vhost), Duration::from_millis(100))?;
    notices.wait_for("READY=1").await?;
    host.wait_for_start().await?;
    notices.wait_for("STATUS=1 of 1 consumers consume").await?;
    for _ in 0..3 {
        notices.wait_for("WATCHDOG=1").await?;
    }
    host.sighup();
    let reloading = notices.wait_for("RELOADING=1").await?;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    notices.wait_for("READY=1").await?;
    host.sigterm();
    let stopping = notices.wait_for("STOPPING=1").await?;
    // Longer than the host may take, so that systemd does not cut a drain short.
    assert!(
        stopping.contains("EXTEND_TIMEOUT_USEC=60000000"),
        "{stopping}"
    );
    assert_eq!(host.wait().await?.code(), Some(0));
    Ok(())
}

/// A broker that is down is no reason for systemd to start the host again.
#[tokio::test]
async fn a_host_that_waits_for_its_broker_is_ready_and_says_what_it_waits_for() -> Result<()> {
    let [port] = hive_tests::reserve_ports()?;
    let toml = HiveToml::one("letters", "ack", "");
    let toml = toml.text_for(&format!("amqp://127.0.0.1:{port}"));
    let (mut host, notices) = launch(&toml, Duration::from_millis(100))?;
    notices.wait_for("READY=1").await?;
    let told = notices.wait_for("STATUS=0 of 1 consumers consume; letters: ");
    told.await?;
    notices.wait_for("WATCHDOG=1").await?;
    host.stop().await
}
