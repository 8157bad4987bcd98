//! The broker in this process: when `dev` runs one, and how it starts.

#[cfg(feature = "broker")]
use std::net::Ipv4Addr;
use std::path::Path;

#[cfg(feature = "broker")]
pub(super) use hive_broker::Broker;
#[cfg(feature = "broker")]
use hive_broker::Settings;
use hive_config::Environment;
#[cfg(feature = "broker")]
use hive_core::codes::Code;

use super::Dev;
use crate::cli::say::{fault, out};
use crate::cli::{BROKER_PORT, Exit, load_in};

/// The value of `--broker` for a broker in this process.
const MEMORY: &str = "memory";

/// The broker to work with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The broker of hive.toml and the environment.
    Configured,
    /// The broker at this URL, for every connection.
    Url(String),
    /// A broker in this process, at this port.
    Memory(u16),
}

impl Choice {
    /// The broker of the arguments; if they name none, that of the file and the environment.
    pub(super) fn of(
        arguments: &Dev,
        file: &Path,
        environment: &Environment,
    ) -> Result<Self, Exit> {
        let choice = match arguments.broker.as_deref() {
            Some(MEMORY) => Self::Memory(BROKER_PORT),
            Some(url) => Self::Url(url.to_owned()),
            None if load_in(file, environment)?.names_a_broker => Self::Configured,
            None => Self::Memory(BROKER_PORT),
        };
        match (choice, arguments.port) {
            (Self::Memory(_), Some(port)) => Ok(Self::Memory(port)),
            (_, Some(_)) => {
                fault!(
                    "--port is the port of the broker in this process, and another broker is named; \
                     leave --port out, or add --broker memory"
                );
                Err(Exit::Misused)
            }
            (choice, None) => Ok(choice),
        }
    }
}

/// Starts the broker in this process, if that is the choice, and prints its URL.
pub(super) async fn start(choice: &Choice) -> Result<Option<Broker>, Exit> {
    let Choice::Memory(port) = *choice else {
        return Ok(None);
    };
    let broker = at_port(port).await?;
    out!("a broker runs in this process, in memory: {}", broker.url());
    Ok(Some(broker))
}

#[cfg(feature = "broker")]
async fn at_port(port: u16) -> Result<Broker, Exit> {
    let settings = Settings {
        address: (Ipv4Addr::LOCALHOST, port).into(),
        ..Settings::default()
    };
    Broker::start(settings).await.map_err(|error| {
        fault!(
            [Code::BrokerPortTaken] "{error}; choose another port with --port, or the broker that is there with --broker URL"
        );
        Exit::Failed
    })
}

#[cfg(not(feature = "broker"))]
async fn at_port(_: u16) -> Result<Broker, Exit> {
    fault!(
        "this hive-host has no broker in it: it was built without its cargo feature `broker`; name one with --broker URL"
    );
    Err(Exit::Misused)
}

/// There is none without the feature.
#[cfg(not(feature = "broker"))]
pub(super) enum Broker {}

#[cfg(not(feature = "broker"))]
impl Broker {
    pub(super) fn url(&self) -> String {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::PlanFile;

    const URL: &str = "amqp://u:p@h";

    /// The choice for a file with these connections.
    fn chosen(
        connections: &str,
        variable: Option<&str>,
        broker: Option<&str>,
        port: Option<u16>,
    ) -> Result<Choice, Exit> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hive.toml");
        let rest = "[queues.q]\n[components.c]\npath = \"c.wasm\"\n\
                    [consumers.c]\nqueue = \"q\"\ncomponent = \"c\"\n";
        std::fs::write(&file, format!("{connections}\n{rest}")).unwrap();
        let variables = variable.map(|url| ("RABBITMQ_URL".to_owned(), url.to_owned()));
        let environment = Environment {
            variables: variables.into_iter().collect(),
            ..Environment::default()
        };
        let arguments = Dev {
            file: PlanFile {
                file: PathBuf::new(),
            },
            broker: broker.map(str::to_owned),
            port,
            feed: None,
            sources: Vec::new(),
        };
        Choice::of(&arguments, &file, &environment)
    }

    #[test]
    fn a_broker_is_brought_where_none_is_named() {
        let named = format!("[connections.main]\nurl = \"{URL}\"");
        let unnamed = "[connections.main]\nheartbeat = \"5s\"";
        let memory = Ok(Choice::Memory(BROKER_PORT));
        assert_eq!(chosen("", None, None, None), memory);
        assert_eq!(chosen(unnamed, None, None, None), memory);
        assert_eq!(chosen("", Some(""), None, None), memory);
        assert_eq!(chosen(&named, None, Some(MEMORY), None), memory);
        assert_eq!(chosen("", None, None, Some(7)), Ok(Choice::Memory(7)));
        assert_eq!(chosen("", Some(URL), None, None), Ok(Choice::Configured));
        assert_eq!(chosen(&named, None, None, None), Ok(Choice::Configured));
        let url = Ok(Choice::Url(URL.to_owned()));
        assert_eq!(chosen(&named, None, Some(URL), None), url);
    }

    #[test]
    fn a_port_needs_a_broker_that_it_is_the_port_of() {
        for (variable, broker) in [(Some(URL), None), (None, Some(URL))] {
            let choice = chosen("", variable, broker, Some(7));
            assert_eq!(choice, Err(Exit::Misused));
        }
    }
}
