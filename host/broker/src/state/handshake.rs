//! From the protocol header to `connection.open-ok`.

use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::State;
use super::channel::{Capabilities, Phase};
use crate::refusal::Refusal;
use crate::wire::{boolean, text};

/// The broker's answer to a client that does not speak AMQP 0-9-1.
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// The version that this broker announces, so that clients treat it like that RabbitMQ.
pub(crate) const VERSION: &str = "4.3.6";

/// The smallest frame that RabbitMQ agrees on since 4.1. AMQP would allow 4096.
const LEAST_FRAME_MAX: u32 = 8192;

const MECHANISMS: [&str; 2] = ["PLAIN", "EXTERNAL"];

impl State {
    /// Answers the first octets of a client; `false` where it has to go.
    pub(super) fn greet(&mut self, id: u64, header: [u8; 8]) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else {
            return false;
        };
        // The second form is 0-9, which RabbitMQ takes as the same.
        if header != *PROTOCOL_HEADER && header != *b"AMQP\x01\x01\0\x09" {
            connection.send_octets(PROTOCOL_HEADER);
            return false;
        }
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: server_properties(),
            mechanisms: MECHANISMS.join(" ").into(),
            locales: "en_US".into(),
        };
        connection.phase = Phase::Start;
        connection.send(
            0,
            AMQPClass::Connection(connection::AMQPMethod::Start(start)),
        );
        true
    }

    /// Carries out a method of the connection itself; `false` where the connection ends without a word.
    pub(super) fn connection_method(
        &mut self,
        id: u64,
        method: connection::AMQPMethod,
    ) -> Result<bool, Refusal> {
        use connection::AMQPMethod as Method;
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(false);
        };
        match (connection.phase, method) {
            (_, Method::Close(_)) => {
                connection.phase = Phase::Closed;
                let ok = connection::CloseOk {};
                connection.send(0, AMQPClass::Connection(Method::CloseOk(ok)));
                self.close_channels(id);
                Ok(true)
            }
            (Phase::Closing, Method::CloseOk(_)) => Ok(false),
            (Phase::Closing, _) => Ok(true),
            (Phase::Start, Method::StartOk(start)) => self.login(id, &start),
            (Phase::Tune, Method::TuneOk(tune)) => self.tune(id, &tune).map(|()| true),
            (Phase::Open, Method::Open(open)) => {
                self.enter(id, open.virtual_host.as_str()).map(|()| true)
            }
            (Phase::Running, Method::UpdateSecret(_)) => {
                let ok = connection::UpdateSecretOk {};
                connection.send(0, AMQPClass::Connection(Method::UpdateSecretOk(ok)));
                Ok(true)
            }
            (Phase::Running, _) => Err(Refusal::command_invalid(
                "unexpected method in connection state running",
            )),
            // A client that is not known yet gets no answer.
            _ => Ok(false),
        }
    }

    fn login(&mut self, id: u64, start: &connection::StartOk) -> Result<bool, Refusal> {
        let limits = &self.limits;
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(false);
        };
        connection.name = start
            .client_properties
            .inner()
            .get("connection_name")
            .and_then(text);
        connection.capabilities = capabilities(&start.client_properties);
        let mechanism = start.mechanism.as_str();
        if !MECHANISMS.contains(&mechanism) {
            return Ok(false);
        }
        let response = start.response.as_bytes();
        let Some(user) = self
            .users
            .login(mechanism, response, connection.from_loopback)
        else {
            if !connection.capabilities.failure_close {
                return Ok(false);
            }
            return Err(Refusal::access_refused(format!(
                "Login was refused using authentication mechanism {mechanism}. \
                 For details see the broker logfile."
            )));
        };
        connection.user = user;
        connection.phase = Phase::Tune;
        let tune = connection::Tune {
            channel_max: limits.channel_max,
            frame_max: limits.frame_max,
            heartbeat: limits.heartbeat,
        };
        connection.send(0, AMQPClass::Connection(connection::AMQPMethod::Tune(tune)));
        Ok(true)
    }

    fn tune(&mut self, id: u64, tune: &connection::TuneOk) -> Result<(), Refusal> {
        check_limit(
            "frame_max",
            LEAST_FRAME_MAX,
            self.limits.frame_max,
            tune.frame_max,
        )?;
        check_limit(
            "channel_max",
            1,
            u32::from(self.limits.channel_max),
            u32::from(tune.channel_max),
        )?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.frame_max = tune.frame_max;
            connection.channel_max = tune.channel_max;
            connection.heartbeat = tune.heartbeat;
            connection.phase = Phase::Open;
        }
        Ok(())
    }

    fn enter(&mut self, id: u64, vhost: &str) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let Some(found) = self.vhosts.get(vhost) else {
            return Err(Refusal::not_allowed(format!("vhost {vhost} not found")));
        };
        if !self.users.may_enter(&connection.user, vhost) {
            return Err(Refusal::not_allowed(format!(
                "access to vhost '{vhost}' refused for user '{}'",
                connection.user
            )));
        }
        connection.vhost = found.name.clone();
        connection.phase = Phase::Running;
        let ok = connection::OpenOk {};
        connection.send(0, AMQPClass::Connection(connection::AMQPMethod::OpenOk(ok)));
        Ok(())
    }
}

/// Refuses a limit of the client that exceeds the broker's; 0 means no limit.
fn check_limit(name: &str, least: u32, most: u32, asked: u32) -> Result<(), Refusal> {
    let (is_wrong, word, kind, allowed) = if asked != 0 && asked < least {
        (true, "lower", "minimum", least)
    } else {
        let is_above = most != 0 && (asked == 0 || asked > most);
        (is_above, "higher", "maximum", most)
    };
    if !is_wrong {
        return Ok(());
    }
    let detail = if asked == 0 { " (no limit)" } else { "" };
    Err(Refusal::not_allowed(format!(
        "negotiated {name} = {asked}{detail} is {word} than the {kind} allowed value ({allowed})"
    )))
}

fn server_properties() -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    for (name, value) in [
        ("product", "hive-broker"),
        ("version", VERSION),
        ("platform", "Rust"),
        ("cluster_name", "hive-broker"),
        (
            "information",
            "For development and tests. It keeps nothing over a restart.",
        ),
    ] {
        properties.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    properties
}

fn capabilities(properties: &FieldTable) -> Capabilities {
    let Some(AMQPValue::FieldTable(table)) = properties.inner().get("capabilities") else {
        return Capabilities::default();
    };
    let has = |name: &str| table.inner().get(name).and_then(boolean).unwrap_or(false);
    Capabilities {
        cancel_notify: has("consumer_cancel_notify"),
        blocked: has("connection.blocked"),
        failure_close: has("authentication_failure_close"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_agreed_upon_or_refused_in_rabbitmqs_words() {
        assert_eq!(check_limit("frame_max", 8192, 131_072, 8192), Ok(()));
        let text = |asked| {
            check_limit("channel_max", 4, 2047, asked)
                .unwrap_err()
                .explanation
        };
        assert_eq!(
            text(0),
            "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"
        );
        assert_eq!(
            text(1),
            "negotiated channel_max = 1 is lower than the minimum allowed value (4)"
        );
    }
}
