//! The connection to the server: made when it is needed, and made again when it was lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::StoreFault;
use futures_util::FutureExt;
use hive_config::plan::RedisPlan;
use hive_core::codes::Code;
use hive_core::pauses::Pauses;
use hive_telemetry::Fact;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RetryMethod, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::opening::{Closed, closed, open, refused};

/// The pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a request may reach the server twice: its first answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing, or a claim that is refused with the value that it set.
    Harmless,
    /// Something is done twice.
    Harmful,
}

/// A line to one server. Requests of many callers share it.
pub(super) struct Line {
    plan: RedisPlan,
    /// Without user and password.
    address: String,
    /// How long a call waits for a server that is unreachable.
    patience: Duration,
    live: Mutex<Live>,
    closed: AtomicBool,
}

/// A request to the server.
enum Request<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(
        &self,
        mut connection: MultiplexedConnection,
    ) -> Result<T, RedisError> {
        match self {
            Self::Script(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }
}

#[derive(Default)]
struct Live {
    connection: Option<MultiplexedConnection>,
    /// Its number, so that a call ends only the connection that failed it, and not a newer one.
    number: u64,
    /// The server was away when it was last asked.
    is_away: bool,
}

impl Line {
    pub(super) fn new(plan: &RedisPlan, patience: Duration) -> Self {
        Self {
            plan: plan.clone(),
            address: plan.address(),
            patience,
            live: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Sends a request to see whether the server answers.
    pub(super) async fn check(&self) -> Result<(), StoreFault> {
        let ping = redis::cmd("PING");
        let told = self.tell(Request::Command(&ping), Repeat::Harmless).await;
        told.map_err(|fault| match fault {
            StoreFault::Failed(why) => self.unusable(refused(&why)),
            other => other,
        })
    }

    /// Runs a script.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        repeat: Repeat,
    ) -> Result<T, StoreFault> {
        self.tell(Request::Script(script), repeat).await
    }

    /// The members of a sorted set.
    pub(super) async fn count(&self, key: &str) -> Result<u64, StoreFault> {
        let command = redis::cmd("ZCARD").arg(key).take();
        self.tell(Request::Command(&command), Repeat::Harmless)
            .await
    }

    /// Takes nothing more; what is under way goes on.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.live.lock().await.connection = None;
    }

    async fn tell<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        repeat: Repeat,
    ) -> Result<T, StoreFault> {
        let until = Instant::now() + self.patience;
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return Err(StoreFault::Closed);
            }
            let (why, was_sent) = match self.connection().await {
                Err(Closed::Refused(why)) => return Err(self.unusable(why)),
                Err(Closed::Away(why)) => (why, false),
                Ok((number, connection)) => match request.send(connection).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if !is_away(&error) => {
                        return Err(StoreFault::Failed(error.to_string()));
                    }
                    Err(error) => {
                        self.lost(number).await;
                        match closed(&self.plan, &error) {
                            Closed::Refused(why) => return Err(self.unusable(why)),
                            Closed::Away(why) => (why, true),
                        }
                    }
                },
            };
            let pause = pauses.take();
            let is_over = Instant::now() + pause > until;
            if is_over || (was_sent && repeat == Repeat::Harmful) {
                return Err(StoreFault::Away {
                    address: self.address.clone(),
                    why,
                });
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The current connection, or a new one. Calls that arrive meanwhile wait for it.
    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Closed> {
        let mut live = self.live.lock().await;
        if let Some(connection) = &live.connection {
            return Ok((live.number, connection.clone()));
        }
        // Apart, so that no request carries the room that a handshake takes.
        let opened = open(&self.plan).boxed().await;
        let address = &*self.address;
        match &opened {
            Ok(_) => {
                live.is_away = false;
                Fact::StoreOpen { address }.emit();
            }
            // Once, however often it is tried.
            Err(Closed::Refused(error) | Closed::Away(error))
                if !std::mem::replace(&mut live.is_away, true) =>
            {
                Fact::StoreAway {
                    code: Code::StoreAway.as_str(),
                    address,
                    error,
                }
                .emit();
            }
            Err(_) => {}
        }
        let connection = opened?;
        live.number += 1;
        live.connection = Some(connection.clone());
        Ok((live.number, connection))
    }

    fn unusable(&self, why: String) -> StoreFault {
        StoreFault::Unusable {
            address: self.address.clone(),
            why,
        }
    }

    async fn lost(&self, number: u64) {
        let mut live = self.live.lock().await;
        if live.number == number {
            live.connection = None;
        }
    }
}

/// Whether it may answer the same request later.
pub(super) fn is_away(error: &RedisError) -> bool {
    error.kind() != ErrorKind::AuthenticationFailed
        && (error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || matches!(
                error.retry_method(),
                RetryMethod::Reconnect | RetryMethod::WaitAndRetry | RetryMethod::RetryImmediately
            ))
}
