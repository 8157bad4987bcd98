//! The real `hive-host`, run as a process: what it logs, how it is stopped, how it ended.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::build;
#[cfg(target_os = "linux")]
use crate::container::{self, Container};
use crate::event::{Event, Mark};
use crate::eventually::{eventually, eventually_within};
use crate::hive_toml::HiveToml;
use crate::http::{self, HttpAnswer};
use crate::keeper;
use crate::memory_limit::MemoryLimit;
#[cfg(target_os = "linux")]
use crate::network::Network;
use crate::ports::reserve_ports;
use crate::usage::{self, Usage};
use crate::vhost::Vhost;

/// A first start compiles a component before it consumes: a language's runtime takes a core for fifteen
/// seconds, and the tests have more such than the machine has cores.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// A `hive-host run`. Killed when it is dropped; its log is then printed, which a test's output
/// shows only where the test fails.
#[derive(Debug)]
pub struct HostProcess {
    child: Child,
    log: Arc<Log>,
    collectors: Vec<JoinHandle<()>>,
    quiet: bool,
    /// Where its admin server is, if that was known before it told.
    port: Option<u16>,
    /// The number of the host outside of its container, if it is in one.
    inside: Option<u32>,
}

/// How a process ended, and what it printed.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Finished {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<Line>>,
    grown: Notify,
    reader: Mutex<Reader>,
    changed: Condvar,
}

/// The behaviour of the reader of a host's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reader {
    #[default]
    Reads,
    /// It leaves the pipe open, and takes nothing out of it.
    Stalls,
    /// The reader closes the pipe.
    Leaves,
}

/// A line as it came, and what it says where it is one of JSON.
#[derive(Debug)]
struct Line {
    text: String,
    event: Option<Event>,
}

impl Line {
    /// Whether the line says that a consumer is subscribed: the one of this name, or any if the name is empty.
    fn is_subscribed(&self, consumer: &str) -> bool {
        let is_it = |event: &Event| match consumer {
            "" => event.is("consumer.subscribed", &[]),
            _ => event.is("consumer.subscribed", &[("consumer", consumer)]),
        };
        match &self.event {
            Some(event) => is_it(event),
            // Text has no events: nothing else of this part and level has these two fields alone.
            None => {
                let part = self.text.split_once(" INFO hive::consumer: ");
                let fields = part.and_then(|(_, fields)| fields.split_once(" consumer="));
                let found = fields.and_then(|(_, rest)| rest.split_once(" queue="));
                found.is_some_and(|(name, _)| consumer.is_empty() || name == consumer)
            }
        }
    }
}

impl Log {
    fn set_reader(&self, reader: Reader) {
        *self.reader.lock().expect("no holder of this lock panics") = reader;
        self.changed.notify_all();
    }

    /// Waits while the reader stalls. Returns whether it reads on.
    fn reads_on(&self) -> bool {
        let reader = self.reader.lock().expect("no holder of this lock panics");
        let stalls = |reader: &mut Reader| *reader == Reader::Stalls;
        let reader = self.changed.wait_while(reader, stalls);
        *reader.expect("no holder of this lock panics") == Reader::Reads
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().expect("no holder of this lock panics")
    }
}

impl HostProcess {
    /// Runs a host on `vhost` and waits until every consumer of `toml` consumes.
    pub async fn run(vhost: &Vhost, toml: &HiveToml) -> Result<Self> {
        Self::run_at(&vhost.url(), toml).await
    }

    /// The same with a URL of the caller's, such as one that goes through a proxy.
    pub async fn run_at(url: &str, toml: &HiveToml) -> Result<Self> {
        let host = Self::launch(&toml.text_for(url))?;
        host.wait_for_consumers(toml).await?;
        Ok(host)
    }

    /// Runs a host on `vhost` whose hive.toml is written to `file`, for whoever changes it later.
    pub async fn run_file(vhost: &Vhost, toml: &HiveToml, file: &Path) -> Result<Self> {
        std::fs::write(file, toml.text(vhost))?;
        let host = Self::launch_file(file, &[])?;
        host.wait_for_consumers(toml).await?;
        Ok(host)
    }

    async fn wait_for_consumers(&self, toml: &HiveToml) -> Result<()> {
        for consumer in toml.consumers() {
            self.wait_for_start_of(consumer).await?;
        }
        Ok(())
    }

    /// Starts a host with this text as its hive.toml, and waits for nothing.
    pub fn launch(toml: &str) -> Result<Self> {
        let folder = keeper::scratch("host");
        let path = HiveToml::write(&folder, toml)?;
        Self::launch_file(&path, &[])
    }

    /// Starts a host with this hive.toml and these variables, and waits for nothing.
    pub fn launch_file(path: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start(hive_host(build::host_binary()), path, variables)
    }

    /// Starts another build of hive-host with this text as its hive.toml, and waits for nothing.
    pub fn launch_other(program: &Path, toml: &str) -> Result<Self> {
        let path = HiveToml::write(&keeper::scratch("host"), toml)?;
        Self::start(hive_host(program), &path, &[])
    }

    /// Starts a host with this hive.toml that the kernel kills where it takes more memory than that.
    pub fn launch_limited_file(path: &Path, limit: &MemoryLimit) -> Result<Self> {
        let host = limit.around(&hive_host(build::host_binary()));
        Self::start(host, path, &[])
    }

    /// Starts a host with this text as its hive.toml in a network of its own, and waits for nothing.
    #[cfg(target_os = "linux")]
    pub fn launch_on(network: &Network, toml: &str) -> Result<Self> {
        let path = HiveToml::write(&keeper::scratch("host"), toml)?;
        let mut command = hive_host(build::host_binary());
        command.arg("run").arg(path);
        Self::spawn(network.around(&command))
    }

    /// Starts `hive-host ARGUMENTS` as the first process of a container, with these variables and no others.
    #[cfg(target_os = "linux")]
    pub async fn launch_in(
        container: &Container,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = Command::new(build::host_binary());
        command.args(arguments);
        let mut host = Self::spawn(container.around(&command, variables))?;
        host.inside = Some(container::first_process(host.child.id()).await?);
        Ok(host)
    }

    /// Starts a shell command in the container of this host, as `kubectl exec` does, and waits until it has ended.
    #[cfg(target_os = "linux")]
    pub fn run_inside(&self, command: &str) -> Result<()> {
        let target = format!("--target={}", self.id());
        let mut shell = Command::new("nsenter");
        shell.args([&target, "--pid", "--mount", "--", "sh", "-c", command]);
        let status = shell
            .status()
            .context("there is no `nsenter`, of util-linux")?;
        ensure!(status.success(), "`{command}` ended with {status}");
        Ok(())
    }

    /// The processes whose parent it is, ended ones too.
    #[cfg(target_os = "linux")]
    pub fn children(&self) -> Vec<u32> {
        container::children(self.id())
    }

    /// Starts a host with this text as its hive.toml that ends as by `kill -9` at a step of a
    /// delivery, as `FAILPOINTS` says.
    pub fn launch_armed(toml: &str, failpoints: &str) -> Result<Self> {
        let path = HiveToml::write(&keeper::scratch("host"), toml)?;
        Self::launch_armed_file(&path, failpoints)
    }

    /// The same with an existing hive.toml.
    pub fn launch_armed_file(path: &Path, failpoints: &str) -> Result<Self> {
        let host = hive_host(build::host_with_failpoints());
        Self::start(host, path, &[("FAILPOINTS", failpoints)])
    }

    /// Runs a host on `vhost` whose log goes to a disk without space, from its first line on, and waits
    /// until it is ready.
    pub async fn run_on_full_disk(vhost: &Vhost, toml: &HiveToml) -> Result<Self> {
        let [port] = reserve_ports()?;
        let toml = toml.clone().host(&format!("admin = \"127.0.0.1:{port}\""));
        let path = HiveToml::write(&keeper::scratch("host"), &toml.text(vhost))?;
        let mut command = hive_host(build::host_binary());
        let disk = OpenOptions::new().write(true).open("/dev/full")?;
        command
            .arg("run")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(disk);
        let host = Self {
            child: keeper::start(&mut command).context("cannot start hive-host")?,
            log: Arc::default(),
            collectors: Vec::new(),
            quiet: true,
            port: Some(port),
            inside: None,
        };
        let look = async || Ok(host.readiness().await.is_ok_and(|(code, _)| code == 200));
        eventually_within(START_TIMEOUT, "the host is ready", look, |ready| *ready).await?;
        Ok(host)
    }

    /// Starts `hive-host ARGUMENTS`, whatever they are, for a command that goes on and prints.
    pub fn launch_command(arguments: &[&str]) -> Result<Self> {
        let mut command = hive_host(build::host_binary());
        command.args(arguments);
        Self::spawn(command)
    }

    fn start(mut command: Command, path: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        command.arg("run").arg(path).envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// Starts this command of the host's, and waits for nothing.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = keeper::start(&mut command).context("cannot start hive-host")?;
        let log = Arc::<Log>::default();
        let collectors = vec![
            collect(child.stdout.take().context("stdout is piped")?, &log),
            collect(child.stderr.take().context("stderr is piped")?, &log),
        ];
        Ok(Self {
            child,
            log,
            collectors,
            quiet: false,
            port: None,
            inside: None,
        })
    }

    /// The same, without its log at the end: for programs, whose output nobody filters.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Waits until a consumer consumes, whichever is the first. Its log may be text: an example's is.
    pub async fn wait_for_start(&self) -> Result<()> {
        let is_it = |line: &Line| line.is_subscribed("").then_some(());
        let what = "a consumer is subscribed";
        self.find(Mark::START, what, is_it).await.map(drop)
    }

    /// As `wait_for_start`, for one consumer.
    pub async fn wait_for_start_of(&self, consumer: &str) -> Result<()> {
        let is_it = |line: &Line| line.is_subscribed(consumer).then_some(());
        let what = format!("{consumer} is subscribed");
        self.find(Mark::START, &what, is_it).await.map(drop)
    }

    /// The place behind what it has logged so far, to wait for what comes after.
    pub fn mark(&self) -> Mark {
        Mark(self.log.lines().len())
    }

    /// Waits for an event with these fields, among all since its start, and gives the first.
    pub async fn wait_for_event(&self, name: &str, fields: &[(&str, &str)]) -> Result<Event> {
        let found = self.wait_since(Mark::START, name, fields).await?;
        Ok(found.0)
    }

    /// The same among those behind `mark`; gives the place behind it too.
    pub async fn wait_since(
        &self,
        mark: Mark,
        name: &str,
        fields: &[(&str, &str)],
    ) -> Result<(Event, Mark)> {
        let what = format!("the host reported {name} {fields:?}");
        let is_it = |line: &Line| line.event.clone().filter(|event| event.is(name, fields));
        self.find(mark, &what, is_it).await
    }

    /// Waits for an event in one of whose fields `text` stands, its sentence aside.
    pub async fn wait_for_event_naming(&self, name: &str, text: &str) -> Result<Event> {
        let what = format!("the host reported {name} with {text:?} in a field");
        let is_it = |line: &Line| {
            let event = line.event.clone()?;
            (event.is(name, &[]) && event.names(text)).then_some(event)
        };
        Ok(self.find(Mark::START, &what, is_it).await?.0)
    }

    /// Waits for an event of this level.
    pub async fn wait_for_level(&self, level: &str) -> Result<Event> {
        let what = format!("the host reported anything of level {level}");
        let is_it = |line: &Line| line.event.clone().filter(|event| event.level() == level);
        Ok(self.find(Mark::START, &what, is_it).await?.0)
    }

    /// What it reported so far.
    pub fn events(&self) -> Vec<Event> {
        let lines = self.log.lines();
        lines.iter().filter_map(|line| line.event.clone()).collect()
    }

    /// How many events have this name and these fields.
    pub fn count_events(&self, name: &str, fields: &[(&str, &str)]) -> usize {
        let lines = self.log.lines();
        let events = lines.iter().filter_map(|line| line.event.as_ref());
        events.filter(|event| event.is(name, fields)).count()
    }

    /// How many events are of this level.
    pub fn count_level(&self, level: &str) -> usize {
        let lines = self.log.lines();
        let events = lines.iter().filter_map(|line| line.event.as_ref());
        events.filter(|event| event.level() == level).count()
    }

    /// Waits until there are `count` events with this name and these fields since its start; more than
    /// that fails at once.
    pub async fn wait_for_events(
        &self,
        name: &str,
        fields: &[(&str, &str)],
        count: usize,
    ) -> Result<()> {
        let what = format!("the host reported {name} {fields:?} {count} times");
        let look = async || Ok(self.count_events(name, fields));
        let seen = eventually(&what, look, |seen| *seen >= count).await?;
        if seen > count {
            bail!("the host reported {name} {fields:?} {seen} times instead of {count}");
        }
        Ok(())
    }

    /// The lines that its components printed so far, in their own words.
    pub fn printed(&self) -> Vec<String> {
        let lines = self.log.lines();
        let printed = lines
            .iter()
            .filter_map(|line| line.event.as_ref()?.printed());
        printed.map(str::to_owned).collect()
    }

    /// Waits for a line of a component in which `words` stand, among all since the host's start.
    pub async fn wait_for_printed(&self, words: &str) -> Result<Event> {
        Ok(self.wait_for_printed_since(Mark::START, words).await?.0)
    }

    /// The same among those behind `mark`; gives the place behind it too.
    pub async fn wait_for_printed_since(&self, mark: Mark, words: &str) -> Result<(Event, Mark)> {
        let what = format!("a component printed {words:?}");
        let is_it = |line: &Line| {
            let event = line.event.as_ref()?;
            event.printed()?.contains(words).then(|| event.clone())
        };
        self.find(mark, &what, is_it).await
    }

    /// How many lines of components have these words.
    pub fn count_printed(&self, words: &str) -> usize {
        let lines = self.log.lines();
        let printed = lines
            .iter()
            .filter_map(|line| line.event.as_ref()?.printed());
        printed.filter(|line| line.contains(words)).count()
    }

    /// Waits until components have printed these words `count` times; more than that fails at once.
    pub async fn wait_for_printed_times(&self, words: &str, count: usize) -> Result<()> {
        let what = format!("a component printed {words:?} {count} times");
        let look = async || Ok(self.count_printed(words));
        let seen = eventually(&what, look, |seen| *seen >= count).await?;
        if seen > count {
            bail!("a component printed {words:?} {seen} times instead of {count}");
        }
        Ok(())
    }

    /// Waits for a line in which `text` stands, of a command or a log that people read.
    pub async fn wait_for_output(&self, text: &str) -> Result<String> {
        let what = format!("there is a line with {text:?}");
        let is_it = |line: &Line| line.text.contains(text).then(|| line.text.clone());
        Ok(self.find(Mark::START, &what, is_it).await?.0)
    }

    /// Looks at each line behind `mark` once, as it comes.
    async fn find<T>(
        &self,
        Mark(mut from): Mark,
        what: &str,
        is_it: impl Fn(&Line) -> Option<T>,
    ) -> Result<(T, Mark)> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let grown = self.log.grown.notified();
            tokio::pin!(grown);
            // From here on, so that no line slips in between looking and waiting.
            grown.as_mut().enable();
            {
                let lines = self.log.lines();
                let fresh = lines.iter().enumerate().skip(from);
                let mut found = fresh.filter_map(|(place, line)| Some((is_it(line)?, place + 1)));
                if let Some((found, behind)) = found.next() {
                    return Ok((found, Mark(behind)));
                }
                from = lines.len();
            }
            if timeout_at(deadline, grown).await.is_err() {
                bail!("not so after {START_TIMEOUT:?}: {what}");
            }
        }
    }

    /// What it has printed so far, standard output and standard error as they came.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.log.lines();
        lines.iter().map(|line| line.text.clone()).collect()
    }

    /// Everything that it has printed, once it has ended.
    pub fn lines_to_the_end(&mut self) -> Vec<String> {
        for collector in self.collectors.drain(..) {
            collector.join().expect("reading a pipe does not panic");
        }
        self.lines()
    }

    /// Whether `text` stands anywhere in what it has printed so far.
    pub fn mentions(&self, text: &str) -> bool {
        let lines = self.log.lines();
        lines.iter().any(|line| line.text.contains(text))
    }

    /// Its log is not read any more, from the next line on.
    pub fn stall_log(&self) {
        self.log.set_reader(Reader::Stalls);
    }

    /// Reads the log again after a stall.
    pub fn read_log(&self) {
        self.log.set_reader(Reader::Reads);
    }

    /// The reader of its log goes away with the next line.
    pub fn close_log(&self) {
        self.log.set_reader(Reader::Leaves);
    }

    /// What it holds now.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id())
    }

    /// The most memory that it ever had resident, in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        usage::peak_kib(self.id())
    }

    /// The port of its admin server.
    pub async fn admin_port(&self) -> Result<u16> {
        if let Some(port) = self.port {
            return Ok(port);
        }
        let is_it = |line: &Line| {
            let address = match &line.event {
                Some(event) if event.is("admin.listening", &[]) => event.field("address")?,
                Some(_) => return None,
                None => line
                    .text
                    .split_once(" address=")?
                    .1
                    .split(' ')
                    .next()?
                    .to_owned(),
            };
            address.rsplit_once(':')?.1.parse().ok()
        };
        let port = self.find(Mark::START, "the admin server listens", is_it);
        Ok(port.await?.0)
    }

    /// Asks its admin server for `path`.
    pub async fn admin(&self, path: &str) -> Result<HttpAnswer> {
        self.admin_with(path, "").await
    }

    /// The same with `headers`: whole lines, each with its end.
    pub async fn admin_with(&self, path: &str, headers: &str) -> Result<HttpAnswer> {
        http::request(self.admin_port().await?, "GET", path, headers, "")
    }

    /// Asks its admin server anything; `headers` are whole lines, each with its end.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Result<HttpAnswer> {
        http::request(self.admin_port().await?, method, path, headers, body)
    }

    /// Gives its admin server a command; `headers` are whole lines, each with its end.
    pub async fn command(&self, path: &str, headers: &str) -> Result<HttpAnswer> {
        http::request(self.admin_port().await?, "POST", path, headers, "{}")
    }

    /// Runs `hive-host VERB FILE ARGUMENTS` against it, to its end.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is spawned is waited for at once"
    )]
    pub async fn told(&self, verb: &str, file: &Path, arguments: &[&str]) -> Result<Finished> {
        let address = format!("127.0.0.1:{}", self.admin_port().await?);
        let file = file.to_string_lossy();
        let arguments = [&[verb, &*file, "--admin", &address], arguments].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        // It may wait for what the test does meanwhile.
        let run = move || run_to_end(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await?
    }

    /// What its admin server says of its readiness: the status code, and the JSON.
    pub async fn readiness(&self) -> Result<(u16, Value)> {
        let HttpAnswer { status, body, .. } = self.admin("/readyz").await?;
        Ok((status, serde_json::from_str(&body)?))
    }

    /// The value of one metric, as in `hive_deliveries_total{consumer="a",outcome="acked"}`; zero if
    /// nothing was counted yet.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let metrics = self.admin("/metrics").await?.body;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map_or(Ok(0.0), str::parse)?)
    }

    /// The process id of the host.
    pub fn id(&self) -> u32 {
        self.inside.unwrap_or_else(|| self.child.id())
    }

    /// Asks it to stop.
    pub fn sigterm(&self) {
        keeper::signal(self.id(), "TERM");
    }

    /// Asks it to read its hive.toml again.
    pub fn sighup(&self) {
        keeper::signal(self.id(), "HUP");
    }

    /// Asks it to stop as ctrl-c does.
    pub fn sigint(&self) {
        keeper::signal(self.id(), "INT");
    }

    /// It runs no further, as on a machine that stands still.
    pub fn sigstop(&self) {
        keeper::hold(self.id());
    }

    /// It continues after [`HostProcess::sigstop`].
    pub fn sigcont(&self) {
        keeper::signal(self.id(), "CONT");
    }

    /// No file of its may grow beyond so many bytes from now on, as on a full disk; none for no limit.
    pub fn limit_files(&self, bytes: Option<u64>) -> Result<()> {
        let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", self.child.id()))
            .arg(format!("--fsize={soft}:unlimited"))
            .status()
            .context("there is no `prlimit`, of util-linux")?;
        ensure!(status.success(), "the limit cannot be set: {status}");
        Ok(())
    }

    /// Kills it as a power cut would.
    pub fn kill9(&mut self) -> Result<()> {
        match self.inside {
            Some(inside) => keeper::signal(inside, "KILL"),
            None => self.child.kill()?,
        }
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let child = Mutex::new(&mut self.child);
        let look = async || {
            Ok(child
                .lock()
                .expect("no holder of this lock panics")
                .try_wait()?)
        };
        let ended = eventually_within(START_TIMEOUT, "the host has ended", look, Option::is_some);
        ended.await?.context("it has just ended")
    }

    /// Asks it to stop, and expects a clean end.
    pub async fn stop(&mut self) -> Result<()> {
        self.sigterm();
        let status = self.wait().await?;
        if status.code() != Some(0) {
            bail!("the host ended with {status} instead of a clean stop");
        }
        Ok(())
    }
}

impl Drop for HostProcess {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner keeps it and shows it where the test fails"
    )]
    fn drop(&mut self) {
        // It may have ended already, which is as good. The end of its first process is the end of a container.
        if let Some(inside) = self.inside {
            keeper::try_signal(inside, "KILL");
        }
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
        if self.quiet {
            return;
        }
        eprintln!("--- the log of host {}:", self.child.id());
        for line in self.lines() {
            eprintln!("    {line}");
        }
    }
}

/// Runs `hive-host check` on this text as a hive.toml.
pub fn check(toml: &str) -> Result<Finished> {
    let folder = keeper::scratch("check");
    let path = HiveToml::write(&folder, toml)?;
    run_to_end(&["check", &path.to_string_lossy()])
}

/// Runs `hive-host` with these arguments until it ends by itself.
pub fn run_to_end(arguments: &[&str]) -> Result<Finished> {
    run_into(arguments, Stdio::piped(), Stdio::piped())
}

/// Runs `hive-host` with these arguments and these outputs until it ends by itself. What goes elsewhere is
/// not in the answer.
pub fn run_into(
    arguments: &[&str],
    stdout: impl Into<Stdio>,
    stderr: impl Into<Stdio>,
) -> Result<Finished> {
    let mut command = hive_host(build::host_binary());
    command.args(arguments).stdout(stdout).stderr(stderr);
    let output = keeper::start(&mut command)?.wait_with_output()?;
    Ok(Finished::of(output))
}

/// A command without the variables of the developer's environment that the host would read.
pub(crate) fn hive_host(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .stdin(Stdio::null())
        .env_remove("RUST_LOG")
        .env_remove("RABBITMQ_URL")
        .env_remove("RABBITMQ_HEARTBEAT")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env("XDG_RUNTIME_DIR", keeper::run_folder())
        .env("NO_COLOR", "1");
    command
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Log>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line).into_owned();
            let event = Event::read(&text);
            log.lines().push(Line { text, event });
            log.grown.notify_waiters();
            if !log.reads_on() {
                return;
            }
        }
    })
}
