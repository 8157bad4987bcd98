//! The broker of `hive-host broker` in the place of a RabbitMQ.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Broker, Ports, Process, Version};
use crate::build::host_binary;
use crate::host_process::hive_host;
use crate::keeper;
use crate::ports::reserve_ports;

impl Broker {
    /// The broker of `hive-host broker`, whatever the run is for. It forgets everything when it ends but its vhosts, so a
    /// scenario that restarts it finds no queue and no message.
    pub async fn in_memory() -> Result<Self> {
        let [amqp, management] = reserve_ports()?;
        let ports = Ports {
            amqp,
            management,
            distribution: 0,
            mapper: 0,
        };
        let folder = keeper::scratch("broker");
        let server = start_with(ports, &folder, &[])?;
        let broker = Self {
            version: Version::V4_3,
            programs: None,
            folder,
            ports,
            node: String::new(),
            environment: Vec::new(),
            server: Mutex::new(Process::Ours(server)),
            port_mapper: None,
            run: String::new(),
            vhosts: Mutex::default(),
        };
        broker.ready().await?;
        Ok(broker)
    }
}

/// Starts the program with these vhosts.
pub(super) fn start_with(ports: Ports, folder: &Path, vhosts: &[String]) -> Result<Child> {
    let vhosts = vhosts.iter().map(|name| json!({ "name": name }));
    let definitions = json!({ "vhosts": Value::from_iter(vhosts) });
    let file = folder.join("definitions.json");
    std::fs::write(&file, definitions.to_string())?;
    let mut command = hive_host(host_binary());
    command
        .args(["broker", "--port", &ports.amqp.to_string()])
        .args(["--control", &ports.management.to_string()])
        .arg("--load")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    keeper::start(&mut command).context("cannot start hive-host broker")
}
