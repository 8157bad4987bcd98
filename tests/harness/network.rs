//! A network of a process' own, joined to this machine by one cable that can be pulled: no packet gets through, and
//! neither end is told. Made by iproute2 and util-linux; it goes with the process that holds it, as the cable does.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::eventually::eventually;
use crate::keeper;
use crate::ports::{PORTS, reserve_ports};

/// A network namespace with one interface.
#[derive(Debug)]
pub struct Network {
    holder: Child,
    cable: String,
    ours: String,
}

impl Network {
    /// `None` if this process may not make namespaces, or there is no `ip`. A line of the run's output then says so, so
    /// that a test that did nothing is not taken for one that passed.
    pub async fn new(test: &str) -> Option<Self> {
        match Self::laid().await {
            Ok(network) => Some(network),
            Err(error) => {
                // Not `eprintln!`, which the test runner keeps to itself.
                let line = format!("{test} is skipped: no network can be made here: {error:#}\n");
                drop(std::io::stderr().write_all(line.as_bytes()));
                None
            }
        }
    }

    async fn laid() -> Result<Self> {
        // A number that no other process has now is one for a subnet too.
        let [number] = reserve_ports()?;
        let base = u32::from(number - PORTS.start) * 4;
        let address = |last: u32| {
            let all = base + last;
            // A range for measurements, which no other network uses (RFC 2544).
            format!(
                "198.{}.{}.{}",
                18 + (all >> 16),
                (all >> 8) & 255,
                all & 255
            )
        };
        let cable = format!("hive{number}");
        let mut holding = Command::new("unshare");
        holding.args(["--net", "sleep", "infinity"]);
        let holder = keeper::start(holding.stdin(Stdio::null()).stderr(Stdio::null()));
        let mut network = Self {
            holder: holder.context("there is no `unshare`, of util-linux")?,
            cable,
            ours: address(1),
        };
        network.wait_apart().await?;
        let Self {
            holder,
            cable,
            ours,
        } = &network;
        let inside = holder.id().to_string();
        let made = ["link", "add", cable, "type", "veth", "peer", "name", "eth0"];
        ip(&[&made[..], &["netns", &inside]].concat())?;
        ip(&["address", "add", &format!("{ours}/30"), "dev", cable])?;
        ip(&["link", "set", cable, "up"])?;
        let theirs = format!("{}/30", address(2));
        for step in [
            &["address", "add", &theirs, "dev", "eth0"][..],
            &["link", "set", "eth0", "up"],
            &["link", "set", "lo", "up"],
        ] {
            let mut command = Command::new("ip");
            run(&mut network.around(command.args(step)))?;
        }
        Ok(network)
    }

    /// Waits until the holder has left this process' network.
    async fn wait_apart(&mut self) -> Result<()> {
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", self.holder.id());
        let holder = std::sync::Mutex::new(&mut self.holder);
        let look = async || {
            let mut holder = holder.lock().expect("no holder of this lock panics");
            let ended = holder.try_wait()?.is_some();
            Ok((ended, std::fs::read_link(&theirs).ok()))
        };
        let is_apart = |(ended, network): &(bool, Option<std::path::PathBuf>)| {
            *ended || network.as_ref().is_some_and(|network| *network != ours)
        };
        let (ended, _) = eventually("the network is there", look, is_apart).await?;
        ensure!(!ended, "a network namespace takes root");
        Ok(())
    }

    /// The address of this machine, as a process in there sees it.
    pub fn gateway(&self) -> &str {
        &self.ours
    }

    /// Pulls the cable.
    pub fn cut(&self) -> Result<()> {
        ip(&["link", "set", &self.cable, "down"])
    }

    /// Puts it in again.
    pub fn mend(&self) -> Result<()> {
        ip(&["link", "set", &self.cable, "up"])
    }

    /// The command in that network; its process is the command's own.
    pub(crate) fn around(&self, command: &Command) -> Command {
        let mut within = Command::new("nsenter");
        within
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        within
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        if self.holder.kill().is_ok() {
            drop(self.holder.wait());
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output();
    let output = output.context("there is no `ip`, of iproute2, or no `nsenter`, of util-linux")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}
