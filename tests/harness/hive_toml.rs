//! Writes a hive.toml, so that a scenario reads as what it is about.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::build;
use crate::vhost::Vhost;

/// A hive.toml in the making. The `keys` of each section are TOML, as a user would write them.
#[derive(Debug, Clone, Default)]
pub struct HiveToml {
    host: String,
    connection: String,
    sections: String,
    consumers: Vec<String>,
}

impl HiveToml {
    /// A file with nothing in it but the name of the host.
    pub fn new() -> Self {
        Self::default()
    }

    /// One consumer on one queue of its own name, whose component is the guest of that name.
    pub fn one(queue: &str, guest: &str, consumer_keys: &str) -> Self {
        Self::new()
            .queue(queue, "")
            .component(guest, "")
            .consumer(queue, guest, consumer_keys)
    }

    /// Keys of `[host]`.
    #[must_use]
    pub fn host(mut self, keys: &str) -> Self {
        append(&mut self.host, keys);
        self
    }

    /// Keys of `[connections.main]` after its URL.
    #[must_use]
    pub fn connection(mut self, keys: &str) -> Self {
        append(&mut self.connection, keys);
        self
    }

    /// `[exchanges."NAME"]`.
    #[must_use]
    pub fn exchange(self, name: &str, keys: &str) -> Self {
        self.section(&format!("exchanges.\"{name}\""), keys)
    }

    /// `[queues."NAME"]`.
    #[must_use]
    pub fn queue(self, name: &str, keys: &str) -> Self {
        self.section(&format!("queues.\"{name}\""), keys)
    }

    /// `[components."GUEST"]`: the guest `tests/guests/examples/GUEST.rs`.
    #[must_use]
    pub fn component(self, guest: &str, keys: &str) -> Self {
        let path = build::guest(guest);
        self.component_at(guest, &path, keys)
    }

    /// `[components."NAME"]`, with a file of any kind.
    #[must_use]
    pub fn component_at(self, name: &str, path: &Path, keys: &str) -> Self {
        // Scenarios count what guests print, so that nothing of it may be left out.
        let lines = match keys.contains("log_lines") {
            true => "",
            false => "log_lines = 1000000\n",
        };
        let path = format!("path = \"{}\"\n{lines}{keys}", path.display());
        self.section(&format!("components.\"{name}\""), &path)
    }

    /// `[consumers."QUEUE"]`: consumes the queue of its name with the component of that name.
    #[must_use]
    pub fn consumer(mut self, queue: &str, component: &str, keys: &str) -> Self {
        self.consumers.push(queue.to_owned());
        let keys = format!("queue = \"{queue}\"\ncomponent = \"{component}\"\n{keys}");
        self.section(&format!("consumers.\"{queue}\""), &keys)
    }

    /// `[consumers."QUEUE"]`: consumes the queue of its name with these routes, an array of TOML.
    #[must_use]
    pub fn routes(mut self, queue: &str, routes: &str, keys: &str) -> Self {
        self.consumers.push(queue.to_owned());
        let keys = format!("queue = \"{queue}\"\nroutes = [{routes}]\n{keys}");
        self.section(&format!("consumers.\"{queue}\""), &keys)
    }

    /// Any section at all.
    #[must_use]
    pub fn section(mut self, name: &str, keys: &str) -> Self {
        append(&mut self.sections, &format!("\n[{name}]"));
        append(&mut self.sections, keys);
        self
    }

    /// The names of its consumers.
    pub(crate) fn consumers(&self) -> &[String] {
        &self.consumers
    }

    /// The file's text for a host on `vhost`.
    pub fn text(&self, vhost: &Vhost) -> String {
        self.text_for(&vhost.url())
    }

    /// The file's text for a host that connects to `url`.
    pub fn text_for(&self, url: &str) -> String {
        let Self {
            host,
            connection,
            sections,
            ..
        } = self;
        // Hosts run side by side: each takes a free port.
        let admin = match host.lines().any(|key| key.starts_with("admin =")) {
            true => "",
            false => "admin = \"127.0.0.1:0\"\n",
        };
        // Scenarios look for events, which only this format has.
        let format = match host.contains("log_format") {
            true => "",
            false => "log_format = \"json\"\n",
        };
        format!(
            "[host]\nname = \"tests\"\n{admin}{format}{host}\n[connections.main]\nurl = \"{url}\"\n{connection}{sections}"
        )
    }

    /// Writes the text into `folder` as hive.toml.
    pub fn write(folder: &Path, text: &str) -> std::io::Result<PathBuf> {
        let path = folder.join("hive.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn append(text: &mut String, lines: &str) {
    if !lines.is_empty() {
        writeln!(text, "{lines}").expect("a String takes everything");
    }
}
