//! A RabbitMQ that speaks TLS too, with a listener for each way to set that up.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::broker::{Broker, Version};
use crate::certificates::{Authority, Identity};
use crate::ports::reserve_ports;
use crate::vhost::Vhost;

/// Its listener from rabbitmq.conf has a good certificate, and asks clients for one that they need
/// not have. More listeners can be opened beside it.
#[derive(Debug)]
pub struct TlsBroker {
    broker: Broker,
    authority: Authority,
    port: u16,
    management: u16,
}

/// What a listener requires of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Clients are not asked for a certificate.
    Anyone,
    /// A certificate of the broker's authority.
    WithCertificate,
}

impl TlsBroker {
    /// The name of its authority.
    pub const AUTHORITY: &str = "authority of the tests";

    /// The one that all tests of this process share, each in a vhost and on listeners of its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<TlsBroker> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self> {
        let authority = Authority::new(Self::AUTHORITY)?;
        let server = authority.server("server", &["localhost", "127.0.0.1"])?;
        let [port, management] = reserve_ports()?;
        let configuration = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             management.ssl.ip = 127.0.0.1\n\
             management.ssl.port = {management}\n\
             management.ssl.cacertfile = {0}\n\
             management.ssl.certfile = {1}\n\
             management.ssl.keyfile = {2}\n\
             ssl_options.cacertfile = {0}\n\
             ssl_options.certfile = {1}\n\
             ssl_options.keyfile = {2}\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = false\n\
             auth_mechanisms.1 = PLAIN\n\
             auth_mechanisms.2 = EXTERNAL\n\
             ssl_cert_login_from = common_name\n",
            authority.certificate().display(),
            server.certificate.display(),
            server.key.display(),
        );
        let plugins = ["rabbitmq_auth_mechanism_ssl"];
        Ok(Self {
            broker: Broker::private_with(Version::of_run()?, &configuration, &plugins).await?,
            authority,
            port,
            management,
        })
    }

    /// The broker itself.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Who signed the broker's certificate, and whom the broker trusts.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The port of the good listener.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the management interface over TLS.
    pub fn management_port(&self) -> u16 {
        self.management
    }

    /// Opens another listener, and gives its port.
    pub fn listen(&self, server: &Identity, clients: Clients) -> Result<u16> {
        let [port] = reserve_ports()?;
        let wants = match clients {
            Clients::Anyone => "{verify, verify_none}",
            Clients::WithCertificate => "{verify, verify_peer}, {fail_if_no_peer_cert, true}",
        };
        let expression = format!(
            "rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}}}, \
             [{{cacertfile, {:?}}}, {{certfile, {:?}}}, {{keyfile, {:?}}}, {wants}], 1).",
            self.authority.certificate(),
            server.certificate,
            server.key,
        );
        let answer = self.broker.rabbitmqctl(&["eval", &expression])?;
        ensure!(answer.trim() == "ok", "no listener was opened: {answer}");
        Ok(port)
    }

    /// Makes it read its certificates again, which it does by itself every two minutes.
    pub fn reread_certificates(&self) -> Result<()> {
        let answer = self
            .broker
            .rabbitmqctl(&["eval", "ssl:clear_pem_cache()."])?;
        ensure!(
            answer.trim() == "ok",
            "the certificates were not read again: {answer}"
        );
        Ok(())
    }

    /// A user that no password logs in, who may do anything in `vhost`.
    pub fn user_without_password(&self, name: &str, vhost: &Vhost) -> Result<()> {
        let management = self.broker.management();
        let user = json!({"password_hash": "", "tags": ""});
        management
            .put(&format!("/users/{name}"), &user)
            .with_context(|| format!("no user `{name}` could be made"))?;
        let anything = json!({"configure": ".*", "write": ".*", "read": ".*"});
        management.put(&format!("/permissions/{}/{name}", vhost.name()), &anything)
    }
}
