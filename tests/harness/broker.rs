//! A RabbitMQ of the tests' own, in a version of choice: its own node name, ports, data folder, cookie
//! and port mapper, all in a folder of this run. Or, for a run with `HIVE_BROKER=memory`, the broker of `hive-host broker`.

mod cluster;
mod kept;
mod memory;
mod process;
mod programs;
mod version;

pub use cluster::Cluster;
pub use kept::{Kept, hold};
pub use version::Version;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::process::Process;
use self::programs::Programs;
use crate::eventually::eventually_within;
use crate::keeper;
use crate::management::Management;
use crate::ports::reserve_ports;
use crate::vhost::Vhost;

/// A cold start takes five seconds on two idle cores.
const START_TIMEOUT: Duration = Duration::from_secs(240);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Counters are wanted within a test's patience, so they are sampled every second; how full the
/// disk may become is the developer's own affair.
const CONFIGURATION: &str = "\
management.tcp.ip = 127.0.0.1
collect_statistics_interval = 250
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.minute = 1
disk_free_limit.absolute = 50MB
";

/// Why a scenario fails that asks the broker in the process for something else.
const NEEDS_RABBITMQ: &str =
    "only a RabbitMQ has this: list the scenario in tests/needs-rabbitmq.txt, with the reason";

/// A running (or killed, or stopped) RabbitMQ node, or `hive-host broker`.
#[derive(Debug)]
pub struct Broker {
    version: Version,
    /// `None` for `hive-host broker`.
    programs: Option<Programs>,
    folder: PathBuf,
    ports: Ports,
    node: String,
    environment: Vec<(&'static str, OsString)>,
    server: Mutex<Process>,
    port_mapper: Option<Child>,
    /// Tells the vhosts of this process from those of earlier runs, where the broker outlives one.
    run: String,
    /// The vhosts that were added.
    vhosts: Mutex<Vec<String>>,
}

/// The ports of a broker.
#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    mapper: u16,
}

impl Broker {
    /// The broker that all tests of this process share, each in a vhost of its own, in the version that
    /// the run is for. `scripts/smoke` keeps one up between runs; without it, one is started.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Broker> = OnceCell::const_new();
        let find = async || match Kept::of_run()? {
            // The one in the process starts in a moment and is not kept.
            Some(kept) if !version::run_is_in_memory() => kept.used(),
            _ => Self::private().await,
        };
        SHARED.get_or_try_init(find).await
    }

    /// A broker for one test that stops, kills or restarts it, in the version that the run is for.
    pub async fn private() -> Result<Self> {
        if version::run_is_in_memory() {
            return Self::in_memory().await;
        }
        Self::private_of(Version::of_run()?).await
    }

    /// A broker for one test, in this version whatever the run is for.
    pub async fn private_of(version: Version) -> Result<Self> {
        Self::private_with(version, "", &[]).await
    }

    /// The same with more lines in its rabbitmq.conf, and more plugins.
    pub async fn private_with(
        version: Version,
        configuration: &str,
        plugins: &[&str],
    ) -> Result<Self> {
        ensure!(!version::run_is_in_memory(), NEEDS_RABBITMQ);
        let broker = Self::start(version, configuration, plugins)?;
        broker.ready().await?;
        Ok(broker)
    }

    /// The version of the broker.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A new vhost on it; `label` is what its name begins with.
    pub async fn vhost(&self, label: &str) -> Result<Vhost> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}-{}{number}", self.run);
        self.management()
            .put(&format!("/vhosts/{name}"), &serde_json::json!({}))?;
        self.management().put(
            &format!("/permissions/{name}/guest"),
            &serde_json::json!({"configure": ".*", "write": ".*", "read": ".*"}),
        )?;
        self.vhosts().push(name.clone());
        let Ports { amqp, .. } = self.ports;
        Ok(Vhost::new(
            name,
            vec![amqp],
            self.management(),
            self.version,
        ))
    }

    /// The vhost that the broker makes for itself when it starts, by the `default_vhost` of its rabbitmq.conf.
    pub fn default_vhost(&self, name: &str) -> Vhost {
        let ports = vec![self.ports.amqp];
        Vhost::new(name.to_owned(), ports, self.management(), self.version)
    }

    /// The port that it speaks AMQP on, on the loopback address.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The management interface of the broker.
    pub fn management(&self) -> Management {
        Management::new(vec![self.ports.management])
    }

    /// Kills it as a power cut would, once its register of queues is on disk: Mnesia writes that up to
    /// two seconds late, and forgets a queue declared just before with all that is in it. Khepri, which
    /// 4.3 has in its place, answers a declaration when it is on disk.
    pub async fn kill9(&self) -> Result<()> {
        match self.version {
            Version::V3_10 | Version::V4_0 => {
                self.rabbitmqctl(&["eval", "mnesia:sync_log()."])?;
            }
            Version::V4_3 => {}
        }
        self.server().kill9()?;
        self.gone().await
    }

    /// Stops it as its operator would.
    pub async fn stop(&self) -> Result<()> {
        self.server().stop()?;
        self.gone().await
    }

    /// Starts it again, on the same data, after [`Broker::kill9`] or [`Broker::stop`]. Gives the
    /// moment in which it first spoke AMQP, which its management interface is later than.
    pub async fn restart(&self) -> Result<Instant> {
        let server = self.start_server()?;
        *self.server() = server;
        self.ready().await
    }

    /// Holds it, so that it neither answers nor closes anything.
    pub fn sigstop(&self) {
        keeper::hold(self.id());
    }

    /// Lets it continue after [`Broker::sigstop`].
    pub fn sigcont(&self) {
        keeper::signal(self.id(), "CONT");
    }

    /// Runs `rabbitmqctl` on it. Takes a second or two: [`Broker::management`] is faster.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        let output = self.script("rabbitmqctl")?.args(arguments).output()?;
        let Output {
            status,
            stdout,
            stderr,
        } = &output;
        ensure!(
            status.success(),
            "rabbitmqctl {} failed: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(stdout),
            String::from_utf8_lossy(stderr)
        );
        Ok(String::from_utf8_lossy(stdout).into_owned())
    }

    /// Starts `rabbitmqctl` on it, for what takes a while. Its answer is what it prints.
    pub fn start_rabbitmqctl(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.script("rabbitmqctl")?;
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(keeper::start(&mut command)?)
    }

    /// The connections that clients have open in a vhost, but for the test's own: their names, which
    /// are their addresses and so change with each connection. The broker's word of this moment.
    pub fn connections(&self, vhost: &Vhost) -> Result<Vec<String>> {
        if self.programs.is_none() {
            let connections = vhost.host_connections()?.into_iter();
            return Ok(connections.map(|one| one.name).collect());
        }
        let columns = ["name", "vhost", "client_properties"];
        let list = ["--quiet", "--formatter=json", "list_connections"];
        let answer = self.rabbitmqctl(&[&list[..], &columns].concat())?;
        let all: Vec<Value> = serde_json::from_str(&answer)?;
        let of_hosts = all
            .iter()
            .filter(|one| one["vhost"] == vhost.name() && is_named(&one["client_properties"]));
        let mut names: Vec<String> = of_hosts.map(|one| one["name"].to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Closes every connection that clients have open in a vhost, as an operator would.
    pub fn close_connections(&self, vhost: &Vhost) -> Result<()> {
        self.close_by(&["close_all_connections", "--vhost", vhost.name()], vhost)
    }

    /// The same for the connections of one user.
    pub(crate) fn close_connections_of(&self, user: &str, vhost: &Vhost) -> Result<()> {
        self.close_by(&["close_all_user_connections", user], vhost)
    }

    /// The list of connections of a management interface is some seconds old, and that of a control port is not.
    fn close_by(&self, command: &[&str], vhost: &Vhost) -> Result<()> {
        if self.programs.is_none() {
            return vhost.close_host_connections().map(drop);
        }
        self.rabbitmqctl(&[command, &["a test"]].concat()).map(drop)
    }

    fn start(version: Version, configuration: &str, plugins: &[&str]) -> Result<Self> {
        let [mapper] = reserve_ports()?;
        let mut broker = Self::laid_out(version, mapper, configuration, plugins)?;
        broker.port_mapper = start_port_mapper(broker.programs()?, mapper);
        *broker.server.get_mut().expect("nobody else has it yet") = broker.start_server()?;
        Ok(broker)
    }

    /// Everything that a node needs, which is not started yet.
    fn laid_out(
        version: Version,
        mapper: u16,
        configuration: &str,
        plugins: &[&str],
    ) -> Result<Self> {
        let programs = Programs::of(version, keeper::run_folder())?;
        let folder = keeper::scratch("broker");
        let [amqp, management, distribution] = reserve_ports()?;
        let ports = Ports {
            amqp,
            management,
            distribution,
            mapper,
        };
        let node = format!("hive-{}-{amqp}@localhost", std::process::id());
        let listeners =
            format!("listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.port = {management}\n");
        write_configuration(&folder, &(listeners + configuration), plugins)?;
        let environment = environment(&folder, &node, ports);
        Ok(Self {
            server: Mutex::new(Process::NotStarted),
            port_mapper: None,
            version,
            programs: Some(programs),
            folder,
            ports,
            node,
            environment,
            run: String::new(),
            vhosts: Mutex::default(),
        })
    }

    fn start_server(&self) -> Result<Process> {
        let server = match &self.programs {
            Some(programs) => start_server(programs, &self.folder, &self.environment),
            None => memory::start_with(self.ports, &self.folder, &self.vhosts()),
        };
        server.map(Process::Ours)
    }

    /// Waits until it answers an AMQP handshake and its management interface is up.
    async fn ready(&self) -> Result<Instant> {
        self.ready_within(START_TIMEOUT).await
    }

    async fn ready_within(&self, deadline: Duration) -> Result<Instant> {
        let spoke = OnceLock::new();
        let look = async || {
            if self.server().has_ended()? {
                bail!("the broker ended; its log ends with\n{}", self.log_tail());
            }
            handshake(self.ports.amqp)?;
            spoke.get_or_init(Instant::now);
            self.management().get("/overview").map(drop)
        };
        eventually_within(deadline, "the broker is ready", look, |()| true)
            .await
            .with_context(|| format!("its log ends with\n{}", self.log_tail()))?;
        spoke.into_inner().context("it spoke just now")
    }

    async fn gone(&self) -> Result<()> {
        let look = async || self.server().has_ended();
        eventually_within(STOP_TIMEOUT, "the broker has ended", look, |ended| *ended).await?;
        Ok(())
    }

    fn programs(&self) -> Result<&Programs> {
        self.programs.as_ref().context(NEEDS_RABBITMQ)
    }

    fn script(&self, name: &str) -> Result<Command> {
        let mut command = self.programs()?.script(name);
        command
            .args(["-n", &self.node])
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn vhosts(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.vhosts.lock().expect("no holder of this lock panics")
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Process> {
        self.server.lock().expect("no holder of this lock panics")
    }

    /// The process id of the broker.
    pub fn id(&self) -> u32 {
        self.server().id()
    }

    /// Suspends a quorum queue, so that it answers no request until it is resumed.
    pub fn suspend_queue(&self, vhost: &Vhost, queue: &str) -> Result<()> {
        self.tell_queue("suspend", vhost, queue)
    }

    /// Resumes a suspended queue.
    pub fn resume_queue(&self, vhost: &Vhost, queue: &str) -> Result<()> {
        self.tell_queue("resume", vhost, queue)
    }

    /// Delays a quorum queue's answer to the next request, and to those behind it, by a second.
    pub fn delay_queue_answer(&self, vhost: &Vhost, queue: &str) -> Result<()> {
        self.suspend_queue(vhost, queue)?;
        let resume = format!(
            "Queue = whereis('{}_{queue}'),
             Asks = fun({{'$gen_call', _, _}}) -> true; (_) -> false end,
             spawn(fun Wait() ->
                 {{messages, Messages}} = process_info(Queue, messages),
                 case lists:any(Asks, Messages) of
                     true -> timer:sleep(1000), sys:resume(Queue);
                     false -> timer:sleep(50), Wait()
                 end
             end).",
            vhost.name()
        );
        self.rabbitmqctl(&["eval", &resume]).map(drop)
    }

    fn tell_queue(&self, word: &str, vhost: &Vhost, queue: &str) -> Result<()> {
        let told = format!("sys:{word}(whereis('{}_{queue}')).", vhost.name());
        self.rabbitmqctl(&["eval", &told]).map(drop)
    }

    /// The text of its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_file(&self.folder)).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// Stops a private broker early; the keeper cleans up the rest.
impl Drop for Broker {
    fn drop(&mut self) {
        let mut children: Vec<&mut Child> = self.port_mapper.iter_mut().collect();
        let server = self
            .server
            .get_mut()
            .expect("no holder of this lock panics");
        if let Process::Ours(server) = server {
            children.push(server);
        }
        for child in children {
            // It may have ended already, which is as good.
            if child.kill().is_ok() {
                drop(child.wait());
            }
        }
    }
}

/// Whether a client gave its connection a name, as a host does and the test's own client does not.
fn is_named(client_properties: &Value) -> bool {
    let properties = client_properties.as_array();
    properties.is_some_and(|properties| properties.iter().any(|one| one[0] == "connection_name"))
}

fn write_configuration(folder: &Path, more: &str, plugins: &[&str]) -> Result<()> {
    std::fs::write(
        folder.join("rabbitmq.conf"),
        format!("{CONFIGURATION}{more}"),
    )?;
    let plugins = [&["rabbitmq_management"], plugins].concat().join(", ");
    std::fs::write(folder.join("plugins"), format!("[{plugins}].\n"))?;
    for made in ["home", "data", "log"] {
        std::fs::create_dir_all(folder.join(made))?;
    }
    Ok(())
}

fn environment(folder: &Path, node: &str, ports: Ports) -> Vec<(&'static str, OsString)> {
    let in_folder = |name: &str| folder.join(name).into_os_string();
    vec![
        ("HOME", in_folder("home")),
        ("RABBITMQ_NODENAME", node.into()),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string().into()),
        ("RABBITMQ_MNESIA_BASE", in_folder("data")),
        ("RABBITMQ_LOG_BASE", in_folder("log")),
        ("RABBITMQ_LOGS", "-".into()),
        ("RABBITMQ_CONFIG_FILE", in_folder("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", in_folder("none.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", in_folder("plugins")),
        // The node's scheduler threads spin for work by default, which the tests' other half needs.
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+sbwt none +sbwtdcpu none +sbwtdio none".into(),
        ),
        ("ERL_EPMD_PORT", ports.mapper.to_string().into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        // The server script then becomes the node itself, whose process this is to hold.
        ("RUNNING_UNDER_SYSTEMD", "true".into()),
        ("LC_ALL", "C.UTF-8".into()),
    ]
}

/// Erlang's port mapper, in the foreground: a node that starts it by itself makes a daemon of it, which stays
/// for ever. On a machine without that command the node does just that.
fn start_port_mapper(programs: &Programs, port: u16) -> Option<Child> {
    let mut command = programs.port_mapper();
    command
        .args(["-port", &port.to_string(), "-address", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    keeper::start(&mut command).ok()
}

fn start_server(
    programs: &Programs,
    folder: &Path,
    environment: &[(&'static str, OsString)],
) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(folder))?;
    let mut command = programs.script("rabbitmq-server");
    command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log);
    keeper::start(&mut command).context("cannot start rabbitmq-server")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

/// Says AMQP's first words and waits for the broker's.
fn handshake(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    // A method frame on channel 0: connection.start.
    ensure!(answer[0] == 1, "the port answers, but not in AMQP 0-9-1");
    Ok(())
}
