//! `[host]`.

use std::sync::Arc;
use std::time::Duration;

use super::{LEAST_MEMORY, LONGEST, MOST_INSTANCES};
use crate::diff::differing::Shown;
use crate::plan::{AdminPlan, LogFormat, Password};

/// A part of the names of an exchange and of queues.
const GROUP: &str = "^[A-Za-z0-9._-]{1,100}$";

table! {
    /// `[host]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct HostPlan, meant HostMeant {
        /// Consumer tags and connection names start with it.
        name => Arc<str> as Name [restart], else "the machine's hostname";

        /// The address of the admin server, which serves health and metrics. See [operations](operations.md).
        admin => Option<AdminPlan> as Text [restart],
            else "`\"127.0.0.1:9191\"`, or a free port if that one is in use",
            written "address with a port, or `\"off\"`",
            from |host| Shown(AdminPlan::shown(host.admin));

        /// Clients that send this token may give [commands](hot-swap.md#commands-over-http) to the admin server.
        /// Without a token, the admin server accepts commands only on a loopback address.
        admin_token => Option<Password> as Secret [hidden restart],
            else "no token",
            written "secret, at least 16 letters, digits and signs";

        /// Clients that send this token, or sign in with it on the [page](page.md), may read everything that the admin server
        /// shows and change nothing. Where it is set, reading `/v1/…` from another machine needs one of the two tokens.
        admin_viewer_token => Option<Password> as Secret [hidden restart],
            else "no token",
            written "secret, at least 16 letters, digits and signs, another one than `admin_token`";

        /// Whether the admin server shows the bodies and headers of messages. Without them, messages cannot be edited
        /// there.
        admin_bodies: bool = true [restart];

        /// Hosts with the same group, on the same vhost, see [one another](hosts.md). Over the connection `main`, or the
        /// first by name if none has that name.
        group => Option<Arc<str>> as Form(GROUP) [restart], else "no group",
            written "1 to 100 letters, digits, `.`, `-` and `_`";

        /// Instances in memory at once, over all components. A delivery that needs a further instance waits; idle
        /// instances of other components make room. At start the host reserves a part of the address space for each
        /// instance.
        max_instances: Option<u32> as Integer(1, MOST_INSTANCES) [restart],
            else "2 × the sum of `concurrency` and `scale.max` over all consumers, + 4 per component, but at least 64";

        /// Bodies of deliveries in memory at once, over all consumers. Before it is passed, the host stops reading. Bodies of
        /// at most 4 KiB do not count. See [memory](reliability.md#memory).
        memory_in_flight: u64 as Size(LEAST_MEMORY) = "256MiB" [restart];

        /// How long a stop waits for deliveries in flight before they go back to the broker.
        shutdown_timeout: Duration as Duration(0, LONGEST) = "30s";

        /// Whether a message that was in flight when the host died twice is handled alone, and dead-lettered after
        /// three more deaths. See [reliability](reliability.md#a-message-that-ends-the-host).
        quarantine: bool = true [restart];

        /// Which log lines the host writes, in the syntax of `RUST_LOG`, which takes precedence: `"info,lapin=warn"`.
        /// The targets of the host's own lines begin with `hive`, so `"info,hive=debug"` is for all of them and
        /// `"info,hive::delivery=debug"` for one part: the [events](operations.md#events) of deliveries.
        log => String as Text = "info" [restart];

        /// The format of the log lines. `HIVE_LOG_FORMAT` takes precedence. See [the log](operations.md#the-log).
        log_format => LogFormat = "text" [restart];
    }
}
