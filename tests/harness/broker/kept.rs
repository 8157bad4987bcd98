//! A broker that stays up between runs, so that a run of some seconds need not wait for one to start.
//!
//! A process of its own, the holder, starts the broker and ends it after a while without a run. A folder under the
//! target folder has what others need: `held`, locked by the holder, with its process id; `used`, locked by each run;
//! and `record.json`, which says where the broker is. Locks end with their process, however it ends, so nothing
//! in the folder outlives what it describes.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use super::{
    Broker, CONFIGURATION, Ports, Process, START_TIMEOUT, STOP_TIMEOUT, Version, environment,
    handshake,
};
use crate::build::target_folder;
use crate::eventually::eventually_within;
use crate::keeper;

/// The folder of the kept broker that a run is to use.
const CHOICE: &str = "HIVE_KEPT_BROKER";

/// How often the holder looks whether its broker is used.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The place of a kept broker, whether there is one at the moment or not.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    version: Version,
}

/// What is in that place.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Nothing,
    Starting,
    Good,
    Faulty(String),
}

impl Kept {
    /// The one of this version, for all runs of this target folder.
    pub fn of(version: Version) -> Self {
        let folder = target_folder()
            .join("tests")
            .join(format!("kept-{version}"));
        Self { folder, version }
    }

    /// The same in another folder.
    #[must_use]
    pub fn at(self, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, ..self }
    }

    /// The one that this run is to use: `HIVE_KEPT_BROKER`.
    pub(super) fn of_run() -> Result<Option<Self>> {
        let version = Version::of_run()?;
        let chosen = std::env::var_os(CHOICE);
        Ok(chosen.map(|folder| Self::of(version).at(Path::new(&folder))))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes sure that a good one is there: replaces a faulty one, and starts one with the program `holder` where
    /// there is none. Gives the fault of the one that was replaced.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn ensure(&self, mut holder: Command) -> Result<Option<String>> {
        std::fs::create_dir_all(&self.folder)?;
        let mut fault = None;
        let mut started = None;
        match self.state()? {
            State::Good => return Ok(None),
            State::Starting => {}
            State::Nothing => started = Some(self.start(&mut holder)?),
            State::Faulty(what) => {
                self.stop().await?;
                fault = Some(what);
                started = Some(self.start(&mut holder)?);
            }
        }
        let mut now = || {
            let ended = started.as_mut().map(Child::try_wait).transpose()?.flatten();
            // One that ended well found another holder at work.
            if ended.is_some_and(|status| !status.success()) {
                return Ok(Some(State::Nothing));
            }
            let state = self.state()?;
            // Before it has the lock, a new holder is not to be seen.
            let begins = started.is_some() && state == State::Nothing;
            Ok((!begins).then_some(state))
        };
        let look = || std::future::ready(now());
        let is_settled =
            |state: &Option<State>| matches!(state, Some(State::Good | State::Nothing));
        let state = eventually_within(START_TIMEOUT, "a broker is kept", look, is_settled).await?;
        ensure!(
            state == Some(State::Good),
            "no broker is kept: {}",
            self.log()
        );
        Ok(fault)
    }

    /// Ends it. Gives whether there was one.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn stop(&self) -> Result<bool> {
        if !self.is_held()? {
            return Ok(false);
        }
        let holder = std::fs::read_to_string(self.file("held"))?;
        let holder = holder.trim().parse().context("the id of the holder")?;
        for signal in ["TERM", "KILL"] {
            keeper::try_signal(holder, signal);
            let look = async || self.is_held();
            let gone = eventually_within(STOP_TIMEOUT / 4, "it has ended", look, |held| !held);
            if gone.await.is_ok() {
                return Ok(true);
            }
        }
        bail!("process {holder} keeps a broker and does not end")
    }

    /// What is wrong with the one that is there.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn fault(&self) -> Result<Option<String>> {
        Ok(match self.state()? {
            State::Faulty(fault) => Some(fault),
            State::Nothing | State::Starting | State::Good => None,
        })
    }

    /// The broker. It stays for as long as this process holds it.
    ///
    /// # Errors
    /// If none is there, or a faulty one.
    pub fn used(&self) -> Result<Broker> {
        let mut used = self.open("used")?;
        used.lock_shared()?;
        // The holder then knows that there is something to clean up.
        used.write_all(b".")?;
        ensure!(
            self.state()? == State::Good,
            "no good broker is kept in {}: run scripts/smoke, or leave {CHOICE} unset",
            self.folder.display()
        );
        self.read(used)
    }

    fn state(&self) -> Result<State> {
        if !self.is_held()? {
            return Ok(State::Nothing);
        }
        let Ok(record) = self.record() else {
            return Ok(State::Starting);
        };
        Ok(match self.check(&record) {
            Ok(()) => State::Good,
            Err(fault) => State::Faulty(format!("{fault:#}")),
        })
    }

    /// Whether the broker of a record is one that a run of this version can use.
    fn check(&self, record: &Value) -> Result<()> {
        let settings = record["configuration"].as_str();
        ensure!(
            settings == Some(CONFIGURATION),
            "it was started with other settings"
        );
        let ports = ports(record)?;
        handshake(ports.amqp).context("it does not answer")?;
        let management = crate::management::Management::new(vec![ports.management]);
        let overview = management.get("/overview")?;
        let release = overview["rabbitmq_version"].as_str().unwrap_or_default();
        ensure!(
            release.starts_with(&format!("{}.", self.version)),
            "it is RabbitMQ {release}"
        );
        management
            .get("/health/checks/alarms")
            .context("an alarm is on")
            .map(drop)
    }

    fn start(&self, holder: &mut Command) -> Result<Child> {
        let log = File::create(self.file("log"))?;
        // A group of its own: ctrl-c in the terminal of a run is not meant for it.
        holder
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the holder of the broker cannot be started")
    }

    fn is_held(&self) -> Result<bool> {
        is_locked(&self.open("held")?)
    }

    fn record(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.file("record.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    fn write(&self, broker: &Broker) -> Result<()> {
        let Ports {
            amqp,
            management,
            distribution,
            mapper,
        } = broker.ports;
        let record = json!({
            "configuration": CONFIGURATION,
            "folder": broker.folder,
            "node": broker.node,
            "ports": [amqp, management, distribution, mapper],
            "server": broker.id(),
        });
        // Whole or not at all.
        let making = self.file("making.json");
        std::fs::write(&making, format!("{record:#}\n"))?;
        Ok(std::fs::rename(making, self.file("record.json"))?)
    }

    fn read(&self, used: File) -> Result<Broker> {
        let record = self.record()?;
        let text = |key: &str| record[key].as_str().with_context(|| key.to_owned());
        let folder = PathBuf::from(text("folder")?);
        let node = text("node")?.to_owned();
        let ports = ports(&record)?;
        let id = u32::try_from(record["server"].as_u64().context("server")?)?;
        Ok(Broker {
            version: self.version,
            programs: Some(Programs::of(self.version, &folder)?),
            environment: environment(&folder, &node, ports),
            server: Mutex::new(Process::Kept { id, _used: used }),
            port_mapper: None,
            run: format!("{}-", std::process::id()),
            vhosts: Mutex::default(),
            folder,
            ports,
            node,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn open(&self, name: &str) -> Result<File> {
        let path = self.file(name);
        let file = File::options().create(true).append(true).open(&path);
        file.with_context(|| format!("cannot open {}", path.display()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

/// Starts a broker in the place of `kept` and keeps it until it has ended, until `idle` has passed without a
/// run, or until the record of it is gone. Does nothing where another process keeps one.
///
/// # Errors
/// If it cannot be started.
pub async fn hold(kept: &Kept, idle: Duration) -> Result<()> {
    let mut held = kept.open("held")?;
    if held.try_lock().is_err() {
        return Ok(());
    }
    held.set_len(0)?;
    write!(held, "{}", std::process::id())?;
    let record = kept.file("record.json");
    // Of one that was killed; mostly there is none.
    drop(std::fs::remove_file(&record));
    let broker = Broker::private_of(kept.version).await?;
    kept.write(&broker)?;
    let used = kept.open("used")?;
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < idle && record.exists() && !broker.server().has_ended()? {
        if is_locked(&used)? {
            idle_since = Instant::now();
        } else if used.metadata()?.len() > 0 && clean_up_one(&broker, &used)? {
            continue;
        }
        sleep(LOOK_EVERY).await;
    }
    drop(std::fs::remove_file(&record));
    Ok(())
}

/// Deletes one vhost or user that an earlier run left; `false` if there was none, or a run came in between.
fn clean_up_one(broker: &Broker, used: &File) -> Result<bool> {
    // A run that begins now waits for this one deletion.
    if used.try_lock().is_err() {
        return Ok(false);
    }
    let management = broker.management();
    let mut left = Vec::new();
    for (path, ours) in [("/vhosts", "/"), ("/users", "guest")] {
        let all = management.get(path)?;
        let names = all.as_array().into_iter().flatten();
        let names = names.filter_map(|one| one["name"].as_str());
        let others = names.filter(|name| *name != ours);
        left.extend(others.map(|name| format!("{path}/{name}")));
    }
    match left.first() {
        Some(path) => management.delete(path)?,
        None => used.set_len(0)?,
    }
    used.unlock()?;
    Ok(!left.is_empty())
}

fn is_locked(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => {
            file.unlock()?;
            Ok(false)
        }
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn ports(record: &Value) -> Result<Ports> {
    let port = |index: usize| -> Result<u16> {
        let port = record["ports"][index].as_u64().context("ports")?;
        Ok(u16::try_from(port)?)
    };
    Ok(Ports {
        amqp: port(0)?,
        management: port(1)?,
        distribution: port(2)?,
        mapper: port(3)?,
    })
}
