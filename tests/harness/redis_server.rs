//! A Redis of one test's own, on a free port, with its data in a folder of this run.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::certificates::{Authority, Identity};
use crate::eventually::eventually;
use crate::keeper;
use crate::ports::reserve_ports;
use crate::tls_broker::Clients;

/// The user of the host that [`RedisServer::url`] names.
const PASSWORD: &str = "s3cret";

/// A running (or killed) `redis-server` that puts every write on the disk before it answers.
#[derive(Debug)]
pub struct RedisServer {
    folder: PathBuf,
    port: u16,
    /// The port for TLS, and the settings of it.
    tls: Option<(u16, Vec<String>)>,
    server: Mutex<Child>,
}

impl RedisServer {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts one that speaks TLS too, on a port of its own, and trusts this authority.
    pub async fn start_with_tls(
        authority: &Authority,
        identity: &Identity,
        clients: Clients,
    ) -> Result<Self> {
        let [port] = reserve_ports()?;
        let path = |path: &Path| path.display().to_string();
        let asks = match clients {
            Clients::Anyone => "no",
            Clients::WithCertificate => "yes",
        };
        let settings = [
            ("--tls-port", port.to_string()),
            ("--tls-ca-cert-file", path(authority.certificate())),
            ("--tls-cert-file", path(&identity.certificate)),
            ("--tls-key-file", path(&identity.key)),
            ("--tls-auth-clients", asks.to_owned()),
        ];
        let settings = settings.map(|(name, value)| [name.to_owned(), value]);
        Self::start_with(Some((port, settings.concat()))).await
    }

    async fn start_with(tls: Option<(u16, Vec<String>)>) -> Result<Self> {
        let folder = keeper::scratch("redis");
        let [port] = reserve_ports()?;
        let server = Self {
            server: Mutex::new(launch(&folder, port, tls.as_ref())?),
            folder,
            port,
            tls,
        };
        server.ready().await?;
        Ok(server)
    }

    /// Where it is, with its password.
    pub fn url(&self) -> String {
        self.url_with(PASSWORD)
    }

    /// The URL with another password.
    pub fn url_with(&self, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{}/1", self.port)
    }

    /// The port on which it speaks TLS.
    pub fn tls_port(&self) -> Result<u16> {
        let (port, _) = self.tls.as_ref().context("it does not speak TLS")?;
        Ok(*port)
    }

    /// Where it speaks TLS, with its password.
    pub fn tls_url(&self) -> Result<String> {
        Ok(format!(
            "rediss://:{PASSWORD}@localhost:{}/1",
            self.tls_port()?
        ))
    }

    /// `[store]` of a host that uses it.
    pub fn store(&self) -> String {
        format!("kind = \"redis\"\nurl = \"{}\"", self.url())
    }

    /// Kills it as a power cut would.
    pub fn kill9(&self) -> Result<()> {
        let mut server = self.server();
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Starts it again, on the same data.
    pub async fn restart(&self) -> Result<()> {
        *self.server() = launch(&self.folder, self.port, self.tls.as_ref())?;
        self.ready().await
    }

    /// Sends a command that is answered with `OK`.
    pub fn command(&self, words: &[&str]) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("AUTH {PASSWORD}\r\n{}\r\n", words.join(" ")).as_bytes())?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        ensure!(&answer == b"+OK\r\n+OK\r\n", "Redis refused {words:?}");
        Ok(())
    }

    async fn ready(&self) -> Result<()> {
        let look = async || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(format!("AUTH {PASSWORD}\r\nPING\r\n").as_bytes())?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            ensure!(&answer == b"+OK\r\n+PONG\r\n", "it is not ready");
            Ok(())
        };
        eventually("Redis is ready", look, |()| true).await
    }

    fn server(&self) -> MutexGuard<'_, Child> {
        self.server.lock().expect("no holder of this lock panics")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let mut server = self.server();
        // It may have ended already, which is as good.
        if server.kill().is_ok() {
            drop(server.wait());
        }
    }
}

fn launch(folder: &Path, port: u16, tls: Option<&(u16, Vec<String>)>) -> Result<Child> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--requirepass", PASSWORD, "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .arg("--dir")
        .arg(folder)
        .args(tls.map_or(&[][..], |(_, settings)| settings))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    keeper::start(&mut command).context(
        "Redis is not installed here; scripts/test gets it on Debian and Ubuntu, or: \
         apt-get install redis-server",
    )
}
