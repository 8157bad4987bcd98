//! An S3 server of one test's own, on a free port, with its buckets in a folder of this run.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

use crate::build;
use crate::eventually::eventually;
use crate::keeper;
use crate::ports::reserve_ports;

/// The one bucket that it has.
pub const BUCKET: &str = "bucket";

const KEY: &str = "AKIATEST";
/// Never to be seen in a log, nor by a component.
pub const SECRET: &str = "s3-s3cret";

/// A running (or killed) server.
#[derive(Debug)]
pub struct S3Server {
    folder: PathBuf,
    port: u16,
    server: Mutex<Child>,
}

impl S3Server {
    /// Starts one, with an empty bucket.
    pub async fn start() -> Result<Self> {
        let folder = keeper::scratch("s3");
        std::fs::create_dir_all(folder.join(BUCKET))?;
        let [port] = reserve_ports()?;
        let server = Self {
            server: Mutex::new(launch(&folder, port)?),
            folder,
            port,
        };
        server.ready().await?;
        Ok(server)
    }

    /// What a host finds in its environment.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables_with(SECRET)
    }

    /// The same with another secret.
    pub fn variables_with(&self, secret: &str) -> Vec<(String, String)> {
        [
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            ),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Kills it as a power cut would.
    pub fn kill9(&self) -> Result<()> {
        let mut server = self.server();
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// Starts it again, on the same folder.
    pub async fn restart(&self) -> Result<()> {
        *self.server() = launch(&self.folder, self.port)?;
        self.ready().await
    }

    /// Stops it where it stands, as if it had become slow: connections are taken, and nothing is answered.
    pub fn stall(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets it continue.
    pub fn wake(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.server().id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status()?;
        anyhow::ensure!(sent.success(), "kill {signal} {id}: {sent}");
        Ok(())
    }

    /// Removes the bucket with all that is in it.
    pub fn remove_bucket(&self) -> Result<()> {
        Ok(std::fs::remove_dir_all(self.folder.join(BUCKET))?)
    }

    /// Makes it again.
    pub fn make_bucket(&self) -> Result<()> {
        Ok(std::fs::create_dir_all(self.folder.join(BUCKET))?)
    }

    /// The objects below `prefix`, each with its content.
    pub fn objects(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let folder = self.folder.join(BUCKET).join(prefix);
        let mut found = Vec::new();
        gather(&folder, &folder, &mut found)?;
        found.sort();
        Ok(found)
    }

    /// How many uploads in parts have been begun and neither been finished nor aborted.
    pub fn unfinished_uploads(&self) -> Result<usize> {
        let entries = std::fs::read_dir(&self.folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: Result<Vec<String>> = names.collect();
        let is_of_upload = |name: &&String| name.starts_with(".upload-") && name.ends_with(".json");
        Ok(names?.iter().filter(is_of_upload).count())
    }

    async fn ready(&self) -> Result<()> {
        let look = async || Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok());
        eventually("the S3 server takes connections", look, |taken| *taken).await?;
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Child> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _gone = self.kill9();
    }
}

/// What gzip has made of a text.
pub fn unzipped(content: &[u8]) -> Result<String> {
    let mut text = String::new();
    GzDecoder::new(content).read_to_string(&mut text)?;
    Ok(text)
}

fn launch(folder: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new(build::s3_server());
    command
        .arg(port.to_string())
        .arg(folder)
        .args([KEY, SECRET])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    keeper::start(&mut command).context("the S3 server does not start")
}

fn gather(folder: &Path, below: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(below)?.to_string_lossy().into_owned();
        if path.is_dir() {
            gather(&path, below, found)?;
        } else {
            found.push((name, std::fs::read(&path)?));
        }
    }
    Ok(())
}
