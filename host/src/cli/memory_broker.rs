//! `hive-host broker`: the broker in the process, by itself, for development.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use hive_broker::{Definitions, Login, Settings, StartError};
use hive_config::files;
use hive_core::codes::Code;

use super::broker::told_to_stop;
use super::say::{self, fault, out};
use super::{BROKER_PORT, Exit, block_on};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    hive-host broker\n  \
    hive-host broker --port 0 --load definitions.json --control 15673\n  \
    hive-host broker --address 0.0.0.0 --user dev --password secret";

#[derive(Debug, Args)]
pub(super) struct MemoryBroker {
    /// The port to listen on; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = BROKER_PORT)]
    port: u16,
    /// The address to listen on; one that other machines can reach needs --user and --password
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// The user who may log in, instead of guest
    #[arg(long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// The user's password
    #[arg(long, value_name = "TEXT", requires = "user")]
    password: Option<String>,
    /// A definitions file of RabbitMQ with vhosts, users, exchanges, queues and bindings
    #[arg(long, value_name = "FILE.json")]
    load: Option<PathBuf>,
    /// A port, on this machine only, that turns the clock and orders faults
    #[arg(long, value_name = "PORT")]
    control: Option<u16>,
}

pub(super) fn run(arguments: MemoryBroker) -> Result<Exit, Exit> {
    let definitions = arguments.load.as_deref().map(read).transpose()?;
    let login = arguments
        .user
        .zip(arguments.password)
        .map(|(user, password)| Login { user, password });
    let settings = Settings {
        address: SocketAddr::new(arguments.address, arguments.port),
        login,
        ..Settings::default()
    };
    Ok(block_on(async {
        match serve(settings, definitions, arguments.control).await {
            Ok(()) => Exit::Done,
            Err(exit) => exit,
        }
    }))
}

/// The largest definitions file, in bytes.
const LARGEST_DEFINITIONS: usize = 1 << 30;

/// Reads a definitions file; its faults go to standard error.
fn read(file: &Path) -> Result<Definitions, Exit> {
    let shown = file.display();
    let text = files::read_text_at_most(file, LARGEST_DEFINITIONS).map_err(|error| {
        fault!("{shown} cannot be read: {error}");
        Exit::Misused
    })?;
    Definitions::read(files::without_mark(&text)).map_err(|error| {
        for fault in error.to_string().lines() {
            fault!("{shown}: {fault}");
        }
        Exit::Misused
    })
}

async fn serve(
    settings: Settings,
    definitions: Option<Definitions>,
    control: Option<u16>,
) -> Result<(), Exit> {
    let mut broker = hive_broker::Broker::start(settings)
        .await
        .map_err(|error| refuse(&error, "--port"))?;
    if let Some(definitions) = definitions {
        broker.load(definitions);
    }
    out!("{}", broker.url());
    if let Some(port) = control {
        let address = broker
            .serve_control(port)
            .await
            .map_err(|error| refuse(&error, "--control"))?;
        out!("http://{address}");
    }
    say::note("memory only, for development and tests; ctrl-c ends it and forgets everything");
    told_to_stop().await;
    Ok(())
}

/// Prints why the broker does not start, with the flag that helps.
fn refuse(error: &StartError, flag: &str) -> Exit {
    match error {
        StartError::Unguarded(_) => {
            fault!("{error}: give --user and --password");
            Exit::Misused
        }
        StartError::Listen { .. } => {
            fault!([Code::BrokerPortTaken] "{error}; choose another port with {flag}");
            Exit::Failed
        }
    }
}
