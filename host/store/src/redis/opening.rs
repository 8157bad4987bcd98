//! A connection to the server, opened: TCP, TLS where the plan asks for it, and the log-in.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::RedisPlan;
use hive_config::tls::{self, Peer};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;

use super::line::is_away;

/// The time limit of one attempt to connect, and of one answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why the connection could not be opened.
#[derive(Debug)]
pub(super) enum Closed {
    /// The server is there, and won't have us; or we won't have it.
    Refused(String),
    /// Waiting may help.
    Away(String),
}

/// Opens one.
pub(super) async fn open(plan: &RedisPlan) -> Result<MultiplexedConnection, Closed> {
    connect(plan).await.map_err(|error| closed(plan, &error))
}

async fn connect(plan: &RedisPlan) -> Result<MultiplexedConnection, RedisError> {
    let end = Instant::now() + TIMEOUT;
    let address = (plan.endpoint.host.as_str(), plan.endpoint.port);
    let stream = until(end, "no TCP connection", TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    let stream = match &plan.tls {
        None => Either::Left(stream),
        Some(tls) => {
            let name =
                ServerName::try_from(plan.endpoint.host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::clone(&tls.client));
            let silence = "no TLS handshake, as from a port that does not speak TLS,";
            Either::Right(until(end, silence, connector.connect(name, stream)).await?)
        }
    };
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(TIMEOUT));
    let settings = settings(plan);
    let log_in = MultiplexedConnection::new_with_config(&settings, stream, config);
    let (connection, driver) = match until(end, "no answer to the log-in", log_in).await {
        Err(error) if plan.tls.is_none() && error.is_connection_dropped() => {
            let why = format!("{error}, as from a port that speaks TLS alone (rediss://)");
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, why).into());
        }
        opened => opened?,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the last clone of the connection, which closing the store lets go"
    )]
    tokio::spawn(driver);
    Ok(connection)
}

/// Waits for one step of opening the connection. Without an answer in time the error says
/// `silence`, such as "no answer to the log-in".
async fn until<T, E>(
    end: Instant,
    silence: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, RedisError>
where
    RedisError: From<E>,
{
    match tokio::time::timeout_at(end, step).await {
        Ok(result) => Ok(result?),
        Err(_) => {
            let silence = format!("{silence} within {TIMEOUT:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, silence).into())
        }
    }
}

fn settings(plan: &RedisPlan) -> RedisConnectionInfo {
    let settings = RedisConnectionInfo::default().set_db(plan.database.into());
    let settings = match &plan.username {
        Some(username) => settings.set_username(username),
        None => settings,
    };
    match &plan.password {
        Some(password) => settings.set_password(password.expose_secret()),
        None => settings,
    }
}

/// The meaning of a connection's error. In TLS 1.3 a server refuses a certificate after the handshake.
pub(super) fn closed(plan: &RedisPlan, error: &RedisError) -> Closed {
    let server = Peer {
        kind: "server",
        section: "[store]",
        schemes: ["rediss://", "redis://"],
        trusts_by: "tls-ca-cert-file",
        tls: plan.tls.as_ref(),
    };
    match io_error(error).and_then(|error| tls::trouble(error, server)) {
        Some(tls::Trouble { reason, remedy, .. }) => Closed::Refused(format!("{reason}; {remedy}")),
        None if is_refusal(error) => Closed::Refused(refused(&error.to_string())),
        None => Closed::Away(error.to_string()),
    }
}

/// The server's refusal, with the remedy.
pub(super) fn refused(why: &str) -> String {
    format!("{why}; correct user, password and database in the URL, or the server's settings")
}

/// Whether the server is there, and won't have us.
fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig
    ) || (matches!(error.kind(), ErrorKind::Server(_)) && !is_away(error))
}

/// The socket's own error, which the library wraps.
fn io_error(error: &RedisError) -> Option<&io::Error> {
    let wrapped: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    wrapped.downcast_ref()
}
