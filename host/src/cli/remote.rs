//! Talks to a running host over its admin server.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hive_config::Environment;
use hive_config::plan::{AdminPlan, Password};
use hive_core::codes::Code;
use hive_core::escape;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use ureq::RequestBuilder;

use super::say::{self, fault};
use super::{Exit, all_hosts};
use crate::admin::{self, FILE, HOST};

/// Long enough for the largest component to be compiled, and for consumers to finish what they have.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many digits of a SHA-256 are shown: enough to tell one version from another.
pub(super) const SUM_DIGITS: usize = 12;

/// Where the running host is.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// The hive.toml of the running host, which is reached at its `host.admin` [default: hive.toml]
    #[arg(value_name = "HIVE.TOML")]
    file: PathBuf,
    /// The address of the admin server, if it is not `host.admin`
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

/// A running host.
pub(super) struct Remote {
    address: SocketAddr,
    token: Option<Password>,
    /// The hive.toml and the `host.name` that are meant, unless --admin says which host is.
    intended: Option<[String; 2]>,
    agent: ureq::Agent,
}

/// The body of a request.
pub(super) enum Content<'a> {
    Nothing,
    Code(&'a [u8]),
}

impl Where {
    /// The host that is meant. Says what is wrong with the file if something is.
    pub(super) fn find(&self) -> Result<Remote, Exit> {
        let host =
            hive_config::load_host(&self.file, &Environment::of_process()).map_err(|problems| {
                say::note(&problems.to_string());
                Exit::Misused
            })?;
        let address = match self.admin {
            Some(address) => address,
            None => self.listens(host.admin)?,
        };
        let intended = self.admin.is_none().then(|| {
            let path = std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
            [encoded(&path.to_string_lossy()), encoded(&host.name)]
        });
        Ok(Remote {
            address: reachable(address),
            token: host.admin_token,
            intended,
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .build()
                .into(),
        })
    }

    /// Where the host of this file listens: as the file says, or as the host has said where that leaves it open.
    fn listens(&self, admin: Option<AdminPlan>) -> Result<SocketAddr, Exit> {
        let file = self.file.display();
        let Some(AdminPlan { address, is_named }) = admin else {
            fault!(
                [Code::AdminOff]
                "`host.admin` is \"off\" in {file}, so the running host takes no commands; name an address there and restart it"
            );
            return Err(Exit::Misused);
        };
        if is_named && address.port() != 0 {
            return Ok(address);
        }
        match admin::find(&self.file) {
            Ok(Some(found)) => Ok(found),
            // A host of another user, or in a container, writes no file here. It usually has this port.
            Ok(None) if !is_named => Ok(address),
            Ok(None) => {
                fault!(
                    [Code::NoHostFound]
                    "no host of {file} runs here for this user; if it runs elsewhere, name the address in its log with --admin"
                );
                Err(Exit::Failed)
            }
            Err(error) => {
                fault!(
                    "the address of the host of {file} cannot be looked up: {error}; name the one in its log with --admin"
                );
                Err(Exit::Failed)
            }
        }
    }

    /// The hive.toml of the command.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// An unspecified address, on which the server listens on all interfaces, means this machine here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Everything but the characters that RFC 3986 leaves as they are (section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

impl Remote {
    /// Sends a command; an error has been printed.
    pub(super) fn post(&self, path: &str, content: &Content<'_>) -> Result<Value, Exit> {
        let (kind, body): (_, &[u8]) = match content {
            Content::Nothing => ("application/json", b"{}"),
            Content::Code(code) => ("application/wasm", code),
        };
        let request = self.agent.post(self.url(path)).content_type(kind);
        self.answer(self.meant(request).send(body))
    }

    /// Reads; an error has been printed.
    pub(super) fn get(&self, path: &str) -> Result<Value, Exit> {
        self.ask(path).map_err(|unanswered| self.say(unanswered))
    }

    /// Reads, and prints nothing.
    pub(super) fn ask(&self, path: &str) -> Result<Value, Unanswered> {
        read(self.meant(self.agent.get(self.url(path))).call())
    }

    /// Begins to read what has no end; an error has been printed.
    pub(super) fn stream(&self, path: &str) -> Result<impl Read + Send + use<>, Exit> {
        let request = self.agent.get(self.url(path));
        let request = request.config().timeout_global(None).build();
        match self.meant(request).call() {
            Ok(answer) if answer.status().is_success() => Ok(answer.into_body().into_reader()),
            refused => Err(match read(refused) {
                Ok(_) => Exit::Failed,
                Err(unanswered) => self.say(unanswered),
            }),
        }
    }

    /// Where the host is, for errors.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The request says which host it means, and that it may know of its files.
    fn meant<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        if let Some(token) = &self.token {
            let token = format!("Bearer {}", token.expose_secret());
            request = request.header("authorization", token);
        }
        match &self.intended {
            None => request,
            Some([file, host]) => request.header(FILE, file).header(HOST, host),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, answer: Answer) -> Result<Value, Exit> {
        read(answer).map_err(|unanswered| self.say(unanswered))
    }

    /// Prints why there is no answer.
    pub(super) fn say(&self, unanswered: Unanswered) -> Exit {
        match unanswered {
            Unanswered::Refused(status, value) => {
                let error = value["error"].as_str().unwrap_or("the host refused");
                // The faults of a hive.toml say by themselves which are errors.
                match error.starts_with("error") {
                    true => say::note(&escape::lines(error)),
                    false => {
                        let code = value["code"].as_str().and_then(Code::parse);
                        fault!([code] "{error}");
                    }
                }
                all_hosts::refusals(&value);
                // The code or the name that was sent has a fault.
                match status {
                    422 => Exit::Misused,
                    _ => Exit::Failed,
                }
            }
            Unanswered::Foreign(status, text) => {
                fault!(
                    [Code::NoAnswer]
                    "{} answers {status}: {text}; is that the `host.admin` of a running host?",
                    self.address
                );
                Exit::Failed
            }
            Unanswered::Away(error) => {
                fault!(
                    [Code::NoAnswer]
                    "no host answers at {}: {error}; is it running, and is that its `host.admin`?",
                    self.address
                );
                Exit::Failed
            }
        }
    }
}

/// What comes of a request.
type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The host refuses: the status code, and its reason.
    Refused(u16, Value),
    /// Something else is there: the status, and its text.
    Foreign(String, String),
    /// Nothing answers.
    Away(ureq::Error),
}

fn read(answer: Answer) -> Result<Value, Unanswered> {
    let read =
        answer.and_then(|mut answer| Ok((answer.status(), answer.body_mut().read_to_string()?)));
    let (status, text) = read.map_err(Unanswered::Away)?;
    match serde_json::from_str(&text) {
        Ok(value) if status.is_success() => Ok(value),
        Ok(value) => Err(Unanswered::Refused(status.as_u16(), value)),
        Err(_) => Err(Unanswered::Foreign(status.to_string(), text)),
    }
}
