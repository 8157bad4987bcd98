//! The AMQP side: deliveries come in through here, and everything that is published goes out.
//!
//! - [`Connection`]: two links to a broker that come back by themselves, and their topology;
//! - [`Subscription`]: the deliveries of a queue, each with the duty to settle it;
//! - [`Browsing`]: what waits in a queue, looked at and put back, or taken out;
//! - [`Meeting`]: messages between the hosts of a group;
//! - [`Request`]: a message whose reply is awaited;
//! - [`Tokens`]: a queue that one host at a time is given;
//! - [`Publisher`]: publications that are known to be stored, or known not to be;
//! - [`Outgoing`]: what can be published, checked before a byte is written.
//!
//! lapin speaks the protocol, but for the deliveries of consumers, which are read off the socket past it. That its
//! connections are not mended but replaced, that acks are sent by one owner each, and how confirmations are matched, is
//! decided here, for reasons told where it is done. No other room names lapin.

mod browse;
mod connection;
mod consume;
mod link;
mod meeting;
mod message;
mod publish;
mod queue_news;
mod requests;
mod session;
mod tokens;
mod topology;
mod wire;

/// Items for the fuzz targets, besides the public face of the crate.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::message::bookkeeping::{
        EXCHANGE, REASON, RESERVED, ROUTING_KEY, STASHED, is_acted_on,
    };
    pub use crate::message::broker_headers::is_brokers_own;
    pub use crate::message::octet_text::{BEGINNING, is_holder};
    pub use crate::wire::frame::publication::head;
    pub use crate::wire::frame::{Mended, Screened, restored, screen};
    pub use crate::wire::screen::{BrokerSlot, Screen};
}

use std::io;
use std::sync::Arc;

use hive_config::plan::{ConnectionPlan, ConsumerPlan};
use hive_lifecycle::Tasks;
use hive_telemetry::Telemetry;

pub use self::browse::{BrowseFault, Browsing, HandedOut, Letter};
pub use self::connection::{Connection, StateWatch};
pub use self::consume::consumer::{ConsumerState, ConsumerWatch, Intake, Lead, Subscription};
pub use self::consume::giving_back::WayBack;
pub use self::consume::settlement::{Acks, Delivery, Fate, Settled, Settlement};
pub use self::consume::stream::Reading;
pub use self::link::LinkState;
pub use self::meeting::{Invitation, Meeting, To, Unsent};
pub use self::message::came_back::CameBack;
pub use self::message::copies::{DeadLetterNote, RetryNote};
pub use self::message::edit::EditOf;
pub use self::message::headers::Unpublishable;
pub use self::message::identity::{Fingerprint, Mark};
pub use self::message::original::{Original, receive};
pub use self::message::outgoing::{DelayingExchange, LARGEST_BODY, Outgoing, PublishLimits};
pub use self::message::waiting::Waiting;
pub use self::publish::{Confirmation, PublishFault, Publisher, Unconfirmed};
pub use self::queue_news::QueueNews;
pub use self::requests::{NoReply, Request};
pub use self::session::fault::{ConnectFault, Mismatch};
pub use self::tokens::{TokenGiven, Tokens};
pub use self::topology::{
    Comparison, Departure, EnsureFault, LookCost, MessageFate, Misfit, Misfitting, QueuesBehind,
};
pub use crate::message::delay::{
    DelayQueue, LONGEST_DELAY, LOST, is_made_by_hive, is_retry_queue, is_shared, rung,
    shared_delay_queue_name,
};
pub use crate::session::depth::DepthFault;
pub use crate::wire::network::{Line, Network, Stream};

use self::session::runtime::LapinRuntime;
use self::wire::in_flight::InFlight;

/// Every connection of a host.
#[derive(Debug)]
pub struct Amqp {
    lapin: Arc<LapinRuntime>,
    host_name: Arc<str>,
    telemetry: Telemetry,
}

impl Amqp {
    /// Starts the runtime of the AMQP side. Connection names and consumer tags begin with
    /// `host_name`.
    pub fn start(telemetry: &Telemetry, host_name: Arc<str>) -> io::Result<Self> {
        Self::start_in(None, telemetry, host_name, u64::MAX)
    }

    /// The same, where `network` may stand in for the machine's, and the bodies of deliveries in flight take at most
    /// `memory` bytes.
    pub fn start_in(
        network: Option<Arc<dyn Network>>,
        telemetry: &Telemetry,
        host_name: Arc<str>,
        memory: u64,
    ) -> io::Result<Self> {
        let in_flight = InFlight::new(memory, telemetry.bodies());
        Ok(Self {
            lapin: Arc::new(LapinRuntime::start(network, in_flight)?),
            host_name,
            telemetry: telemetry.clone(),
        })
    }

    /// Starts to connect, and keeps on until `tasks` close. `consumers` are those that consume over this connection:
    /// their delay and dead-letter queues are declared along with its topology.
    ///
    /// An error is a plan that no broker can carry out, a name longer than AMQP's names.
    pub fn connect<'a>(
        &self,
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
        tasks: &Tasks,
    ) -> Result<Arc<Connection>, ConnectFault> {
        Connection::start(
            plan,
            consumers,
            self.host_name.clone(),
            &self.lapin,
            tasks,
            &self.telemetry,
        )
    }
}
