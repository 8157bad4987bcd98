//! The command line: one file a subcommand.
//!
//! Results go to standard output, errors and log lines to standard error.

mod all_hosts;
mod arguments;
mod broker;
mod callee;
mod check;
mod colour;
mod compile;
mod completions;
mod dead;
mod delivered;
#[cfg(feature = "broker")]
mod demo;
mod dev;
mod explain;
mod first_process;
mod invoke;
#[cfg(feature = "broker")]
mod memory_broker;
mod message_file;
mod message_flags;
mod new;
mod parts;
mod pause;
mod peek;
mod placement;
mod progress;
mod publish;
mod remote;
mod run;
mod say;
mod scale;
mod schedule;
mod status;
mod swap;
mod systemd;
mod table;
mod tail;
mod test;
mod until;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Termination};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use hive_config::plan::Plan;
use hive_config::{Environment, Loaded};
use hive_telemetry::Telemetry;

use self::say::fault;
use crate::app::{PlanSource, StartFault};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped by a signal after a clean drain.
    Done,
    /// Failed while running.
    Failed,
    /// The command line or hive.toml is wrong; nothing was started.
    Misused,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Failed => ExitCode::from(1),
            Self::Misused => ExitCode::from(2),
        }
    }
}

/// Runs RabbitMQ consumers that are WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "hive-host",
    version,
    about,
    after_help = "Example:\n  hive-host run hive.toml\n\nExit codes: 0 done; 1 failed while running; 2 the command line or hive.toml is wrong."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the consumers of a hive.toml until SIGTERM or ctrl-c.
    ///
    /// At the first signal the host takes no new deliveries, finishes those in flight and exits.
    /// Deliveries still in flight after `host.shutdown_timeout` go back to the broker. At a second
    /// signal it exits at once. No message is lost either way.
    #[command(after_help = "Example:\n  hive-host run hive.toml")]
    Run(PlanFile),
    /// Reads a hive.toml, compiles its components, and reports every error.
    ///
    /// Checks that each component exports a handler and imports only interfaces that the host has, and
    /// starts an instance of it. Consumes nothing. With --broker it also compares exchanges and queues
    /// with those at the broker: missing entities are listed; entities with different arguments are
    /// errors, with exit code 1.
    #[command(after_help = check::EXAMPLES)]
    Check(check::Check),
    /// Compiles components ahead, so that a host starts without compiling.
    ///
    /// Writes a .cwasm file beside each component: native code for this version of hive-host and one kind
    /// of processor. Name it as `path` in hive.toml. A host refuses a .cwasm for another host or processor,
    /// and one that other users can change: it runs outside of the sandbox. With --cache it writes no file.
    #[command(after_help = compile::EXAMPLES)]
    Compile(compile::Compile),
    /// Replaces a component of a running host by new code, without losing a delivery.
    ///
    /// The host compiles, checks and starts the new code while the old code serves; only then the new
    /// code takes over. If it does not compile, link or start, the old code keeps serving. Without a
    /// file the host reloads the one that hive.toml names.
    #[command(
        after_help = "Examples:\n  hive-host swap hive.toml orders\n  hive-host swap hive.toml orders new/orders.wasm\n  \
                      hive-host swap hive.toml orders --canary 5%\n  hive-host swap hive.toml orders new/orders.wasm --shadow\n  hive-host swap hive.toml orders --promote\n  \
                      hive-host swap hive.toml orders --back"
    )]
    Swap(swap::Swap),
    /// Makes a running host read its hive.toml again and apply the changes.
    ///
    /// The same as SIGHUP, but prints the changes, or the errors. A file with an error is not applied
    /// at all.
    #[command(after_help = "Example:\n  hive-host reload hive.toml")]
    Reload(swap::Reload),
    /// Shows the connections, consumers and components of a running host.
    ///
    /// Deliveries are counted from the start of the host; rates are those of the last second. WAITING
    /// is the queue depth; only consumers with `scale` measure it. With --watch at a terminal, keys sort,
    /// page and open consumers; the last line shows them.
    #[command(
        after_help = "Examples:\n  hive-host status hive.toml\n  hive-host status hive.toml --watch"
    )]
    Status(status::Status),
    /// Shows the deliveries of a running host as they are settled.
    ///
    /// Begins with the next delivery, and ends at ctrl-c. What comes faster than it can be shown is left out
    /// and counted; no delivery waits for it. Exit code 1: the host ends or cannot be reached.
    #[command(after_help = tail::help())]
    Tail(tail::Tail),
    /// Shows the hosts of a group, and which of them consumes which queue.
    ///
    /// Asks a running host, which asks the others of its `host.group`. HOME is the host with the highest
    /// priority for a queue with `placement = "single"`, ACTIVE the one that was given a message last,
    /// within a minute. Exit code 1: the others cannot be asked.
    #[command(after_help = "Example:\n  hive-host placement hive.toml")]
    Placement(placement::Placement),
    /// Makes a consumer of a running host stop consuming until it is resumed.
    ///
    /// It finishes the deliveries that it is handling; its other prefetched deliveries go back to the
    /// queue and wait there. A restart of the host resumes it; a reload does not.
    #[command(after_help = "Example:\n  hive-host pause hive.toml orders")]
    Pause(pause::Named),
    /// Resumes a consumer of a running host that was paused, by hand or by `pause_on`.
    #[command(after_help = "Example:\n  hive-host resume hive.toml orders")]
    Resume(pause::Named),
    /// Sets how many workers a consumer with `scale` may have, until it is started again.
    ///
    /// The bounds hold at once. A restart of the host, or a reload that changes the consumer, returns to those
    /// of hive.toml. Workers that are too many finish their deliveries.
    #[command(
        after_help = "Examples:\n  hive-host scale hive.toml orders --min 4\n  hive-host scale hive.toml orders --min 2 --max 40\n  \
                      hive-host scale hive.toml orders --reset"
    )]
    Scale(scale::Scale),
    /// Shows messages that failed, dead-lettered or waiting for a retry, sends them back, or deletes them.
    ///
    /// Talks to the broker of hive.toml directly; works whether or not a host is running.
    #[command(subcommand, after_help = dead::fields())]
    Dead(dead::Dead),
    /// Shows the messages of any queue and changes nothing: each goes back to its place.
    ///
    /// Talks to the broker of hive.toml directly; works whether or not a host is running. Messages that a
    /// consumer has in flight are not shown. A stream is refused.
    #[command(after_help = peek::EXAMPLES)]
    Peek(peek::Peek),
    /// Publishes standard input, and waits for the broker's confirmation.
    ///
    /// The input is the body of one message. With --json each line is a message in the format of
    /// docs/message-format.md. A message that no queue takes is reported, with exit code 1.
    #[command(after_help = publish::EXAMPLES)]
    Publish(publish::Publish),
    /// Shows when schedules fire, or fires one now.
    #[command(subcommand, after_help = schedule::EXAMPLES)]
    Schedule(schedule::Schedule),
    /// Hands a message to a component, without a broker, and prints its answer.
    ///
    /// Without --config the component has no grants and the default limits. Publications are printed
    /// and not sent; buckets start empty. Exit codes: 0 for an answer, also retry and reject; 1 for a
    /// failure (error, trap, timeout, limit); 2 for an error in the component file or the message.
    #[command(after_help = invoke::EXAMPLES)]
    Invoke(invoke::Invoke),
    /// Runs the orders example on a broker in this process, without RabbitMQ or a file.
    ///
    /// Publishes a few orders, shows what becomes of each, and ends with what the broker then has. Takes
    /// about two seconds.
    #[cfg(feature = "broker")]
    #[command(after_help = "Example:\n  hive-host demo")]
    Demo,
    /// Runs the cases of test files, and reports every difference.
    ///
    /// A test file (*.test.toml, beside hive.toml) has messages and what must come of them: actions,
    /// publications, log lines, time and memory of a component; or the contents of queues, where the
    /// whole hive.toml runs on a broker in this process whose clock is turned (docs/testing.md).
    /// Neither RabbitMQ nor a network is used. Exit codes: 0 every case passed; 1 a case failed; 2 an
    /// error in a file or a component.
    #[command(after_help = test::EXAMPLES)]
    Test(test::Test),
    /// For development: builds, runs, builds again after a change, and shows each delivery.
    ///
    /// Runs each component's `build` command in the shell, in the folder of hive.toml. That folder and
    /// all below it are the sources, except hidden files and build products (target, build,
    /// node_modules, __pycache__, venv, *.wasm, *.db). If new code does not build or start, the old code
    /// keeps serving. A changed hive.toml is applied. Shows deliveries and log lines as they happen. At a
    /// terminal it takes keys, each with Enter: r builds again, f feeds the messages of --feed again, q ends.
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::Dev),
    /// Runs a broker in this process, for development and tests: no RabbitMQ is needed.
    ///
    /// Prints the URL that AMQP 0-9-1 clients connect to. The broker answers as RabbitMQ does, keeps
    /// everything in memory and forgets it at the end. It listens on this machine only, unless --address
    /// says otherwise. docs/broker.md has its control port and where it differs from RabbitMQ.
    #[cfg(feature = "broker")]
    #[command(after_help = memory_broker::EXAMPLES)]
    Broker(memory_broker::MemoryBroker),
    /// Prints the JSON Schema of hive.toml or of test files, or an AsyncAPI document.
    ///
    /// Editors complete and check files with the schema. Every file that the host accepts conforms to it.
    /// `hive-host check` finds the errors that a schema cannot express, such as a name that does not exist.
    #[command(after_help = "Examples:\n  hive-host schema > hive.schema.json\n  \
                      hive-host schema --asyncapi hive.toml > asyncapi.json\n\n\
                      With the schema, write as the first line of hive.toml, for editors with Taplo:\n  \
                      #:schema ./hive.schema.json")]
    Schema(Schema),
    /// Prints what an error code means and what to do, or without a code the list of them.
    ///
    /// Errors are printed with their code, as in error[HIVE-0103]; log lines have it in the field `code`.
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Explain),
    /// Prints a shell completion script.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::Completions),
    /// Makes a project folder with a consumer that builds, passes its tests and runs.
    ///
    /// The folder has everything of Hive that it needs: the contract, the SDK of its language, a
    /// hive.toml, a message to try it with, and a README with the commands. Never overwrites files.
    #[command(after_help = new::EXAMPLES)]
    New(new::New),
}

impl Command {
    /// Whether it acts at SIGTERM and ctrl-c itself.
    fn handles_signals(&self) -> bool {
        match self {
            Self::Run(_) | Self::Dev(_) | Self::Test(_) | Self::Tail(_) => true,
            Self::Status(status) => status.is_a_screen(),
            Self::Dead(dead) => dead.takes(),
            #[cfg(feature = "broker")]
            Self::Broker(_) | Self::Demo => true,
            _ => false,
        }
    }
}

/// Where RabbitMQ listens, and a broker in this process too, so that a client with default settings finds it.
const BROKER_PORT: u16 = 5672;

/// The file that a subcommand works on.
#[derive(Debug, Args)]
struct PlanFile {
    /// The file that configures the host [default: hive.toml]
    #[arg(value_name = "HIVE.TOML")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Schema {
    /// The schema of test files, *.test.toml, instead
    #[arg(long)]
    tests: bool,

    /// The messages that a hive.toml receives and sends, as AsyncAPI 3.0, instead
    #[arg(long, conflicts_with = "tests")]
    asyncapi: bool,

    /// The hive.toml of --asyncapi [default: hive.toml]
    #[arg(value_name = "FILE", requires = "asyncapi")]
    file: Option<PathBuf>,
}

impl Schema {
    fn print(self) -> Result<Exit, Exit> {
        let document = match self {
            Self {
                asyncapi: true,
                file,
                ..
            } => {
                let file = file.unwrap_or_else(|| arguments::FILE.into());
                hive_config::asyncapi(&PlanFile { file }.load()?)
            }
            Self { tests: true, .. } => hive_config::cases_schema(),
            Self { .. } => hive_config::schema(),
        };
        say::json(&format_args!("{document:#}"));
        Ok(Exit::Done)
    }
}

/// Reads the arguments of the process and does what they say.
pub fn main() -> Exit {
    completions::answer();
    // Clap answers a wrong command line itself, with exit code 2.
    let command = compact(CommandLine::command(), "");
    let line = arguments::with_file(&command, std::env::args_os().collect());
    let matches = command.get_matches_from(line);
    let line = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if first_process::is_this() && !line.command.handles_signals() {
        // Without a thread for it, the command runs all the same.
        let _without = first_process::end_at_signals();
    }
    let ended = match line.command {
        Command::Run(file) => file.load().map(|plan| {
            let source = PlanSource {
                file: file.file,
                environment: Environment::of_process(),
            };
            run::run((plan, source))
        }),
        Command::Swap(arguments) => Ok(swap::run(&arguments)),
        Command::Reload(arguments) => Ok(swap::reload(&arguments)),
        Command::Status(arguments) => Ok(status::run(&arguments)),
        Command::Tail(arguments) => Ok(tail::run(&arguments)),
        Command::Placement(arguments) => Ok(placement::run(&arguments)),
        Command::Pause(arguments) => Ok(pause::pause(&arguments)),
        Command::Resume(arguments) => Ok(pause::resume(&arguments)),
        Command::Scale(arguments) => Ok(scale::run(&arguments)),
        Command::Check(arguments) => Ok(check::run(&arguments)),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Dead(dead) => dead::run(dead),
        Command::Peek(arguments) => peek::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Schedule(schedule) => schedule::run(&schedule),
        Command::Invoke(arguments) => invoke::run(&arguments),
        #[cfg(feature = "broker")]
        Command::Demo => demo::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        #[cfg(feature = "broker")]
        Command::Broker(arguments) => memory_broker::run(arguments),
        Command::Schema(schema) => schema.print(),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Completions(arguments) => Ok(completions::run(&arguments)),
        Command::New(arguments) => new::run(&arguments),
    };
    let exit = ended.unwrap_or_else(|exit| exit);
    if exit != Exit::Done {
        say::explain_errors();
    }
    exit
}

/// The same with what its help says beyond the first sentence at the end. Clap gives each flag three lines
/// where a command has more to say than that, and then help fits no screen. `before` is what leads to the command.
fn compact(command: clap::Command, before: &str) -> clap::Command {
    let path = format!("{before}{} ", command.get_name());
    let about = command.get_long_about().map(ToString::to_string);
    let more = about.as_deref().and_then(|about| about.split_once("\n\n"));
    let examples = command.get_after_help().map(ToString::to_string);
    let end: Vec<&str> = more
        .map(|(_, more)| more)
        .into_iter()
        .chain(examples.as_deref())
        .collect();
    let command = match arguments::takes_file(&command) {
        true => arguments::with_usage(command, path.trim_end()),
        false => command,
    };
    command
        .long_about(None)
        .after_help(end.join("\n\n"))
        .mut_subcommands(|below| compact(below, &path))
}

/// Prints why nothing was started, whatever the log level is.
fn refuse(fault: &StartFault) -> Exit {
    match fault {
        StartFault::Plan(faults) => {
            for fault in faults {
                fault!([fault.code()] "{fault}");
            }
            Exit::Misused
        }
        StartFault::Host(fault) => {
            fault!([fault.code] "{fault}");
            Exit::Failed
        }
    }
}

/// Makes the registry of all metrics.
fn telemetry() -> Result<Telemetry, Exit> {
    Telemetry::new().map_err(|error| {
        fault!("the metrics could not be set up: {error}");
        Exit::Failed
    })
}

/// Runs an asynchronous subcommand.
fn block_on(command: impl Future<Output = Exit>) -> Exit {
    match block_on_result(async { Ok(command.await) }) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// Waits for a part of a subcommand.
fn block_on_result<T>(part: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("hive")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            fault!("the runtime could not be started: {error}");
            return Err(Exit::Failed);
        }
    };
    let ended = runtime.block_on(part);
    // A compilation or a look-up of a name may still be running on a thread that nothing waits for.
    runtime.shutdown_background();
    ended
}

impl PlanFile {
    /// Reads the file; its faults and warnings go to standard error.
    fn load(&self) -> Result<Plan, Exit> {
        self.load_in(&Environment::of_process())
    }

    /// The same in another environment than that of the process.
    fn load_in(&self, environment: &Environment) -> Result<Plan, Exit> {
        let loaded = load_in(&self.file, environment)?;
        if !loaded.warnings.is_empty() {
            let colour = std::io::stderr().is_terminal();
            say::note(&hive_config::render(&loaded.warnings, colour));
        }
        Ok(loaded.plan)
    }
}

/// Reads a hive.toml; its faults go to standard error.
fn load(file: &Path) -> Result<Loaded, Exit> {
    load_in(file, &Environment::of_process())
}

fn load_in(file: &Path, environment: &Environment) -> Result<Loaded, Exit> {
    hive_config::load(file, environment).map_err(|problems| {
        say::problems(&problems);
        Exit::Misused
    })
}

#[cfg(test)]
mod tests;
