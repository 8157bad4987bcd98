//! `[connections.NAME]`.

use std::sync::Arc;
use std::time::Duration;

use super::LONGEST;
use super::tls::TlsKeys;
use crate::diff::differing::Within;
use crate::plan::{AuthMechanism, Endpoint, ManagementPlan, Password, TlsPlan, TopologyPlan};

/// The heartbeat travels as 16 bits of seconds.
const LONGEST_HEARTBEAT: u64 = u16::MAX as u64 * 1_000;

/// Each look is a listing of every queue of the virtual host.
const SHORTEST_DISCOVERY: u64 = 1_000;

table! {
    /// `[connections.NAME]`, and the topology that is declared over it.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ConnectionPlan, meant ConnectionMeant {
        /// The address of the broker: `amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST`, or `amqps://` for TLS;
        /// `file:PATH` reads it from a file. See [the URL](#the-url).
        url -> String as Secret [hidden],
            else "`RABBITMQ_URL`, otherwise `amqp://guest:guest@localhost:5672/%2f`",
            from |connection| connection.of_url();

        /// The interval that the host proposes to the broker. `"0s"` turns heartbeats off.
        heartbeat => Duration as Duration(0, LONGEST_HEARTBEAT) = "10s",
            written "duration in whole seconds, `\"0s\"` to `\"18h12m15s\"`";

        /// The time limit of each of these: the TCP connection, the TLS handshake, the AMQP handshake.
        /// `connection_timeout` in the URL takes precedence.
        connect_timeout => Duration as Duration(1, LONGEST) = "10s";

        /// The pauses between attempts to connect.
        reconnect => ReconnectPlan as Table(ReconnectPlan::KEYS) [hidden];

        /// The address of the broker's management interface, for consumers with [`queues`](discovery.md):
        /// `http://USER:PASSWORD@HOST:PORT`, or `https://`, for which `tls` is too; `file:PATH` reads it from a file. Without a
        /// user, that of `url` logs in.
        management => Option<ManagementPlan> as Secret [hidden idle], else "no discovery";

        /// The pause between two looks at the queues of the broker, for consumers with [`queues`](discovery.md).
        discover_every: Duration as Duration(SHORTEST_DISCOVERY, LONGEST) = "5s" [idle];

        /// Certificates, for `amqps://` and for a `management` that begins with `https://`. See [TLS](tls.md).
        tls => Option<TlsPlan> as Table(TlsKeys::KEYS) [hidden],
            from |connection| Within(connection.tls.as_ref());
    }
    beside {
        /// The name of the connection in the file.
        name: Arc<str>,
        /// Where it leads: at least one endpoint, tried in random order.
        endpoints: Vec<Endpoint>,
        /// The user.
        username: String,
        /// Never printed.
        password: Password,
        /// How the broker is to know who asks.
        mechanism: AuthMechanism,
        /// The virtual host.
        vhost: String,
        /// Limits named in the URL's query, if any (`frame_max`, `channel_max`).
        frame_max: Option<u32>,
        /// See `frame_max`.
        channel_max: Option<u16>,
        /// Exchanges, then queues, then bindings are declared at every (re)connection.
        topology: TopologyPlan,
    }
}

table! {
    /// `reconnect = { … }`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ReconnectPlan, meant ReconnectMeant {
        /// The pause after the first failure. It doubles with each further failure, with jitter.
        first => Duration as Duration(1, LONGEST) = "100ms";

        /// The longest pause. If the connection is refused, the host retries every second, or every `first` if that is
        /// longer.
        max => Duration as Duration(1, LONGEST) = "30s", written "duration, at least `first`";

        /// After this many failures in a row, to connect or to declare, the host gives up and exits with code 1.
        attempts: Option<u32> as Integer(1, u32::MAX as i64), else "no limit: try for ever";
    }
}
